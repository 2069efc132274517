// nginx itself is asked: the same random scenarios for it and for a replica with `compat: nginx`. `pnpm test:oracle --seed N
// --count M` plays thousands. This test alone waits by the clock, because nginx has no other.
import { expect, test } from 'vitest';
import { runOracle } from './run.ts';

const COUNT = 60;

test('a replica with compat nginx tries the same nodes and answers with the same status as nginx, hit for hit', async () => {
  const played = await runOracle(1, COUNT);
  expect(played.filter(({ difference }) => difference !== null)).toEqual([]);
  expect(played).toHaveLength(COUNT);
  // Where the machine was too slow for nginx's seconds, the rest of a scenario is left out; half is far from the usual.
  const compared = played.reduce((sum, one) => sum + one.compared, 0);
  expect(compared).toBeGreaterThan(played.reduce((sum, { stepCount }) => sum + stepCount, 0) / 2);
}, 120_000);
