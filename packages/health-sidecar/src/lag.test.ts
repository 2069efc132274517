// Decides: whether a known lag grows only by what somebody has seen.
import { expect, test } from 'vitest';
import { knownLag, type Looked } from './lag.ts';

const NOW = 1_704_067_200_000;

const lagOf = (looked: Partial<Looked>): number =>
  knownLag({ behindBlocks: 8, unseenMs: 0, blockIntervalMs: 250, before: null, now: NOW, ...looked });

test.each<[string, Partial<Looked>, number]>([
  ['is all that an upstream is behind that is looked at now', {}, 8],
  ['is less by the blocks that were made since somebody looked', { unseenMs: 1000 }, 4],
  ['counts a block that is being made', { unseenMs: 1249 }, 4],
  ['is never below nought', { unseenMs: 9000 }, 0],
  ['is all of it while the block interval is not known', { unseenMs: 9000, blockIntervalMs: null }, 8],
  ['does not grow unseen', { unseenMs: 100, before: { lagBlocks: 2, at: NOW - 100 } }, 2],
  ['does not shrink by a ranking', { unseenMs: 1000, before: { lagBlocks: 9, at: NOW } }, 4],
  ['grows by a look since the last ranking', { unseenMs: 100, before: { lagBlocks: 2, at: NOW - 101 } }, 8],
  ['grows by silence', { before: { lagBlocks: 2, at: NOW } }, 8],
])('a known lag %s', (_, looked, lagBlocks) => {
  expect(lagOf(looked)).toBe(lagBlocks);
});
