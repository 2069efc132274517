// Decides: what is used and left of each upstream's limit over the cluster: what the gateways tell, and our own probes.
// Must not know: what follows from it, how gateways count.
import {
  addUp,
  type Budget,
  decodeUsage,
  type LocatedUpstream,
  type Log,
  type Store,
  Usage,
} from '@rpc-balancer/shared';
import { logFailure } from './failure.ts';
import type { Fetcher } from './runtime.ts';

export interface BudgetsOptions {
  readonly network: string;
  readonly store: Pick<Store, 'readUsages'>;
  readonly fetcherOf: (upstream: LocatedUpstream) => Promise<Fetcher>;
  readonly now: () => number;
  readonly log: Log;
  readonly redact: (text: string) => string;
}

export interface Budgets {
  /** The fetcher of the probes, whose calls are counted. */
  readonly fetcherOf: (upstream: LocatedUpstream) => Promise<Fetcher>;
  /** A probe was answered with a limit. */
  throttled(upstream: string): void;
  /** Begins to read what the gateways tell; nobody waits for it. */
  refresh(): void;
  /** By upstream, as far as it is known; empty while nothing can be heard of the gateways. */
  of(upstreams: readonly string[]): ReadonlyMap<string, Budget>;
  /** Resolves when nothing is being read. */
  idle(): Promise<void>;
}

export function createBudgets(options: BudgetsOptions): Budgets {
  const { network, store, fetcherOf, now } = options;
  const own = new Map<string, Usage>();
  let told: readonly ReadonlyMap<string, Budget>[] | null = null;
  let running: Promise<void> | null = null;

  function usageOf(upstream: string): Usage {
    const usage = own.get(upstream) ?? new Usage();
    own.set(upstream, usage);
    return usage;
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
      const usage = usageOf(upstream.id);
      return {
        ...fetcher,
        fetch: async (url, init) => {
          usage.attempted(now());
          const response = await fetcher.fetch(url, init);
          usage.hear((name) => response.headers.get(name), now());
          return response;
        },
      };
    },
    throttled: (upstream) => usageOf(upstream).throttled(now()),
    refresh() {
      running ??= read();
    },
    of(upstreams) {
      const heard = told;
      for (const id of own.keys()) if (!upstreams.includes(id)) own.delete(id);
      if (heard === null) return new Map();
      const budgetOf = (id: string) =>
        addUp([usageOf(id).budget(now()), ...heard.flatMap((usage) => usage.get(id) ?? [])], now());
      return new Map(upstreams.map((id) => [id, budgetOf(id)]));
    },
    async idle() {
      await running;
    },
  };
}
