// Decides: which connections of the probes belong to which upstream, and when those to a former address are closed.
// Must not know: what is asked over them.
import { endpointOf, type LocatedUpstream } from '@rpc-balancer/shared';
import { createFetcher, type Fetcher } from './runtime.ts';

interface Kept {
  readonly addresses: string;
  readonly fetcher: Promise<Fetcher>;
}

export type Fetchers = ReturnType<typeof createFetchers>;

/** One fetcher for each upstream, since each may have certificates and addresses of its own. */
export function createFetchers() {
  const kept = new Map<string, Kept>();
  const closing = new Set<Promise<void>>();

  function close(id: string, { fetcher }: Kept): void {
    kept.delete(id);
    const closed: Promise<void> = fetcher
      .then(
        (open) => open.close(),
        () => {}, // It could not be made, as whoever asked for it was told.
      )
      .finally(() => closing.delete(closed));
    closing.add(closed);
  }
  return {
    of(upstream: LocatedUpstream): Promise<Fetcher> {
      const { id, tls, addresses } = upstream;
      const { hostname: host } = new URL(endpointOf(upstream).origin);
      const own = kept.get(id) ?? {
        addresses: inOrder(addresses),
        fetcher: createFetcher(tls, { host, addresses }),
      };
      kept.set(id, own);
      return own.fetcher;
    },
    /** Closes those of upstreams that are gone or have moved: their connections are at addresses of before. */
    keep(upstreams: readonly LocatedUpstream[]): void {
      const present = new Map(upstreams.map(({ id, addresses }) => [id, inOrder(addresses)]));
      for (const [id, own] of kept) if (present.get(id) !== own.addresses) close(id, own);
    },
    /** Resolves when all are closed, those of former addresses included. */
    async close(): Promise<void> {
      for (const [id, own] of kept) close(id, own);
      await Promise.all(closing);
    },
  };
}

function inOrder(addresses: readonly string[]): string {
  return addresses.toSorted().join();
}
