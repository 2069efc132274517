// Decides: whether a known lag grows only by what somebody has seen.
import { expect, test } from 'vitest';
import { knownLag, type Looked } from './lag.ts';

const lagOf = (looked: Partial<Looked>): number =>
  knownLag({
    ...{ behindBlocks: 8, unseenMs: 0, headUnseenMs: 0, blockIntervalMs: 250 },
    ...{ lagBefore: null, sinceBeforeMs: null },
    ...looked,
  });

test.each<[string, Partial<Looked>, number]>([
  ['is all that an upstream is behind that is looked at now', {}, 8],
  ['is less by the blocks that were made since somebody looked', { unseenMs: 1000 }, 4],
  ['counts a block that is being made', { unseenMs: 1249 }, 4],
  ['is all of it while the head was not looked at either', { unseenMs: 9000, headUnseenMs: 9000 }, 8],
  ['is less by what was made until somebody looked at the head', { unseenMs: 1500, headUnseenMs: 500 }, 4],
  ['is all of it when it was looked at after the head', { unseenMs: 500, headUnseenMs: 1500 }, 8],
  ['is never below nought', { unseenMs: 9000 }, 0],
  ['is all of it while the block interval is not known', { unseenMs: 9000, blockIntervalMs: null }, 8],
  ['does not grow unseen', { unseenMs: 100, lagBefore: 2, sinceBeforeMs: 100 }, 2],
  ['does not shrink by a ranking', { unseenMs: 1000, lagBefore: 9, sinceBeforeMs: 0 }, 4],
  ['grows by a look since the last ranking', { unseenMs: 100, lagBefore: 2, sinceBeforeMs: 101 }, 8],
  ['grows by silence', { lagBefore: 2, sinceBeforeMs: 0 }, 8],
  ['is not bound by an unknown one', { unseenMs: 100, sinceBeforeMs: 0 }, 8],
])('a known lag %s', (_, looked, lagBlocks) => {
  expect(lagOf(looked)).toBe(lagBlocks);
});
