// nginx itself is asked: the same random scenarios for it and for a replica with `compat: nginx`. `pnpm test:oracle --seed N
// --count M` plays thousands. This test alone waits by the clock, because nginx has no other.
import { expect, test } from 'vitest';
import { runOracle } from './run.ts';

const COUNT = 60;

test('a replica with compat nginx tries the same nodes and answers with the same status as nginx, hit for hit', async () => {
  const played = await runOracle(1, COUNT);
  expect(played.filter(({ difference }) => difference !== null)).toEqual([]);
  expect(played).toHaveLength(COUNT);
  // Where the machine was too slow for nginx's seconds, the rest of a scenario is left out: usually of none, on a busy machine of
  // most. One step of each must have been seen at the least, on average, or nothing was shown.
  expect(played.reduce((sum, { compared }) => sum + compared, 0)).toBeGreaterThanOrEqual(COUNT);
}, 120_000);
