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

/** What our own probes know of one upstream. */
interface Own extends Throttle {
  readonly usage: Usage;
  /** The longest wait. */
  mostMs: number;
  /** What the answers to the present probe ask to wait, if they do. */
  askedMs: number | null;
}

export function createBudgets(options: BudgetsOptions): Budgets {
  const { network, store, fetcherOf, now } = options;
  const own = new Map<string, Own>();
  let told: readonly ReadonlyMap<string, Budget>[] | null = null;
  let running: Promise<void> | null = null;

  function ownOf(upstream: string): Own {
    const fresh = { throttledUntil: 0, throttleMs: THROTTLE_FIRST_MS, mostMs: 0, askedMs: null };
    const one = own.get(upstream) ?? { usage: new Usage(), ...fresh };
    own.set(upstream, one);
    return one;
  }

  function ownBudget(upstream: string): Budget {
    const { usage, throttledUntil } = ownOf(upstream);
    return usage.budget(now(), throttledUntil > now() ? throttledUntil : null);
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
      const fetcher = await fetcherOf(upstream);
      const one = ownOf(upstream.id);
      one.mostMs = upstream.failTimeout;
      return {
        ...fetcher,
        fetch: async (url, init) => {
          one.usage.attempted(now());
          const response = await fetcher.fetch(url, init);
          const headerOf = (name: string) => response.headers.get(name);
          one.usage.hear(headerOf, now());
          const askedMs = retryAfterMs(headerOf('retry-after'), now());
          if (askedMs !== null) one.askedMs = Math.max(one.askedMs ?? 0, askedMs);
          return response;
        },
      };
    },
    probed(upstream, failure) {
      const one = ownOf(upstream);
      const { askedMs, mostMs } = one;
      one.askedMs = null;
      if (failure === null) one.throttleMs = THROTTLE_FIRST_MS;
      if (failure !== 'throttled') return;
      one.usage.throttled(now());
      prolong(one, now(), { askedMs, mostMs });
    },
    retryAt: (upstream) => own.get(upstream)?.throttledUntil ?? 0,
    refresh() {
      running ??= read();
    },
    of(upstreams) {
      const heard = told;
      for (const id of own.keys()) if (!upstreams.includes(id)) own.delete(id);
      if (heard === null) return new Map();
      const budgetOf = (id: string) =>
        addUp([ownBudget(id), ...heard.flatMap((usage) => usage.get(id) ?? [])], now());
      return new Map(upstreams.map((id) => [id, budgetOf(id)]));
    },
    async idle() {
      await running;
    },
  };
}
