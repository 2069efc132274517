// Decides: what the status document tells of this replica.
// Must not know: HTTP, URLs.
import type { Budget, Reason, StoreHealth, Tier } from '@rpc-balancer/shared';
import { restEndsAt, trialWaitMs } from '../balance/ejection.ts';
import type { Member } from '../balance/member.ts';
import { areAllFailed, reasonsNow } from '../balance/network-state.ts';
import { isStale } from '../balance/snapshot.ts';
import type { Network } from '../upstream/network.ts';
import { conditionOf, type NetworkCondition } from './readiness.ts';

export interface UpstreamStatus {
  readonly id: string;
  readonly tier: Tier;
  readonly weight: number;
  /** `eligible`, `standby` (a better tier is), or `excluded` for `reason`. */
  readonly state: 'eligible' | 'standby' | 'excluded';
  readonly reason: Reason | null;
  readonly head: number | null;
  readonly lagBlocks: number | null;
  readonly latencyP50Ms: number | null;
  readonly latencyP95Ms: number | null;
  readonly errorRatio: number | null;
  readonly score: number | null;
  /** Of its machine or the node, in the unit of its source. */
  readonly load: number | null;
  /** What is used and left of its limit over the whole cluster, by the last ranking. */
  readonly budget: Budget | null;
  readonly inFlight: number;
  /** Attempts since the start of this replica. */
  readonly requests: number;
  readonly fails: number;
  /** Said by an operator; null unless the upstream is drained. `since` in epoch ms. */
  readonly drained: {
    readonly since: number;
    readonly by: string | null;
    readonly reason: string | null;
  } | null;
  /** Epoch ms; null unless the upstream is ejected. */
  readonly ejectedUntil: number | null;
}

export interface RankingStatus {
  readonly epoch: number;
  readonly seq: number;
  readonly publisher: string;
  readonly ageMs: number;
  readonly stale: boolean;
}

export interface NetworkStatus {
  readonly state: NetworkCondition;
  readonly configHash: string;
  /** Whether the publisher has the same configuration; null while there is no ranking. */
  readonly configMatches: boolean | null;
  readonly identity: string | null;
  readonly head: number | null;
  readonly finalized: number | null;
  /** Since when it has had no new block though several were due, epoch ms; null while it goes on, or that is not known. */
  readonly stalledSince: number | null;
  readonly ranking: RankingStatus | null;
  readonly upstreams: readonly UpstreamStatus[];
}

export interface Status {
  readonly instance: string;
  readonly version: string;
  readonly mode: 'embedded' | 'cluster';
  readonly uptimeMs: number;
  readonly store: StoreHealth & { readonly kind: string };
  readonly networks: Readonly<Record<string, NetworkStatus>>;
}

export function networkStatus(network: Network, now: number): NetworkStatus {
  const { state, hash } = network;
  const reasons = reasonsNow(state, now);
  const eligible = state.members.filter((member) => reasons[member.index] === null);
  const bestRank = Math.min(...eligible.map((member) => member.tierRank));
  const { snapshot } = state;
  const stale = snapshot !== null && isStale(snapshot, now, state.rankingMaxAgeMs);
  return {
    state: conditionOf(network, now),
    configHash: hash,
    configMatches: snapshot && snapshot.ranking.configHash === hash,
    identity: snapshot?.ranking.identity ?? null,
    head: snapshot?.ranking.head?.number ?? null,
    finalized: snapshot?.ranking.finalized ?? null,
    stalledSince: stale ? null : (snapshot?.ranking.stalledSince ?? null),
    ranking: snapshot && {
      epoch: snapshot.ranking.epoch,
      seq: snapshot.ranking.seq,
      publisher: snapshot.ranking.publisher,
      ageMs: Math.round(now - snapshot.acceptedAt),
      stale,
    },
    upstreams: state.members.map((member) =>
      upstreamStatus(network, member, reasons[member.index] ?? null, bestRank),
    ),
  };
}

function upstreamStatus(
  { state }: Network,
  member: Member,
  reason: Reason | null,
  bestRank: number,
): UpstreamStatus {
  const { drained } = member;
  const ranked = state.snapshot?.upstreams.get(member.id);
  const standby = reason === null && member.tierRank > bestRank;
  return {
    id: member.id,
    tier: member.tier,
    weight: member.weight,
    state: standby ? 'standby' : reason === null ? 'eligible' : 'excluded',
    reason: standby ? 'standby' : reason,
    head: ranked?.head?.number ?? null,
    lagBlocks: ranked?.lagBlocks ?? null,
    latencyP50Ms: ranked?.latencyP50Ms ?? null,
    latencyP95Ms: ranked?.latencyP95Ms ?? null,
    errorRatio: ranked?.errorRatio ?? null,
    score: ranked?.score ?? null,
    load: ranked?.load ?? null,
    budget: ranked?.budget ?? null,
    inFlight: member.inFlight,
    requests: member.requests,
    fails: member.fails,
    drained: drained && { since: drained.since, by: drained.by, reason: drained.reason },
    ejectedUntil:
      reason === 'ejected' ? Math.round(restEndsAt(member, trialWaitMs(member, areAllFailed(state)))) : null,
  };
}
