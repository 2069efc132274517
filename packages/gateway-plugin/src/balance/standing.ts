// Decides: who may be picked by a request that asks for nothing special. Worked out when something has changed or a time is over,
// not for each request: a pick then only compares loads. Must not know: requests, answers.
import { lastingReasons, type NetworkState, nextEndOf, type Standing } from './network-state.ts';
import { firstTier, isBearable, isTooFarBehind, preferred } from './prefer.ts';
import { warmUp } from './slow-start.ts';
import { isStale } from './snapshot.ts';
import { forgetUnsupported } from './unsupported.ts';

export function standingOf(state: NetworkState, now: number): Standing {
  const { standing } = state;
  if (standing !== null && standing.changeCount === state.changes.count && now < standing.until)
    return standing;
  state.standing = workOut(state, now);
  return state.standing;
}

function workOut(state: NetworkState, now: number): Standing {
  const { members, snapshot } = state;
  state.stale = snapshot !== null && isStale(snapshot, now, state.rankingMaxAgeMs);
  const reasons = lastingReasons(state, now);
  for (const member of members) {
    const reason = reasons[member.index] ?? null;
    if (member.reason !== null && reason === null) member.recoveredAt = now;
    if (member.reason !== reason) member.reasonAt = now;
    member.reason = reason;
    forgetUnsupported(member, now);
  }
  const warmUntil = warmUp(state, now);
  const eligible = members.filter((member) => member.reason === null);
  const bearable = members.filter((member) => isBearable(state, member.reason));
  state.fallenBack = isTooFarBehind(state, bearable);
  const tier = firstTier(state, eligible, bearable);
  return {
    changeCount: state.changes.count,
    until: Math.min(nextEndOf(state, now), warmUntil),
    reasons,
    first: state.zone === null ? preferred(state, tier) : tier,
    conditional: members.some(({ maxConns, unsupported }) => maxConns !== null || unsupported.size > 0),
  };
}
