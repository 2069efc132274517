// Decides: how long a call waits for a block that is just being announced.
// Must not know: who will have it.
import { missingBlocks } from '../balance/blocks.ts';
import type { BlockNeed } from '../balance/heads.ts';
import type { Member } from '../balance/member.ts';
import type { NetworkState } from '../balance/network-state.ts';
import type { Cancellation } from './cancellation.ts';

/** A client that asks for a block further ahead is not about to read what it has just heard of. */
const AWAITED_BLOCKS_MAX = 3;

/** Clients give a quick read a second or two; a slower chain's next block is not worth holding them up. */
const AWAITED_MS_MAX = 1000;

/** The head to wait for before this upstream is asked, which is the best there is; null for none. */
export function comingHead(
  state: NetworkState,
  member: Member,
  need: BlockNeed | null,
  tried: readonly Member[],
  now: number,
): number | null {
  if (need === null) return null;
  const missing = missingBlocks(state, member, need, tried, now);
  return missing > 0 && missing <= AWAITED_BLOCKS_MAX ? need.head : null;
}

/** Resolves when an upstream shows this head, or when it has taken too long, or the request is over. */
export function headShown(
  { heads, snapshot }: NetworkState,
  head: number,
  cancellation: Cancellation,
): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      unwatch();
      cancellation.offCancel(end);
      resolve();
    };
    const intervalMs = snapshot?.ranking.blockIntervalMs ?? AWAITED_MS_MAX;
    const timer = setTimeout(end, Math.min(intervalMs, AWAITED_MS_MAX));
    const unwatch = heads.watch((shown) => {
      if (shown >= head) end();
    });
    cancellation.onCancel(end);
  });
}
