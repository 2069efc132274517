// Decides: when the newest ranking is read, and that only a valid and newer one replaces the snapshot.
// Must not know: how rankings are made, or what is picked by them.
import { decodeRanking, type Log, type Store } from '@rpc-balancer/shared';
import { adoptSnapshot } from '../balance/network-state.ts';
import { isStale, nextSnapshot } from '../balance/snapshot.ts';
import type { Network } from '../upstream/network.ts';

/** Repairs a lost event. Rankings come every two seconds by default; reading as often costs one small command. */
const POLL_MS = 2000;

export interface FeedOptions {
  readonly networks: () => Iterable<Network>;
  readonly store: Store;
  readonly now: () => number;
  readonly log: Log;
  /** Told of every ranking that was refused because it is no valid document. */
  readonly onInvalid: (network: string) => void;
}

export interface Feed {
  stop(): Promise<void>;
}

/** Reads each network's ranking now, after each event, and every {@link POLL_MS}. */
export function startFeed({ networks, store, now, log, onInvalid }: FeedOptions): Feed {
  const reading = new Map<string, Promise<void>>();
  const again = new Map<string, Network>();
  const unserved = new Set<string>();
  const complaints = new Map<string, string>();

  async function read(network: Network): Promise<void> {
    const text = await store.readRanking(network.name);
    if (text === null) return;
    const ranking = decodeRanking(text);
    if ('invalid' in ranking) {
      onInvalid(network.name);
      if (complaints.get(network.name) === ranking.invalid) return;
      complaints.set(network.name, ranking.invalid);
      log.warn(
        { network: network.name, problem: ranking.invalid },
        'a ranking was refused: it is no valid document',
      );
      return;
    }
    complaints.delete(network.name);
    const { state } = network;
    const next = nextSnapshot(state.snapshot, ranking, now());
    if (next) adoptSnapshot(state, next);
  }

  /** One read per network at a time; all events that come meanwhile are answered by one more. */
  function refresh(network: Network): void {
    const { name } = network;
    if (reading.has(name)) {
      again.set(name, network);
      return;
    }
    const answered = read(network)
      .catch((error: Error) =>
        log.debug({ network: name, problem: error.message }, 'no ranking could be read'),
      )
      .then(() => {
        reading.delete(name);
        const next = again.get(name);
        if (again.delete(name) && next) refresh(next);
      });
    reading.set(name, answered);
  }

  function refreshAll(): void {
    for (const network of networks())
      if (network.config.probe && !reading.has(network.name)) refresh(network);
  }

  function watch(network: Network): void {
    const { snapshot, rankingMaxAgeMs, probed } = network.state;
    const stale = probed && (snapshot === null || isStale(snapshot, now(), rankingMaxAgeMs));
    if (stale && !unserved.has(network.name)) {
      unserved.add(network.name);
      log.warn(
        { network: network.name },
        'no fresh ranking: start a sidecar or set sidecar.embed: always, or check that it reaches the same Redis; serving by passive health',
      );
    } else if (!stale && unserved.delete(network.name)) {
      log.info({ network: network.name, publisher: snapshot?.ranking.publisher }, 'rankings arrive again');
    }
  }

  const unsubscribe = store.subscribe((event) => {
    if (event === null) return refreshAll();
    if (event.type !== 'ranking') return;
    for (const network of networks()) if (network.name === event.network) refresh(network);
  });
  const poll = setInterval(() => {
    refreshAll();
    for (const network of networks()) watch(network);
  }, POLL_MS);
  refreshAll();

  return {
    async stop() {
      clearInterval(poll);
      unsubscribe();
      again.clear();
      await Promise.all(reading.values());
    },
  };
}
