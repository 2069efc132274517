// Decides: whether a request may insist on one upstream, for debugging.
// Must not know: how it says so, or whether it may.
import type { Reason } from '@rpc-balancer/shared';
import type { Member } from './member.ts';
import { type NetworkState, reasonsNow } from './network-state.ts';
import { pick, type Refusal, refusal, type Wanted } from './pick.ts';

/** A pin looks past every other reason: what is wrong with an upstream is what somebody wants to see. */
const NOT_PINNED: ReadonlySet<Reason | null> = new Set(['disabled', 'drained', 'full']);

/** As {@link pick}, but for a request with a pin, which may have no other upstream, and that one once. */
export function pickFor(
  pin: string | null,
  state: NetworkState,
  wanted: Wanted,
  now: number,
  random: () => number,
): Member | Refusal {
  if (pin === null) return pick(state, wanted, now, random);
  const member = state.members.find(({ id }) => id === pin);
  const reason = (member && reasonsNow(state, now)[member.index]) ?? null;
  if (!member || wanted.tried.includes(member) || NOT_PINNED.has(reason)) return refusal(state, wanted, now);
  return member;
}
