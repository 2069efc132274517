// Decides: what of a published ranking is believed, and for how long.
// Must not know: how it arrived. A snapshot is replaced, never edited.
import { isHard, isNewer, type RankedUpstream, type Ranking, type Reason } from '@rpc-balancer/shared';
import type { Member } from './member.ts';

export interface Snapshot {
  readonly ranking: Ranking;
  /** Own clock at acceptance, epoch ms: ages do not depend on the publisher's clock. */
  readonly acceptedAt: number;
  readonly upstreams: ReadonlyMap<string, RankedUpstream>;
  /** Since when each upstream has had its reason, or one that means the same here, without a break; by own clock. */
  readonly reasonSince: ReadonlyMap<string, number>;
  /** What every upstream has that may be picked; -1 where one of them said nothing. */
  readonly lowestHead: number;
  readonly lowestFinalized: number;
}

/** The next snapshot, or null if the ranking is not newer: (epoch, seq) never goes down. */
export function nextSnapshot(previous: Snapshot | null, ranking: Ranking, now: number): Snapshot | null {
  if (previous && !isNewer(ranking, previous.ranking)) return null;
  const upstreams = ranking.upstreams.map(asHeardHere);
  const excluded = upstreams.filter((upstream) => upstream.reason !== null);
  const usable = upstreams.filter(({ reason }) => reason === null || isOutweighed(reason));
  return Object.freeze({
    ranking,
    acceptedAt: now,
    upstreams: new Map(upstreams.map((upstream) => [upstream.id, upstream])),
    reasonSince: new Map(excluded.map(({ id, reason }) => [id, sinceOf(previous, id, reason) ?? now])),
    lowestHead: Math.min(...usable.map(({ head }) => head?.number ?? -1)),
    lowestFinalized: Math.min(...usable.map(({ finalized }) => finalized ?? -1)),
  });
}

/**
 * A limit that the sidecar met may be that of its own address: here the upstream is one of which nothing is known. It is
 * throttled for this replica when it says so to this replica.
 */
function asHeardHere(upstream: RankedUpstream): RankedUpstream {
  return upstream.reason === 'throttled' ? { ...upstream, reason: 'unprobed' } : upstream;
}

export function isStale(snapshot: Snapshot, now: number, maxAgeMs: number): boolean {
  return now - snapshot.acceptedAt > maxAgeMs;
}

/** Whether an upstream was restarted between two snapshots, so that its caches are cold although it was never away. */
export function wasRestarted(previous: Snapshot | null, next: Snapshot, id: string): boolean {
  const before = previous?.upstreams.get(id);
  const restartedAt = next.upstreams.get(id)?.restartedAt;
  return before !== undefined && restartedAt !== undefined && restartedAt !== before.restartedAt;
}

/** Verdicts of the sidecar that a gateway's own success outweighs: its network may be broken, not the node's. */
const OUTWEIGHED: ReadonlySet<Reason> = new Set(['unreachable', 'probe_timeout', 'probe_failed']);

/** A success from before the sidecar lost the upstream says nothing, even if another reason stood there then. */
function sinceOf(previous: Snapshot | null, id: string, reason: Reason | null): number | undefined {
  const before = previous?.upstreams.get(id)?.reason ?? null;
  const same = before === reason || (isOutweighed(before) && isOutweighed(reason));
  return same ? previous?.reasonSince.get(id) : undefined;
}

export function isOutweighed(reason: Reason | null): boolean {
  return reason !== null && OUTWEIGHED.has(reason);
}

/** What the ranking says against an upstream; a stale one only keeps its hard reasons. */
export function probedReason(snapshot: Snapshot | null, member: Member, stale: boolean): Reason | null {
  if (snapshot === null) return 'unprobed';
  const reason = snapshot.upstreams.get(member.id)?.reason;
  if (stale) return reason && isHard(reason) ? reason : null;
  if (reason === undefined) return 'unprobed';
  if (reason === null) return null;
  const since = snapshot.reasonSince.get(member.id) ?? snapshot.acceptedAt;
  const outweighed =
    isOutweighed(reason) && member.succeededAt > since && member.succeededAt > member.failedAt;
  return outweighed ? null : reason;
}
