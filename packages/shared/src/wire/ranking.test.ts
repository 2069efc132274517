import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reasonNames } from '../reasons.ts';
import { decodeRanking, encodeRanking, isNewer, type Ranking } from './ranking.ts';

const count = fc.maxSafeInteger().map(Math.abs);
const amount = fc.double({ min: 0, max: 1e12, noNaN: true }).map((value) => value + 0);
const share = fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0);
const name = fc.string({ minLength: 1, maxLength: 64 });
const orNull = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: null });

const head = { number: count, hash: orNull(fc.string({ maxLength: 80 })), headerAt: orNull(amount) };

/** All but what is not always told. */
const OF_EVERY_UPSTREAM = [
  ...(['id', 'reason', 'head', 'finalized', 'lagBlocks'] as const),
  ...(['latencyP50Ms', 'latencyP95Ms', 'errorRatio', 'score', 'load', 'budget'] as const),
];
const budget = fc.record({
  attempts: count,
  throttled: count,
  retryAt: orNull(amount),
  left: orNull(count),
  limit: orNull(count),
  resetAt: orNull(amount),
});

const ranking: fc.Arbitrary<Ranking> = fc.record({
  version: fc.constant(1 as const),
  network: name,
  epoch: count,
  seq: count,
  publisher: name,
  generatedAt: amount,
  configHash: fc.string({ maxLength: 64 }),
  identity: orNull(name),
  head: orNull(fc.record({ ...head, agreedAt: amount, confirmations: count })),
  finalized: orNull(count),
  blockIntervalMs: orNull(amount.map((value) => value + 1)),
  upstreams: fc.array(
    fc.record(
      {
        id: name,
        reason: orNull(fc.constantFrom(...reasonNames)),
        head: orNull(fc.record(head)),
        finalized: orNull(count),
        lagBlocks: orNull(count),
        latencyP50Ms: orNull(amount),
        latencyP95Ms: orNull(amount),
        errorRatio: share,
        score: share,
        restartedAt: amount,
        load: orNull(amount),
        budget: orNull(budget),
      },
      { requiredKeys: OF_EVERY_UPSTREAM },
    ),
    { maxLength: 5 },
  ),
});

const sample: Ranking = fc.sample(ranking, { numRuns: 1, seed: 1 })[0] as Ranking; // One run gives one sample.

describe('a ranking', () => {
  test('comes back as it went, for every ranking there is', () => {
    fc.assert(
      fc.property(ranking, (value) => {
        expect(decodeRanking(encodeRanking(value))).toEqual(value);
      }),
    );
  });

  test('may hold keys of a later version, which are left out', () => {
    expect(decodeRanking(JSON.stringify({ ...sample, later: 1 }))).toEqual(sample);
  });

  test('of a publisher that knows neither load nor budget is read, and says that both are unknown', () => {
    const [upstream] = fc.sample(ranking, { numRuns: 20, seed: 1 }).flatMap(({ upstreams }) => upstreams);
    const { load: _load, budget: _budget, ...before } = { ...upstream };
    const expected = [{ ...before, load: null, budget: null }];
    expect(decodeRanking(JSON.stringify({ ...sample, upstreams: [before] }))).toMatchObject({
      upstreams: expected,
    });
  });

  test.each<[string, string]>([
    ['', 'not JSON'],
    ['{', 'not JSON'],
    ['null', 'document'],
    ['[]', 'document'],
    ['{}', 'version'],
    [JSON.stringify({ ...sample, version: 3 }), 'version'],
    [JSON.stringify({ ...sample, epoch: -1 }), 'epoch'],
    [JSON.stringify({ ...sample, epoch: '5' }), 'epoch'],
    [JSON.stringify({ ...sample, seq: 1.5 }), 'seq'],
    [JSON.stringify({ ...sample, generatedAt: null }), 'generatedAt'],
    [JSON.stringify({ ...sample, upstreams: [{ id: 'a', reason: 'tired' }] }), 'upstreams.0'],
    [JSON.stringify({ ...sample, upstreams: Array(257).fill({ id: 'a' }) }), 'upstreams'],
    [' '.repeat(1_000_001), 'too long'],
  ])('refuses a foreign value and says where', (text, where) => {
    const decoded = decodeRanking(text);
    expect('invalid' in decoded && decoded.invalid.startsWith(where)).toBe(true);
  });

  test('survives no loss of a member: each one is required', () => {
    for (const key of Object.keys(sample)) {
      const { [key]: _, ...rest } = { ...sample } as Record<string, unknown>;
      expect(decodeRanking(JSON.stringify(rest))).toHaveProperty('invalid');
    }
  });

  test('is never half believed, whatever the text is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(decodeRanking(text)).toHaveProperty('invalid');
      }),
    );
  });
});

describe('isNewer', () => {
  const small = fc.record({ epoch: fc.nat(3), seq: fc.nat(3) });

  test('is a strict order', () => {
    fc.assert(
      fc.property(small, small, small, (a, b, c) => {
        expect(isNewer(a, a)).toBe(false);
        if (isNewer(a, b)) expect(isNewer(b, a)).toBe(false);
        if (isNewer(a, b) && isNewer(b, c)) expect(isNewer(a, c)).toBe(true);
        const same = a.epoch === b.epoch && a.seq === b.seq;
        expect(isNewer(a, b) || isNewer(b, a)).toBe(!same);
      }),
    );
  });

  test('goes by the epoch before it goes by the sequence', () => {
    expect(isNewer({ epoch: 2, seq: 0 }, { epoch: 1, seq: 99 })).toBe(true);
    expect(isNewer({ epoch: 1, seq: 99 }, { epoch: 2, seq: 0 })).toBe(false);
    expect(isNewer({ epoch: 1, seq: 2 }, { epoch: 1, seq: 1 })).toBe(true);
  });
});
