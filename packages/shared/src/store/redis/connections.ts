// Decides: how the store's two connections are kept and checked, and what it says of a step that fails.
// Must not know: which steps there are.
import type { RedisConfig } from '../../config/redis.ts';
import { BalancerError } from '../../errors.ts';
import type { StoreEvent } from '../../wire/events.ts';
import { eventsChannel } from '../../wire/keys.ts';
import type { Client } from './client.ts';
import { createClient } from './connect.ts';
import { findEvictionRisk } from './eviction.ts';
import { explain } from './explain.ts';
import { createHealth, type Health } from './health.ts';
import { createHistory, type History } from './history.ts';
import { Link, Unusable } from './link.ts';
import { type Send, sendInTime } from './step.ts';
import { openSubscription, type Subscription } from './subscription.ts';
import { clientTarget, configTarget } from './target.ts';

/** While something is wrong, a server that answers again is noticed within this time. */
const CHECK_INTERVAL_MS = 1000;

/** Checks of the subscription's connection: a cut that no reset tells is found within 15 s; until then the polls repair. */
const CHECKS_PER_PING = 15;

/** A minute: somebody may change the eviction policy while we run, or mend what a step complained of. */
const CHECKS_PER_REVIEW = 60;

export interface RedisStoreOptions {
  /** Required unless `client` is given. */
  readonly redis?: RedisConfig;
  /** Is duplicated with our own options and never closed; its `keyPrefix` is respected. */
  readonly client?: Client;
  readonly prefix: string;
  readonly clusterId: string;
  /** Gives 0 (inclusive) to 1 (exclusive); spreads reconnections. */
  readonly random: () => number;
  /** Current time in epoch ms. */
  readonly now: () => number;
}

/** One for commands, one for events; both are made anew in the background and for ever. */
export class Connections {
  /** Of the cluster's events. */
  readonly channel: string;
  readonly health: Health;
  readonly #random: () => number;
  readonly #explain: (error: unknown) => string;
  readonly #commands: Client;
  readonly #history: History;
  readonly #link: Link;
  readonly #listeners = new Set<(event: StoreEvent | null) => void>();
  readonly #checks: NodeJS.Timeout;
  /** Null until there is somebody to subscribe at. */
  #subscription: Subscription | null = null;
  #checkCount = 0;
  #closed = false;

  constructor(options: RedisStoreOptions) {
    const { redis, client, random, now } = options;
    const target = client ? clientTarget(client) : configTarget(redis ?? unconfigured());
    this.#random = random;
    this.#explain = (error) => (error instanceof Unusable ? error.message : explain(error, target));
    this.#commands = createClient({ redis, client, random });
    // ioredis prefixes keys, but no channel: subscribers and scripts get the same prefixed name.
    this.channel = `${this.#commands.options.keyPrefix ?? ''}${eventsChannel(options)}`;
    this.#history = createHistory(now);
    this.#history.watch(this.#commands);
    this.health = createHealth(
      () => ({ connected: this.#link.connected, problem: this.#link.problem ?? this.#unheard() }),
      this.#history.read,
    );
    this.#link = new Link(this.#commands, {
      random,
      explain: this.#explain,
      onReady: () => this.#onReady(),
      onChange: this.health.changed,
    });
    this.#checks = setInterval(() => this.#check(), CHECK_INTERVAL_MS);
  }

  /** As `Run` says. */
  async run<Answer>(step: string, send: Send<Answer>, repeatable = true): Promise<Answer> {
    try {
      const answer = await sendInTime(this.#link, () => send(this.#commands), repeatable);
      this.#link.succeed();
      this.health.succeed(step);
      return answer;
    } catch (error) {
      throw this.#failureOf(step, error);
    }
  }

  subscribe(listener: (event: StoreEvent | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#checks);
    this.#listeners.clear();
    this.health.close();
    this.#history.close();
    await Promise.all([this.#link.close(), this.#subscription?.close()]);
  }

  /** Why no events come; null while they do, or nobody is subscribed at yet. */
  #unheard(): string | null {
    return this.#subscription?.problem() ?? null;
  }

  #onReady(): void {
    this.health.forget();
    this.#subscription ??= openSubscription({
      commands: this.#commands,
      channel: this.channel,
      watch: this.#history.watch,
      random: this.#random,
      explain: this.#explain,
      onEvent: (event) => {
        for (const listener of this.#listeners) listener(event);
      },
      onChange: this.health.changed,
    });
    void this.#checkEviction();
  }

  #check(): void {
    this.#checkCount += 1;
    if (this.#commands.status === 'ready' && this.#link.problem !== null)
      void this.run('ping', (client) => client.ping()).catch(() => {});
    if (this.#unheard() !== null || this.#checkCount % CHECKS_PER_PING === 0) this.#subscription?.check();
    if (this.#checkCount % CHECKS_PER_REVIEW === 0) {
      this.health.sweep();
      void this.#checkEviction();
    }
  }

  async #checkEviction(): Promise<void> {
    const risk = await findEvictionRisk(this.#commands);
    if (!this.#closed && risk !== undefined) this.health.setEvictionRisk(risk);
  }

  #failureOf(step: string, error: unknown): BalancerError {
    if (this.#closed) return new BalancerError('RPCB_STORE', { detail: 'it is closed' });
    const problem = this.#explain(error);
    this.#history.failed(step);
    if (!this.health.fail(step, error, problem) && !(error instanceof Unusable)) this.#link.fail(error);
    // Without the cause: the errors of ioredis carry the arguments of the command.
    return new BalancerError('RPCB_STORE', { detail: problem });
  }
}

function unconfigured(): never {
  throw new BalancerError('RPCB_CONFIG', { detail: 'a Redis store needs `redis` or `client`' });
}
