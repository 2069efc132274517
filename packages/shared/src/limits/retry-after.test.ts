import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prolong, retryAfterMs, THROTTLE_FIRST_MS, type Throttle } from './retry-after.ts';

const NOW = 1_700_000_000_000;
const MOST_MS = 30_000;

function throttleAt(refusals: readonly (readonly [at: number, askedMs: number | null])[]): Throttle {
  const throttle = { throttledUntil: 0, throttleMs: THROTTLE_FIRST_MS };
  for (const [at, askedMs] of refusals) prolong(throttle, at, { askedMs, mostMs: MOST_MS });
  return throttle;
}

test.each<[string | string[] | null | undefined, number | null]>([
  ['2', 2000],
  [' 0 ', 0],
  [['3', '9'], 3000],
  [[], null],
  ['Tue, 14 Nov 2023 22:13:25 GMT', 5000],
  ['Tue, 14 Nov 2023 22:13:15 GMT', 0],
  ['1.5e300', null],
  ['soon', null],
  ['', null],
  [null, null],
  [undefined, null],
])('a Retry-After of %j asks to wait %j ms', (header, expected) => {
  expect(retryAfterMs(header, NOW)).toBe(expected);
});

describe('an upstream that answers with a limit is left alone', () => {
  test.each<[string, Parameters<typeof throttleAt>[0], number]>([
    ['for a second where it names no time', [[NOW, null]], 1000],
    ['for a second where the time that it names is over by our clock', [[NOW, 0]], 1000],
    ['for as long as it asks', [[NOW, 7000]], 7000],
    ['for no longer than is allowed', [[NOW, 3_600_000]], MOST_MS],
    [
      'for the longest of what it asks at once',
      [
        [NOW, 9000],
        [NOW + 10, 2000],
      ],
      9000,
    ],
    [
      'no longer because several were out together',
      [
        [NOW, null],
        [NOW + 10, null],
      ],
      1000,
    ],
  ])('%s', (_, refusals, waitMs) => {
    expect(throttleAt(refusals).throttledUntil).toBe(NOW + waitMs);
  });

  test('twice as long each time that it refuses after the wait, up to what is allowed', () => {
    const throttle = throttleAt([]);
    const waits = Array.from({ length: 7 }, () => {
      const at = throttle.throttledUntil;
      prolong(throttle, at, { askedMs: null, mostMs: MOST_MS });
      return throttle.throttledUntil - at;
    });
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, MOST_MS, MOST_MS]);
  });

  test('never longer than is allowed, nor shorter than before, whatever it asks', () => {
    const asked = fc.option(fc.double({ min: 0, max: 1e12, noNaN: true }));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(60_000), asked), { minLength: 1 }), (refusals) => {
        const throttle = throttleAt([]);
        let at = NOW;
        for (const [pause, askedMs] of refusals) {
          at += pause;
          const before = throttle.throttledUntil;
          const changed = prolong(throttle, at, { askedMs, mostMs: MOST_MS });
          expect(throttle.throttledUntil).toBeGreaterThanOrEqual(before);
          expect(throttle.throttledUntil).toBeLessThanOrEqual(at + MOST_MS);
          expect(throttle.throttledUntil).toBeGreaterThan(at - 1);
          if (!changed) expect(throttle.throttledUntil).toBe(before);
        }
      }),
    );
  });
});
