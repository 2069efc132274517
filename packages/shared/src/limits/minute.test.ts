import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Minute } from './minute.ts';

const NOW = 1_700_000_000_000;

test('an event counts for sixty whole seconds, its own included', () => {
  const minute = new Minute();
  minute.add(NOW);
  minute.add(NOW + 999);
  expect(minute.count(NOW + 59_999)).toBe(2);
  expect(minute.count(NOW + 60_000)).toBe(0);
});

test('a clock that goes back loses nothing', () => {
  const minute = new Minute();
  minute.add(NOW);
  minute.add(NOW - 30_000);
  expect(minute.count(NOW)).toBe(2);
});

test('the count is that of the events of the last sixty seconds, whatever came before', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20_000), { maxLength: 60 }), (pauses) => {
      const minute = new Minute();
      const seconds: number[] = [];
      let now = NOW;
      for (const pause of pauses) {
        now += pause;
        minute.add(now);
        seconds.push(Math.floor(now / 1000));
      }
      const recent = seconds.filter((second) => second > Math.floor(now / 1000) - 60);
      expect(minute.count(now)).toBe(recent.length);
    }),
  );
});
