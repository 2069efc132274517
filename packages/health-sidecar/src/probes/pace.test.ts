import { validateConfig } from '@rpc-balancer/shared';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRandom } from '../../../../test/kit/clock.ts';
import { DUE_RATIO, jittered, paced } from './pace.ts';

const MINUTE_MS = 60_000;

function probeOf(probe: object) {
  const { networks } = validateConfig({
    networks: { main: { probe, upstreams: [{ id: 'a', url: 'http://127.0.0.1:1' }] } },
  });
  if (!networks.main?.probe) throw new TypeError('the network has probes');
  return networks.main.probe;
}

test('without a budget a probe is as configured', () => {
  const probe = probeOf({ interval: 100, attempts: 7 });
  expect(probe.maxPerMinute).toBeNull();
  expect(paced(probe, 5)).toBe(probe);
});

test('a budget that the interval keeps by itself changes no interval', () => {
  expect(paced(probeOf({ interval: '30s', maxPerMinute: 600 }), 5).interval).toBe(30_000);
});

test('a budget of less than one probe a minute is kept over several minutes', () => {
  expect(paced(probeOf({ maxPerMinute: 1 }), 5).interval).toBeGreaterThanOrEqual(5 * MINUTE_MS);
});

test('incident 11: no minute has more calls than the budget, also when a new publisher begins in the middle of it', () => {
  const budgets = fc.record({
    maxPerMinute: fc.integer({ min: 16, max: 5000 }),
    callsMax: fc.integer({ min: 1, max: 8 }),
    takesOverAt: fc.integer({ min: 0, max: 3 * MINUTE_MS }),
    seed: fc.integer(),
  });
  fc.assert(
    fc.property(budgets, ({ maxPerMinute, callsMax, takesOverAt, seed }) => {
      const random = createRandom(seed);
      const { interval, attempts } = paced(probeOf({ interval: 100, maxPerMinute }), callsMax);
      // As early as any probe can be due.
      const startsFrom = (from: number, to: number): number[] => {
        const starts: number[] = [];
        for (let at = from; at < to; at += Math.max(DUE_RATIO * interval, jittered(interval, random)))
          starts.push(at);
        return starts;
      };
      const starts = [...startsFrom(0, takesOverAt), ...startsFrom(takesOverAt, 6 * MINUTE_MS)];
      for (const start of starts) {
        const within = starts.filter((at) => at >= start && at < start + MINUTE_MS).length;
        expect(within * callsMax * attempts).toBeLessThanOrEqual(maxPerMinute);
      }
    }),
  );
});

test('the jitter of a round stays between what is due and a twentieth more', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (chance) => {
      const ms = jittered(1000, () => chance);
      expect(ms).toBeGreaterThan(1000 * DUE_RATIO);
      expect(ms).toBeLessThanOrEqual(1050);
    }),
  );
});
