// Decides: the balancing state of one network in this replica, and why each upstream may not be picked right now.
// Must not know: requests, answers, Redis.
import { isHard, type NetworkConfig, type Reason } from '@rpc-balancer/shared';
import { isFailed, trialWaitMs } from './ejection.ts';
import { createMember, type Member } from './member.ts';
import { isStale, probedReason, type Snapshot } from './snapshot.ts';

export interface NetworkState {
  readonly members: readonly Member[];
  /** False for `probe: off`: then only passive health speaks. */
  readonly probed: boolean;
  readonly rankingMaxAgeMs: number;
  /** Replaced by the feed, never edited. */
  snapshot: Snapshot | null;
}

export function createNetworkState(config: NetworkConfig, rankingMaxAgeMs: number): NetworkState {
  return {
    members: config.upstreams.map(createMember),
    probed: config.probe !== null,
    rankingMaxAgeMs,
    snapshot: null,
  };
}

/** One reason (or none) per member, in configuration order. Hard reasons come first: they decide. */
export function reasonsNow(state: NetworkState, now: number): (Reason | null)[] {
  const { members, snapshot } = state;
  const stale = snapshot !== null && isStale(snapshot, now, state.rankingMaxAgeMs);
  const allFailed = areAllFailed(state);
  const reasons: (Reason | null)[] = [];
  for (const member of members) reasons.push(reasonOf(state, member, now, { stale, allFailed }));
  return reasons;
}

interface Circumstances {
  readonly stale: boolean;
  readonly allFailed: boolean;
}

function reasonOf(
  state: NetworkState,
  member: Member,
  now: number,
  { stale, allFailed }: Circumstances,
): Reason | null {
  if (member.disabled) return 'disabled';
  const probed = state.probed ? probedReason(state.snapshot, member, stale) : null;
  if (probed !== null && isHard(probed)) return probed;
  const failed = isFailed(member, state.members.length);
  if (failed && now - member.checkedAt <= trialWaitMs(member, allFailed)) return 'ejected';
  if (member.throttledUntil > now) return 'throttled';
  if (member.maxConns !== null && member.inFlight >= member.maxConns) return 'full';
  return probed ?? refusedReason(state, member, now);
}

/** Real traffic was answered 401 or 403: believed until the next good probe, without probes for `failTimeout`. */
function refusedReason({ snapshot, probed }: NetworkState, member: Member, now: number): Reason | null {
  const believedFrom = probed && snapshot ? snapshot.acceptedAt : now - member.failTimeoutMs;
  return member.unauthorizedAt > believedFrom ? 'unauthorized' : null;
}

/** Whether every upstream that could be used at all has reached `maxFails`. */
export function areAllFailed(state: NetworkState): boolean {
  const { members } = state;
  return members.every((member) => isFailed(member, members.length) || isOut(state, member));
}

/** Not to be used whatever its traffic says: by the configuration, or by a hard verdict of the probes. */
function isOut({ snapshot, probed }: NetworkState, member: Member): boolean {
  if (member.disabled) return true;
  const reason = probed ? snapshot?.upstreams.get(member.id)?.reason : null;
  return reason != null && isHard(reason);
}
