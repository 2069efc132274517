// Reconnections are spread and bounded.
import { expect, test } from 'vitest';
import { reconnectDelayMs } from './backoff.ts';

const attempts = [1, 2, 3, 4, 5, 6, 7, 8, 100, 5000];

test('delays double from a tenth of a second to five seconds and stay there', () => {
  const longest = attempts.map((attempt) => reconnectDelayMs(attempt, () => 1));
  expect(longest).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
});

test('half of a delay is up to chance', () => {
  const shortest = attempts.map((attempt) => reconnectDelayMs(attempt, () => 0));
  expect(shortest).toEqual([50, 100, 200, 400, 800, 1600, 2500, 2500, 2500, 2500]);
  expect(reconnectDelayMs(7, () => 0.5)).toBe(3750);
});
