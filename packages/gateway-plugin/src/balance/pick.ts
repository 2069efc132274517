// Decides: which upstream gets the next attempt: tier, then least connections, ties by smooth round-robin (nginx's rules).
// Must not know: what is sent. Source of the order: ngx_http_upstream_least_conn_module.
import { isHard, type Reason } from '@rpc-balancer/shared';
import { trialWaitMs } from './ejection.ts';
import type { Member } from './member.ts';
import { areAllFailed, type NetworkState, reasonsNow } from './network-state.ts';

/** Nobody can be picked, and why. */
export interface Refusal {
  readonly reasons: Readonly<Record<string, Reason>>;
  /** Whether waiting for less load is what helps. */
  readonly overloaded: boolean;
  /** When it makes sense to come back, in ms. */
  readonly retryAfterMs: number;
}

/** Come back after this where no reason names an end. */
const RETRY_AFTER_DEFAULT_MS = 1000;

const LOAD_REASONS: ReadonlySet<Reason | null> = new Set(['full', 'throttled', 'budget_spent']);

/**
 * The member for the next attempt. Soft reasons are ignored before a request is refused, hard ones never.
 * @param tried members that this request has been sent to already
 */
export function pick(state: NetworkState, tried: readonly Member[], now: number): Member | null {
  const reasons = reasonsNow(state, now);
  const eligible = bestTier(
    state.members,
    (member) => reasons[member.index] === null && !tried.includes(member),
  );
  if (eligible.length > 0) return leastConnections(eligible);
  const spared = bestTier(
    state.members,
    (member) => !isHardOrNull(reasons[member.index]) && !tried.includes(member),
  );
  return spared.length > 0 ? leastConnections(spared) : null;
}

/** Says why {@link pick} found nobody, whatever the request tried before. */
export function refusal(state: NetworkState, now: number): Refusal {
  const reasons = reasonsNow(state, now);
  const named = state.members.flatMap((member) => {
    const reason = reasons[member.index];
    return reason ? [[member.id, reason] as const] : [];
  });
  const usable = state.members.filter(
    (member) => !member.disabled && reasons[member.index] !== 'wrong_chain',
  );
  const allFailed = areAllFailed(state);
  const ends = usable.map((member) => endOf(member, reasons[member.index] ?? null, now, allFailed));
  return {
    reasons: Object.fromEntries(named),
    overloaded:
      usable.length > 0 && usable.every((member) => LOAD_REASONS.has(reasons[member.index] ?? null)),
    retryAfterMs: Math.max(
      1,
      Math.min(...ends, usable.length > 0 ? Number.POSITIVE_INFINITY : RETRY_AFTER_DEFAULT_MS),
    ),
  };
}

function endOf(member: Member, reason: Reason | null, now: number, allFailed: boolean): number {
  if (reason === 'ejected') return member.checkedAt + trialWaitMs(member, allFailed) - now;
  if (reason === 'throttled') return member.throttledUntil - now;
  return RETRY_AFTER_DEFAULT_MS;
}

function isHardOrNull(reason: Reason | null | undefined): boolean {
  return reason === null || reason === undefined || isHard(reason);
}

/** The members of the first tier that has any for which `admits` holds, in configuration order. */
function bestTier(members: readonly Member[], admits: (member: Member) => boolean): Member[] {
  let best: Member[] = [];
  for (const member of members) {
    if (!admits(member)) continue;
    const rank = best[0]?.tierRank ?? Number.POSITIVE_INFINITY;
    if (member.tierRank < rank) best = [member];
    else if (member.tierRank === rank) best.push(member);
  }
  return best;
}

/** Fewest attempts in flight per weight; only where several tie does the smooth weighting move. */
function leastConnections(members: readonly Member[]): Member | null {
  let [best] = members;
  if (!best) return null;
  let tied: Member[] = [];
  for (const member of members) {
    const difference = member.inFlight * best.weight - best.inFlight * member.weight;
    if (difference < 0) {
      best = member;
      tied = [member];
    } else if (difference === 0) tied.push(member);
  }
  return tied.length > 1 ? smoothRoundRobin(tied) : best;
}

function smoothRoundRobin(members: readonly Member[]): Member | null {
  let best: Member | null = null;
  let total = 0;
  for (const member of members) {
    member.currentWeight += member.effectiveWeight;
    total += member.effectiveWeight;
    if (member.effectiveWeight < member.weight) member.effectiveWeight++;
    if (best === null || member.currentWeight > best.currentWeight) best = member;
  }
  if (best) best.currentWeight -= total;
  return best;
}
