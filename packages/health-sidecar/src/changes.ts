// Decides: what is logged of a ranking that says something else than the one before.
// Must not know: how it came about, or where it goes.
import type { Log, RankingDraft } from '@rpc-balancer/shared';

export interface ChangesLog {
  readonly network: string;
  readonly log: Log;
}

/** @param before null: nothing is known of before */
export function logChanges(
  { log, network }: ChangesLog,
  before: RankingDraft | null,
  after: RankingDraft,
): void {
  const reasons = new Map(before?.upstreams.map(({ id, reason }) => [id, reason]));
  for (const { id, reason } of after.upstreams) {
    const was = reasons.get(id) ?? null;
    if (was !== reason) log.info({ network, upstream: id, reason, was }, 'the reason of an upstream changed');
  }
  const { stalledSince } = after;
  const fields = { network, head: after.head?.number };
  if (stalledSince !== undefined && before?.stalledSince === undefined) {
    log.warn({ ...fields, stalledSince }, 'the network has no new block though several were due; serving on');
  } else if (stalledSince === undefined && before?.stalledSince !== undefined) {
    log.info(fields, 'the network has new blocks again');
  }
}
