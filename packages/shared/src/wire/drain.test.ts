import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Drain, decodeDrain, encodeDrain, nextDrain, readDrainCommand } from './drain.ts';

const NOTE = { upstream: 'a', by: 'anna', reason: 'disk' };

test('a word about a drain comes back as it went, whatever its texts are', () => {
  const text = fc.string({ unit: 'binary', maxLength: 128 });
  fc.assert(
    fc.property(text, text, fc.boolean(), (by, reason, drained) => {
      const drain = nextDrain(null, { ...NOTE, by, reason, drained, now: 1_795_266_000_000.5 });
      expect(decodeDrain(encodeDrain(drain))).toEqual(drain);
    }),
  );
});

test('a word is later than the one before it, also when the clock stands or goes back', () => {
  const first = nextDrain(null, { ...NOTE, drained: true, now: 1000 });
  const second = nextDrain(first, { ...NOTE, drained: false, now: 1000 });
  const third = nextDrain(second, { ...NOTE, drained: true, now: 5 });
  expect([first, second, third].map(({ revision }) => revision)).toEqual([1000, 1001, 1002]);
  expect(nextDrain(third, { ...NOTE, drained: true, now: 2000 }).revision).toBe(2000);
});

const GOOD: Drain = nextDrain(null, { ...NOTE, drained: true, now: 1000 });

test.each([
  ['no JSON', 'x'],
  ['a word of a later version', JSON.stringify({ ...GOOD, version: 2 })],
  ['a word without its revision', JSON.stringify({ ...GOOD, revision: undefined })],
  ['an endless reason', JSON.stringify({ ...GOOD, reason: 'x'.repeat(301) })],
  ['an endless document', JSON.stringify({ ...GOOD, other: 'x'.repeat(4000) })],
])('%s is no drain of ours', (_, text) => {
  expect(decodeDrain(text)).toBeNull();
});

test('a command names network and upstream, and says by whom and why if it likes', () => {
  const named = { network: 'main', upstream: 'a' };
  expect(readDrainCommand(named)).toEqual({ ...named, by: null, reason: null });
  expect(readDrainCommand({ ...named, by: 'anna', reason: 'disk' })).toEqual({
    ...named,
    by: 'anna',
    reason: 'disk',
  });
});

test.each([
  [{ network: 'main' }, /^upstream: /],
  [{ network: 'main', upstream: 'a', by: 'x'.repeat(129) }, /^by: /],
  [{ network: 'main', upstream: 'a', reason: 5 }, /^reason: /],
  [{ network: 'main', upstream: 'a', resaon: 'disk' }, /resaon/],
  [null, /^body: /],
])('a command that is none says what is wrong with it: %j', (value, problem) => {
  expect(readDrainCommand(value)).toEqual({ invalid: expect.stringMatching(problem) });
});
