// Decides: when the load of each upstream is read, and keeps what was found while it is fresh. Nobody waits for it.
// Must not know: heads, what follows from a load.
import { foreignText, type LocatedUpstream, type Redact } from '@rpc-balancer/shared';
import { createFetcher, errorText, type Fetcher } from '../runtime.ts';
import { readLoad } from './load.ts';
import type { Reading } from './prometheus.ts';

export interface LoadsOptions {
  readonly intervalMs: number;
  readonly fetcherOf: (upstream: LocatedUpstream) => Promise<Fetcher>;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly redact: Redact;
  /** @param problem why there is no load; null for a good one */
  readonly onLoad: (upstream: string, problem: string | null) => void;
}

export interface Loads {
  /** Begins to read what is due, and forgets all other upstreams. A reading that still goes on is not started twice. */
  start(upstreams: readonly LocatedUpstream[]): void;
  /** Those that were read since then, by upstream: an older one is unknown, not 0. */
  since(instant: number): ReadonlyMap<string, number>;
  /** Resolves when no reading goes on. */
  idle(): Promise<void>;
}

/** As with probes: a round begins a little early or late. */
const DUE_RATIO = 0.5;

export function createLoads(options: LoadsOptions): Loads {
  const { now, signal, intervalMs } = options;
  const known = new Map<string, { readonly load: number; readonly readAt: number }>();
  const running = new Map<string, Promise<void>>();
  const startedAt = new Map<string, number>();
  let elsewhere: Promise<Fetcher> | null = null;

  /** An exporter on the host of its upstream is at the same address, with the same certificates; others have none of ours. */
  function fetcherFor(upstream: LocatedUpstream, url: string): Promise<Fetcher> {
    if (new URL(url).hostname === new URL(upstream.url).hostname) return options.fetcherOf(upstream);
    elsewhere ??= createFetcher();
    return elsewhere;
  }

  async function read(upstream: LocatedUpstream, load: NonNullable<LocatedUpstream['load']>): Promise<void> {
    const reading = await readingOf(upstream, load);
    running.delete(upstream.id);
    if (signal.aborted || !startedAt.has(upstream.id)) return;
    if ('load' in reading) known.set(upstream.id, { load: reading.load, readAt: now() });
    options.onLoad(upstream.id, 'load' in reading ? null : reading.problem);
  }

  async function readingOf(
    upstream: LocatedUpstream,
    load: NonNullable<LocatedUpstream['load']>,
  ): Promise<Reading> {
    try {
      return await readLoad(load, { ...options, fetcher: await fetcherFor(upstream, load.url) });
    } catch (error) {
      // Such as a certificate that the runtime cannot read.
      return { problem: foreignText(errorText(error), options.redact) };
    }
  }

  return {
    start(upstreams) {
      const present = upstreams.filter(({ disabled, load }) => !disabled && load !== undefined);
      const ids = new Set(present.map(({ id }) => id));
      for (const id of startedAt.keys()) {
        if (ids.has(id)) continue;
        startedAt.delete(id);
        known.delete(id);
      }
      for (const upstream of present) {
        const { id, load } = upstream;
        const isDue = now() - (startedAt.get(id) ?? Number.NEGATIVE_INFINITY) >= intervalMs * DUE_RATIO;
        if (load === undefined || running.has(id) || !isDue) continue;
        startedAt.set(id, now());
        running.set(id, read(upstream, load));
      }
    },
    since(instant) {
      const fresh = [...known].filter(([, { readAt }]) => readAt >= instant);
      return new Map(fresh.map(([id, { load }]) => [id, load]));
    },
    async idle() {
      await Promise.all(running.values());
      await elsewhere?.then((fetcher) => fetcher.close());
    },
  };
}
