// Decides: who should answer a read of what was written a moment ago.
// Must not know: requests, answers, how the write became known.
import type { Viewing } from './blocks.ts';
import { isFull, type Member } from './member.ts';
import type { NetworkState } from './network-state.ts';
import type { Wanted } from './pick.ts';
import { standingOf } from './standing.ts';

/** The upstream that took what one of the calls asks about; null when any will do, or when it cannot be picked. */
export function takerOf(
  state: NetworkState,
  calls: readonly Viewing[],
  { tried, tag }: Wanted,
  now: number,
): Member | null {
  for (const { view } of calls) {
    if (!view?.subject) continue;
    const id = state.writes.takerOf(view.subject, state.heads.mark, now);
    const member = id === null ? undefined : state.members.find((one) => one.id === id);
    if (member === undefined || tried.includes(member) || isFull(member)) continue;
    if (tag !== null && !member.tags.has(tag)) continue;
    if (standingOf(state, now).reasons[member.index] === null) return member;
  }
  return null;
}
