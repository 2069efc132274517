// Decides: how a ranking goes to the store and how the last one comes back; a store out of reach stops neither.
// Must not know: what stands in a ranking, or when it is published.
import {
  BalancerError,
  decodeRanking,
  foreignText,
  type Lease,
  type Log,
  type PublishResult,
  type Ranking,
  type Store,
} from '@rpc-balancer/shared';

interface PublishOptions {
  readonly network: string;
  readonly rankingMaxAgeMs: number;
  readonly store: Store;
  readonly log: Log;
  readonly onPublished: (ranking: Ranking) => void;
}

/** `unsent`: the store is out of reach; the next ranking may get through, as long as the lease is held. */
export async function publish(
  { store, rankingMaxAgeMs, onPublished }: PublishOptions,
  lease: Lease,
  ranking: Ranking,
): Promise<PublishResult | 'unsent'> {
  try {
    const result = await store.publish(lease, ranking, rankingMaxAgeMs);
    if (result === 'accepted') onPublished(ranking);
    return result;
  } catch (error) {
    throwUnlessStore(error);
    return 'unsent';
  }
}

/** What the publisher before us knew: agreed head, identity, block interval. */
export async function lastRanking({ store, network, log }: PublishOptions): Promise<Ranking | null> {
  try {
    const text = await store.readRanking(network);
    if (text === null) return null;
    const ranking = decodeRanking(text);
    if (!('invalid' in ranking)) return ranking;
    log.warn(
      { network, problem: foreignText(ranking.invalid) },
      'the stored ranking is not ours; going on without it',
    );
  } catch (error) {
    throwUnlessStore(error);
  }
  return null;
}

function throwUnlessStore(error: unknown): void {
  if (!(error instanceof BalancerError && error.code === 'RPCB_STORE')) throw error;
}
