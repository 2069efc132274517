// Decides: what is used and left of each upstream's limit over the cluster, as the gateways and our own probes tell; until when these
// leave an upstream alone that asked for it.
// Must not know: what follows from it, how gateways count.
import {
  addUp,
  type Budget,
  decodeUsage,
  type LocatedUpstream,
  type Log,
  prolong,
  type Redact,
  retryAfterMs,
  type Store,
  THROTTLE_FIRST_MS,
  type Throttle,
  Usage,
} from '@rpc-balancer/shared';
import { logFailure } from './failure.ts';
import type { Fetcher } from './runtime.ts';
import type { ProbeFailure } from './samples.ts';

export interface BudgetsOptions {
  readonly network: string;
  readonly store: Pick<Store, 'readUsages'>;
  readonly fetcherOf: (upstream: LocatedUpstream) => Promise<Fetcher>;
  readonly now: () => number;
  readonly log: Log;
  readonly redact: Redact;
}

export interface Budgets {
  /** The fetcher of the probes, whose calls are counted. */
  readonly fetcherOf: (upstream: LocatedUpstream) => Promise<Fetcher>;
  /** A probe has ended so. */
  probed(upstream: string, failure: ProbeFailure | null): void;
  /** Until when no probe goes to an upstream that answered with a limit, epoch ms. */
  retryAt(upstream: string): number;
  /** Begins to read what the gateways tell; nobody waits for it. */
  refresh(): void;
  /** By upstream, as far as it is known; empty while nothing can be heard of the gateways. */
  of(upstreams: readonly string[]): ReadonlyMap<string, Budget>;
  /** Resolves when nothing is being read. */
  idle(): Promise<void>;
}

export function createBudgets(options: BudgetsOptions): Budgets {
  const { network, store, now } = options;
  const own = new Map<string, ProbeUse>();
  let told: readonly ReadonlyMap<string, Budget>[] | null = null;
  let running: Promise<void> | null = null;

  function ownOf(upstream: string): ProbeUse {
    const use = own.get(upstream) ?? new ProbeUse();
    own.set(upstream, use);
    return use;
  }

  async function read(): Promise<void> {
    try {
      const texts = await store.readUsages(network);
      told = texts.map((text) => new Map(Object.entries(decodeUsage(text) ?? {})));
    } catch (error) {
      told = null;
      logFailure(error, options, { network });
    }
    running = null;
  }

  return {
    async fetcherOf(upstream) {
      const fetcher = await options.fetcherOf(upstream);
      const use = ownOf(upstream.id);
      use.mostMs = upstream.failTimeout;
      return { ...fetcher, fetch: (url, init) => use.watch(() => fetcher.fetch(url, init), now) };
    },
    probed: (upstream, failure) => ownOf(upstream).probed(failure, now()),
    retryAt: (upstream) => own.get(upstream)?.throttledUntil ?? 0,
    refresh() {
      running ??= read();
    },
    of(upstreams) {
      const heard = told;
      for (const id of own.keys()) if (!upstreams.includes(id)) own.delete(id);
      if (heard === null) return new Map();
      const budgetOf = (id: string) =>
        addUp([ownOf(id).budget(now()), ...heard.flatMap((usage) => usage.get(id) ?? [])], now());
      return new Map(upstreams.map((id) => [id, budgetOf(id)]));
    },
    async idle() {
      await running;
    },
  };
}

/** What our own probes use of one upstream's limit, and what they were told of it. */
class ProbeUse implements Throttle {
  throttledUntil = 0;
  throttleMs = THROTTLE_FIRST_MS;
  /** The longest wait. */
  mostMs = 0;
  readonly #usage = new Usage();
  /** What the answers to the present probe ask to wait, if they do. */
  #askedMs: number | null = null;

  async watch(send: () => Promise<Response>, now: () => number): Promise<Response> {
    this.#usage.attempted(now());
    const response = await send();
    const headerOf = (name: string) => response.headers.get(name);
    this.#usage.hear(headerOf, now());
    const askedMs = retryAfterMs(headerOf('retry-after'), now());
    if (askedMs !== null) this.#askedMs = Math.max(this.#askedMs ?? 0, askedMs);
    return response;
  }

  /** A probe has ended so. */
  probed(failure: ProbeFailure | null, now: number): void {
    const askedMs = this.#askedMs;
    this.#askedMs = null;
    if (failure === null) this.throttleMs = THROTTLE_FIRST_MS;
    if (failure !== 'throttled') return;
    this.#usage.throttled(now);
    prolong(this, now, { askedMs, mostMs: this.mostMs });
  }

  budget(now: number): Budget {
    return this.#usage.budget(now, this.throttledUntil > now ? this.throttledUntil : null);
  }
}
