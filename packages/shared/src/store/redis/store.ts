// Decides: the store of cluster mode: every step of the interface as one command or script.
// Must not know: what a ranking says, or who calls.
import type { RedisConfig } from '../../config/redis.ts';
import { BalancerError } from '../../errors.ts';
import { encodeDrain } from '../../wire/drain.ts';
import type { StoreEvent } from '../../wire/events.ts';
import { eventsChannel, networkKeys } from '../../wire/keys.ts';
import { encodeRanking } from '../../wire/ranking.ts';
import { acquire } from '../lua/acquire.ts';
import { drain as storeDrain } from '../lua/drain.ts';
import { publish } from '../lua/publish.ts';
import { release } from '../lua/release.ts';
import { renew } from '../lua/renew.ts';
import type { Store } from '../store.ts';
import type { Client } from './client.ts';
import { COMMAND_TIMEOUT_MS, createClient } from './connect.ts';
import { findEvictionRisk } from './eviction.ts';
import { explain } from './explain.ts';
import { createHealth } from './health.ts';
import { createHistory } from './history.ts';
import { createLink, Unusable } from './link.ts';
import { createSharing } from './sharing.ts';
import { openSubscription, type Subscription } from './subscription.ts';
import { clientTarget, configTarget } from './target.ts';
import { createRedisWrites } from './writes.ts';

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

/**
 * A store over Redis, Sentinel or Redis Cluster with two connections of its own. Connects in the background and for
 * ever: `health()` says how that goes. Its methods reject with a BalancerError `RPCB_STORE` within a second.
 */
export function createRedisStore(options: RedisStoreOptions): Store {
  const { redis, client, random } = options;
  const target = client ? clientTarget(client) : configTarget(redis ?? unconfigured());
  const explained = (error: unknown): string =>
    error instanceof Unusable ? error.message : explain(error, target);
  const commands = createClient({ redis, client, random });
  const history = createHistory(options.now);
  history.watch(commands);
  // ioredis prefixes keys, but no channel: subscribers and scripts get the same prefixed name.
  const channel = `${commands.options.keyPrefix ?? ''}${eventsChannel(options)}`;
  const listeners = new Set<(event: StoreEvent | null) => void>();
  let subscription: Subscription | null = null;
  let closed = false;

  const health = createHealth(
    () => ({
      connected: link.connected(),
      problem: link.problem() ?? subscription?.problem() ?? null,
    }),
    history.read,
  );
  const link = createLink(commands, {
    random,
    explain: explained,
    onReady: () => {
      health.forget();
      subscription ??= openSubscription({
        commands,
        channel,
        watch: history.watch,
        random,
        explain: explained,
        onEvent: (event) => {
          for (const listener of listeners) listener(event);
        },
        onChange: health.changed,
      });
      void checkEviction();
    },
    onChange: () => health.changed(),
  });

  let checkCount = 0;
  const checks = setInterval(() => {
    checkCount += 1;
    if (commands.status === 'ready' && link.problem() !== null)
      void run('ping', () => commands.ping()).catch(() => {});
    const unheard = (subscription?.problem() ?? null) !== null;
    if (unheard || checkCount % CHECKS_PER_PING === 0) subscription?.check();
    if (checkCount % CHECKS_PER_REVIEW === 0) {
      health.sweep();
      void checkEviction();
    }
  }, CHECK_INTERVAL_MS);

  async function checkEviction(): Promise<void> {
    const risk = await findEvictionRisk(commands);
    if (!closed && risk !== undefined) health.setEvictionRisk(risk);
  }

  /**
   * Waits for a connection that is being made, then for the answer; both together no longer than the timeout.
   * A step that was in flight when its connection ended is sent once more if it may be: its fate is unknown.
   */
  async function run<Answer>(step: string, send: () => Promise<Answer>, repeatable = true): Promise<Answer> {
    let late = false;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        late = true;
        reject(new Error('Command timed out'));
      }, COMMAND_TIMEOUT_MS);
    });
    const sendOnce = async (renewed: boolean): Promise<Answer> => {
      await link.usable(renewed);
      if (late) throw new Error('Command timed out'); // The caller has gone: a lease taken now would be nobody's.
      return send();
    };
    const answer = sendOnce(false).catch((error) => {
      if (isUnsent(error) || (repeatable && isLost(error))) return sendOnce(true);
      throw error;
    });
    try {
      const value = await Promise.race([answer, timeout]);
      link.succeed();
      health.succeed(step);
      return value;
    } catch (error) {
      if (closed) throw new BalancerError('RPCB_STORE', { detail: 'it is closed' });
      const problem = explained(error);
      history.failed(step);
      if (!health.fail(step, error, problem) && !(error instanceof Unusable)) link.fail(error);
      // Without the cause: the errors of ioredis carry the arguments of the command.
      throw new BalancerError('RPCB_STORE', { detail: problem });
    } finally {
      clearTimeout(timer);
    }
  }

  /** A script of a kilobyte is sent whole: at a few a second per network that costs less than a lost cache would. */
  function script(
    text: string,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    return commands.eval(text, keys.length, ...keys, ...args);
  }

  return {
    kind: 'redis',
    ...createSharing(options, channel, (step, text, keys, args) => run(step, () => script(text, keys, args))),
    async acquire(network, holder, ttlMs) {
      const { lease, epoch } = networkKeys(options, network);
      const taken = await run('acquire', () => script(acquire, [lease, epoch], [holder, ttlMs]));
      return taken === null ? null : { network, holder, epoch: Number(taken) };
    },
    async renew({ network, holder, epoch }, ttlMs) {
      const { lease } = networkKeys(options, network);
      return (await run('renew', () => script(renew, [lease], [holder, epoch, ttlMs]))) === 1;
    },
    async release({ network, holder, epoch }, heir = null) {
      const { lease } = networkKeys(options, network);
      const event = JSON.stringify({
        ...{ type: 'released', network },
        ...(heir !== null && { heir }),
      } satisfies StoreEvent);
      await run('release', () => script(release, [lease], [holder, epoch, channel, event]));
    },
    async publish({ network, holder, epoch }, ranking, maxAgeMs) {
      const keys = networkKeys(options, network);
      const { seq } = ranking;
      const text = encodeRanking({ ...ranking, epoch });
      const event = JSON.stringify({ type: 'ranking', network, epoch, seq } satisfies StoreEvent);
      const args = [holder, epoch, seq, maxAgeMs, text, channel, event];
      // Not repeated: if the first had arrived, the second would be told that it is fenced.
      const answer = await run('publish', () => script(publish, [keys.lease, keys.ranking], args), false);
      return answer === 1 ? 'accepted' : 'fenced';
    },
    ...createRedisWrites(
      (step, ...rest) => run(step, () => script(...rest)),
      (network) => networkKeys(options, network).writes,
      channel,
    ),
    readRanking(network) {
      const { ranking } = networkKeys(options, network);
      return run('read_ranking', () => commands.hget(ranking, 'doc'));
    },
    async writeDrain(network, drain) {
      const { drains } = networkKeys(options, network);
      const event = JSON.stringify({ type: 'drain', network } satisfies StoreEvent);
      const args = [drain.upstream, drain.revision, encodeDrain(drain), channel, event];
      return (await run('drain', () => script(storeDrain, [drains], args))) === 1;
    },
    async readDrains(network) {
      const { drains } = networkKeys(options, network);
      const values = await run('read_drains', () => commands.hvals(drains));
      return values.map((value) => value.slice(value.indexOf('|') + 1));
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    health: health.read,
    onHealth: health.listen,
    async close() {
      closed = true;
      clearInterval(checks);
      listeners.clear();
      health.close();
      history.close();
      await Promise.all([link.close(), subscription?.close()]);
    },
  };
}

/** ioredis rejects with this what was in flight when the connection ended. */
function isLost(error: unknown): boolean {
  return error instanceof Error && error.name === 'MaxRetriesPerRequestError';
}

/** ioredis rejects with this what it did not write, because the server had ended the connection a moment before. */
function isUnsent(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Stream isn't writeable");
}

function unconfigured(): never {
  throw new BalancerError('RPCB_CONFIG', { detail: 'a Redis store needs `redis` or `client`' });
}
