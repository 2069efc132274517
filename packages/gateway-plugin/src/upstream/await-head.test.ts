import { expect, test } from 'vitest';
import { probed, rankingOf } from '../../test/members.ts';
import { nextSnapshot } from '../balance/snapshot.ts';
import { headShown } from './await-head.ts';
import { Cancellation } from './cancellation.ts';

const NOW = 1_704_067_200_000;

/** How long a block is waited for that never comes, on a chain with this time between two blocks. */
async function waitedMs(blockIntervalMs: number): Promise<number> {
  const state = probed([{}], [null], NOW);
  state.snapshot = nextSnapshot(null, { ...rankingOf([null]), blockIntervalMs }, NOW);
  const begunAt = performance.now();
  await headShown(state, 1, new Cancellation());
  return performance.now() - begunAt;
}

test('a block of a slow chain is waited for a second and not for its interval, that of a fast chain for its interval', async () => {
  const [slow, fast] = await Promise.all([waitedMs(60_000), waitedMs(20)]);
  expect(slow).toBeGreaterThan(900);
  expect(fast).toBeLessThan(slow);
});
