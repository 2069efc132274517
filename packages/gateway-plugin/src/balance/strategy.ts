// Decides: which one of equally eligible upstreams gets the next attempt. One function per strategy.
// Must not know: reasons, tiers. Source of the first two: ngx_http_upstream_least_conn_module, ngx_http_upstream_round_robin.
import type { Strategy } from '@rpc-balancer/shared';
import { latencyNow } from './latency.ts';
import { loadOf, type Member } from './member.ts';
import type { NetworkState } from './network-state.ts';

export interface Circumstances {
  readonly now: number;
  readonly random: () => number;
}

type Choose = (members: readonly Member[], first: Member, state: NetworkState, at: Circumstances) => Member;

const STRATEGY: Readonly<Record<Strategy, Choose>> = {
  least_conn: leastConnections,
  round_robin: (members, first) => smoothRoundRobin(members, first, null),
  latency: fasterOfTwo,
  single_best: holdWinner,
};

/** Null only when there is nobody. */
export function choose(
  members: readonly Member[],
  state: NetworkState,
  circumstances: Circumstances,
): Member | null {
  const [first] = members;
  if (first === undefined) return null;
  return members.length === 1
    ? alone(first, state)
    : STRATEGY[state.strategy](members, first, state, circumstances);
}

function alone(member: Member, state: NetworkState): Member {
  if (state.strategy === 'single_best') return holdWinner([member], member, state);
  return state.strategy === 'round_robin' ? smoothRoundRobin([member], member, null) : member;
}

/** Fewest attempts in flight per weight; only where several tie does the smooth weighting move, and only theirs. */
function leastConnections(members: readonly Member[], first: Member): Member {
  let best = first;
  let load = loadOf(first);
  let share = first.share;
  let tied = 0;
  for (const member of members) {
    const own = loadOf(member);
    // Multiplied crosswise, so that equal loads are exactly equal; most have the same load and share anyway.
    const difference = own === load && member.share === share ? 0 : own * share - load * member.share;
    if (difference < 0) {
      best = member;
      load = own;
      share = member.share;
      tied = 1;
    } else if (difference === 0) tied++;
  }
  if (tied === 1) return best;
  return smoothRoundRobin(members, best, tied < members.length ? best : null);
}

/** nginx's smooth weighting, over all or over those as loaded as `like`. */
function smoothRoundRobin(members: readonly Member[], first: Member, like: Member | null): Member {
  let best = like ?? first;
  let highest = Number.NEGATIVE_INFINITY;
  let total = 0;
  for (const member of members) {
    if (like !== null && loadOf(member) * like.share !== loadOf(like) * member.share) continue;
    const gain = Math.min(member.effectiveWeight, member.share);
    member.currentWeight += gain;
    total += gain;
    if (member.effectiveWeight < member.weight) member.effectiveWeight++;
    if (member.currentWeight > highest) {
      highest = member.currentWeight;
      best = member;
    }
  }
  best.currentWeight -= total;
  return best;
}

/** Two at random, the cheaper one: near the best choice, without the herd that the single fastest would draw. */
function fasterOfTwo(members: readonly Member[], first: Member, _: NetworkState, at: Circumstances): Member {
  const one = Math.floor(at.random() * members.length);
  const step = 1 + Math.floor(at.random() * (members.length - 1));
  const a = members[one] ?? first;
  const b = members[(one + step) % members.length] ?? first;
  return costOf(b, at.now) < costOf(a, at.now) ? b : a;
}

/** Expected wait. An upstream of which nothing is known gets one attempt, and no second before that is answered. */
function costOf(member: Member, now: number): number {
  const load = loadOf(member);
  const latencyMs = latencyNow(member, now);
  if (latencyMs === null) return load > 0 ? Number.POSITIVE_INFINITY : 0;
  return (latencyMs * (load + 1)) / member.share;
}

/** One takes all, for as long as it is among the preferred ones: a request that cannot have it makes nobody else the winner. */
function holdWinner(members: readonly Member[], first: Member, state: NetworkState): Member {
  const { winner, standing } = state;
  if (winner !== null && members.includes(winner)) return winner;
  if (winner === null || !standing?.first.includes(winner)) state.winner = first;
  return first;
}
