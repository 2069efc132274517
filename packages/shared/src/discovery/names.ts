// Decides: which addresses the names of a network have, as they were last resolved; what is known stays when a name fails.
// Must not know: timers, connections. Whoever keeps it asks it to resolve what is due.
import { type LocatedUpstream, locateUpstreams, nameOf } from '../config/addresses.ts';
import type { NetworkConfig } from '../config/network.ts';
import type { Log } from '../log.ts';

/** How names become addresses. */
export interface Resolver {
  /** All addresses of a name, the preferred first. Rejects, or gives none, where the name has none. */
  resolve(name: string): Promise<readonly string[]>;
  /** From one resolution of a name to the next, in ms. */
  readonly intervalMs: number;
}

export interface NamesOptions {
  readonly network: string;
  readonly config: NetworkConfig;
  readonly resolver: Resolver;
  readonly log: Log;
  /** Those of the configuration before this one, of which the addresses are believed until they are resolved again. */
  readonly before?: Names;
  /** Told the upstreams whenever an address came or went. */
  readonly onChange: (upstreams: readonly LocatedUpstream[]) => void;
}

export interface Names {
  /** As the addresses are known now. */
  upstreams(): readonly LocatedUpstream[];
  /** None where it has not been resolved yet. */
  addressesOf(name: string): readonly string[];
  /** Configured ids of the upstreams whose name did not resolve last time. */
  unresolved(): readonly string[];
  /** Begins to resolve the names that are due; resolves when no name is being resolved. Never rejects. */
  refresh(now: number): Promise<void>;
  /** From now on nothing changes any more. */
  close(): void;
}

/** What is known of one name. */
interface Known {
  readonly name: string;
  /** Configured upstreams with this name. */
  readonly ids: readonly string[];
  addresses: readonly string[];
  failed: boolean;
  dueAt: number;
  running: Promise<void> | null;
}

/** A name that does not resolve is tried again so soon: its nodes may just be starting. */
const RETRY_MS = 2000;

/** What is accepted as an address; the longest has 39 characters. */
const ADDRESS = /^[0-9a-f.:]{2,39}$/;

export function createNames({ network, config, resolver, log, before, onChange }: NamesOptions): Names {
  const idsOf = Map.groupBy(config.upstreams, nameOf);
  const names = new Map<string, Known>();
  for (const [name, upstreams] of idsOf) {
    if (name === null) continue;
    const ids = upstreams.map(({ id }) => id);
    names.set(name, {
      name,
      ids,
      addresses: before?.addressesOf(name) ?? [],
      failed: false,
      dueAt: 0,
      running: null,
    });
  }
  const addressesNow = (name: string) => names.get(name)?.addresses ?? [];
  const locate = () => locateUpstreams(config, addressesNow);
  let located = locate();
  let closed = false;

  async function resolveOne(known: Known, startedAt: number): Promise<void> {
    const addresses = await addressesOf(resolver, known.name);
    known.running = null;
    if (closed) return;
    note(known, addresses.length === 0);
    known.dueAt = startedAt + (known.failed ? Math.min(RETRY_MS, resolver.intervalMs) : resolver.intervalMs);
    if (known.failed || isSame(addresses, known.addresses)) return;
    known.addresses = addresses;
    located = locate();
    onChange(located);
  }

  /** A line for each change, not for each try. */
  function note(known: Known, failed: boolean): void {
    if (known.failed === failed) return;
    known.failed = failed;
    for (const upstream of known.ids) {
      if (failed)
        log.warn(
          { network, upstream },
          'the host name of an upstream does not resolve; addresses that were known stay in use',
        );
      else log.info({ network, upstream }, 'the host name of an upstream resolves again');
    }
  }

  return {
    upstreams: () => located,
    addressesOf: addressesNow,
    unresolved: () => [...names.values()].flatMap(({ failed, ids }) => (failed ? ids : [])),
    async refresh(now) {
      for (const known of names.values()) {
        if (known.running === null && now >= known.dueAt) known.running = resolveOne(known, now);
      }
      await Promise.all([...names.values()].map(({ running }) => running));
    },
    close() {
      closed = true;
    },
  };
}

/** Each once, in the resolver's order; none where it fails. */
async function addressesOf(resolver: Resolver, name: string): Promise<readonly string[]> {
  try {
    const found = await resolver.resolve(name);
    const addresses = found.map((address) => address.toLowerCase());
    return [...new Set(addresses.filter((address) => ADDRESS.test(address)))];
  } catch {
    return [];
  }
}

/** In any order: resolvers rotate their answers. */
function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((address) => others.includes(address));
}
