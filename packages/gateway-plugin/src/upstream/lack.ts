// Decides: what is remembered when an upstream said that it lacks what a call needs.
// Must not know: which words it said it in, or for how long it is believed.
import { knownHead } from '../balance/blocks.ts';
import type { Member } from '../balance/member.ts';
import type { NetworkState } from '../balance/network-state.ts';
import { markUnsupported } from '../balance/unsupported.ts';
import type { Call } from './call.ts';

/**
 * A method is lacked for every block. History is lacked up to the height that the call named, and only where that lies
 * further back than upstreams may lag: of a later block the node may just not have heard yet. By hash nothing is
 * remembered, since a block may also be unknown because it was never part of the chain.
 */
export function noteLack(
  state: NetworkState,
  member: Member,
  { lacked, method, view }: Call,
  now: number,
): void {
  if (lacked === 'method') markUnsupported(member, method, Number.POSITIVE_INFINITY, now);
  const number = view?.named?.number ?? null;
  if (lacked !== 'history' || number === null) return;
  if (number <= knownHead(state, member, now) - state.maxLagBlocks)
    markUnsupported(member, method, number, now);
}
