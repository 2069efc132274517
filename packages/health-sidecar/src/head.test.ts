// Decides: whether the agreed head keeps the promises of design 5, "Head of the network".
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agreeOnHead, type Candidate, type HeadInput, majorityOf, stalledSince } from './head.ts';

const NOW = 1_704_067_200_000;

function candidate(id: string, number: number, change: Partial<Candidate> = {}): Candidate {
  const head = { number, hash: `0x${number}`, headerAt: NOW - 1000 };
  return { id, voter: id, head, sampledAt: NOW, standsSince: NOW, moves: [], unseenMs: 0, ...change };
}

function headerAt(id: string, number: number, at: number | null): Candidate {
  return candidate(id, number, { head: { number, hash: null, headerAt: at } });
}

function agree(candidates: readonly Candidate[], change: Partial<HeadInput> = {}) {
  const usual = { past: null, blockIntervalMs: 1000, maxLagBlocks: 5, now: NOW };
  return agreeOnHead({ configuredCount: candidates.length, candidates, ...usual, ...change });
}

const heads = (...numbers: number[]) => numbers.map((number, at) => candidate(`n${at}`, number));
const agreedBefore = (number: number, agoMs = 0) => ({ number, headerAt: null, agreedAt: NOW - agoMs });

describe('a majority', () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
  ])('of %i upstreams is %i', (configuredCount, majority) => {
    expect(majorityOf(configuredCount)).toBe(majority);
  });

  test.each([
    { numbers: [100], head: 100, why: 'one alone is believed' },
    { numbers: [100, 90, 80], head: 90, why: 'two of three have reached it' },
    { numbers: [100, 90, 80, 70], head: 80, why: 'three of four have reached it' },
    { numbers: [100, 90, 80, 70, 60], head: 80, why: 'three of five have reached it' },
    { numbers: [100, 90, 80, 70, 60, 50], head: 70, why: 'four of six have reached it' },
  ])('of the heads $numbers agrees on $head: $why', ({ numbers, head }) => {
    expect(agree(heads(...numbers)).head?.number).toBe(head);
  });

  test('that goes back after a reorg takes the agreed head back', () => {
    expect(agree(heads(95, 95, 94), { past: agreedBefore(100) }).head?.number).toBe(95);
  });

  test('of two finds the moving one on a fast chain, although only the standing one was heard at first and no interval is known', () => {
    // Four blocks a second, two minutes after the one stood still.
    const late = 120_000;
    const frozen = candidate('frozen', 1000, { standsSince: NOW - late });
    const moved = 1000 + (4 * late) / 1000;
    const moving = candidate('moving', moved, { moves: [NOW - 500, NOW - 250] });
    const past = agreedBefore(1000, late);
    const result = agree([frozen, moving], { past, blockIntervalMs: null });
    expect([result.head?.number, [...result.standing]]).toEqual([moved, ['frozen']]);
  });

  test('cannot be outvoted by one liar of three, whatever it claims', () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 1e9 }),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      fc.constantFrom(0, 1, 2),
      fc.option(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), { nil: null }),
      (low, spread, lie, liarAt, past) => {
        const honest = [low, low + spread];
        const numbers = honest.toSpliced(liarAt, 0, lie);
        const { head } = agree(heads(...numbers), { past: past === null ? null : agreedBefore(past) });
        expect(head?.number).toBeGreaterThanOrEqual(low);
        expect(head?.number).toBeLessThanOrEqual(low + spread);
      },
    );
    fc.assert(property);
  });

  test('does not depend on the order of the upstreams', () => {
    const numbers = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 6 });
    const property = fc.property(numbers, fc.integer({ min: 0, max: 1000 }), (given, past) => {
      const options = { past: agreedBefore(past, 5000), configuredCount: 6 };
      const there = agree(heads(...given), options).head?.number;
      expect(agree(heads(...given).reverse(), options).head?.number).toBe(there);
    });
    fc.assert(property);
  });
});

describe('two upstreams without a past', () => {
  const fresh = (a: Candidate, b: Candidate) => agree([a, b], { configuredCount: 2 }).head?.number;

  test.each([
    {
      a: headerAt('a', 100, NOW - 2000),
      b: headerAt('b', 90, NOW - 120_000),
      head: 100,
      why: 'nearer to now',
    },
    {
      a: headerAt('a', 1_000_100, NOW - 3_600_000),
      b: headerAt('b', 100, NOW),
      head: 100,
      why: 'nearer to now',
    },
    { a: headerAt('a', 1_000_100, NOW), b: headerAt('b', 100, NOW), head: 100, why: 'the lower of equals' },
    {
      a: headerAt('a', 1_000_100, NOW),
      b: headerAt('b', 100, NOW - 1000),
      head: 100,
      why: 'equal to the second',
    },
    {
      a: headerAt('a', 1_000_100, NOW + 16_000),
      b: headerAt('b', 100, NOW - 60_000),
      head: 100,
      why: 'the other is of the future',
    },
    {
      a: headerAt('a', 101, NOW + 14_000),
      b: headerAt('b', 100, NOW - 60_000),
      head: 101,
      why: 'clocks may drift',
    },
    {
      a: headerAt('a', 1_000_100, null),
      b: headerAt('b', 100, NOW - 60_000),
      head: 100,
      why: 'the other tells no time',
    },
    {
      a: headerAt('a', 1_000_100, null),
      b: headerAt('b', 100, null),
      head: 100,
      why: 'the lower, as none tells a time',
    },
    {
      a: headerAt('a', 1_000_100, NOW + 60_000),
      b: headerAt('b', 100, null),
      head: 100,
      why: 'no time beats the future',
    },
  ])('agree on $head: $why', ({ a, b, head }) => {
    expect(fresh(a, b)).toBe(head);
    expect(fresh(b, a)).toBe(head);
  });

  test('of which one is dead believe the other', () => {
    expect(agree(heads(74_500_000), { configuredCount: 2 }).head?.number).toBe(74_500_000);
  });
});

describe('two upstreams with a past', () => {
  test.each([
    { numbers: [101, 100], agoMs: 1000, head: 101, why: 'the highest that is plausible' },
    { numbers: [1_000_100, 101], agoMs: 1000, head: 101, why: 'nobody grows a million blocks in a second' },
    { numbers: [108, 100], agoMs: 1000, head: 108, why: 'three times the learned speed and the allowed lag' },
    { numbers: [109, 100], agoMs: 1000, head: 100, why: 'one more than that' },
    { numbers: [98, 97], agoMs: 1000, head: 98, why: 'a reorg takes it back' },
    { numbers: [1_000_100], agoMs: 1000, head: 1_000_100, why: 'the only one left is believed' },
    {
      numbers: [1_000_100, 2_000_100],
      agoMs: 1000,
      head: 1_000_100,
      why: 'none is plausible, so as without a past',
    },
  ])('$numbers after 100 agree on $head: $why', ({ numbers, agoMs, head }) => {
    const result = agree(heads(...numbers), { configuredCount: 2, past: agreedBefore(100, agoMs) });
    expect(result.head?.number).toBe(head);
  });

  test('keep the instant at which they agreed while the number stands', () => {
    const past = agreedBefore(100, 4000);
    expect(agree(heads(100, 99), { past }).head?.agreedAt).toBe(past.agreedAt);
    expect(agree(heads(101, 99), { past }).head?.agreedAt).toBe(NOW);
  });
});

describe('two upstreams after only one was heard', () => {
  const agreed = (past: { readonly number: number; readonly headerAt: number }, ...both: Candidate[]) =>
    agree(both, { configuredCount: 2, past: { ...past, agreedAt: NOW - 200 } }).head?.number;

  test('and that one was behind, agree on the other: the headers are as far apart as the blocks', () => {
    const behind = headerAt('behind', 99_000, NOW - 1_000_000);
    const past = { number: 99_000, headerAt: NOW - 1_000_000 };
    expect(agreed(past, behind, headerAt('good', 100_000, NOW))).toBe(100_000);
    expect(agreed(past, behind, headerAt('liar', 1_000_000, NOW))).toBe(99_000);
    expect(agreed(past, behind, headerAt('liar', 100_000, NOW + 16_000))).toBe(99_000);
    expect(agreed(past, behind, headerAt('liar', 100_000, null))).toBe(99_000);
  });

  test('and its chain was at the height of now, do not believe who only says to be of later', () => {
    const good = headerAt('good', 100, NOW - 1000);
    const liar = headerAt('liar', 140, NOW + 14_000);
    expect(agreed({ number: 100, headerAt: NOW - 1000 }, good, liar)).toBe(100);
  });

  test('and that one was of the future, decide as without a past', () => {
    const liar = headerAt('liar', 1_000_100, NOW + 60_000);
    expect(agreed({ number: 1_000_100, headerAt: NOW + 60_000 }, liar, headerAt('good', 100, NOW))).toBe(100);
  });
});

test('of three with one dead, one a thousand blocks behind but moving does not hold the head back', () => {
  const behind = candidate('b', 99_000, { moves: [NOW - 2000, NOW - 1000] });
  const past = agreedBefore(99_999, 1000);
  const { head } = agree([candidate('a', 100_000), behind], { configuredCount: 3, past });
  expect(head?.number).toBe(100_000);
});

describe('an upstream that stands still', () => {
  const moving = (id: string, number: number) =>
    candidate(id, number, { standsSince: NOW - 500, moves: [NOW - 1500, NOW - 500] });
  const still = (id: string, number: number, forMs: number) =>
    candidate(id, number, { standsSince: NOW - forMs });
  const past = agreedBefore(100, 500);

  test('for three block intervals while the other moves has no vote', () => {
    const result = agree([moving('a', 100), still('b', 97, 3000)], { past });
    expect([...result.standing]).toEqual(['b']);
    expect(result.head).toMatchObject({ number: 100, confirmations: 1 });
  });

  test('for less keeps its vote', () => {
    expect(agree([moving('a', 100), still('b', 97, 2999)], { past }).standing.size).toBe(0);
  });

  test('keeps its vote while only one of two others moves', () => {
    const others = [moving('a', 100), still('b', 97, 9000)];
    expect(agree([...others, still('c', 97, 9000)], { past }).standing.size).toBe(0);
  });

  test('keeps its vote when what moves is implausibly far ahead', () => {
    const result = agree([moving('liar', 1_000_100), still('honest', 100, 9000)], { past });
    expect(result.standing.size).toBe(0);
    expect(result.head?.number).toBe(100);
  });

  test('far ahead loses its hold on a head that it won at the start', () => {
    const liar = still('liar', 1_000_100, 4000);
    const result = agree([liar, moving('honest', 100)], { past: agreedBefore(1_000_100, 4000) });
    expect(result.head?.number).toBe(100);
    expect(result.suspectAbove).toBeLessThan(1_000_100);
  });

  test('with all the others keeps its vote: the chain stalls, not the upstream', () => {
    const everyone = ['a', 'b', 'c'].map((id) => still(id, 100, 60_000));
    const result = agree(everyone, { past: agreedBefore(100, 60_000) });
    expect(result.standing.size).toBe(0);
    expect(result.head).toMatchObject({ number: 100, confirmations: 3 });
  });
});

describe('the addresses of one name', () => {
  const copies = (one: Candidate, count: number) =>
    Array.from({ length: count }, (_, at) => ({ ...one, id: `${one.id}@${at}` }));

  test('have one vote together, however many they are', () => {
    const liars = copies(candidate('a', 1_000_000), 9);
    const result = agree([...liars, candidate('b', 100), candidate('c', 99)], { configuredCount: 3 });
    expect(result.head).toMatchObject({ number: 100, confirmations: 2 });
    expect(result.suspectAbove).toBe(105);
  });

  test('change nothing by being many', () => {
    const property = fc.property(
      fc.array(fc.tuple(fc.integer({ min: 90, max: 110 }), fc.integer({ min: 1, max: 6 })), { minLength: 1 }),
      fc.option(fc.integer({ min: 80, max: 110 }), { nil: null }),
      (voters, agreed) => {
        const past = agreed === null ? null : agreedBefore(agreed, 1000);
        const each = voters.map(([number], at) => candidate(`n${at}`, number));
        const many = voters.flatMap(([, count], at) => copies(each[at] ?? candidate('none', 0), count));
        expect(agree(many, { past, configuredCount: voters.length })).toEqual(agree(each, { past }));
      },
    );
    fc.assert(property, { numRuns: 200 });
  });

  test('agree among themselves: one that lies does not speak for the others', () => {
    const name = [candidate('a@1', 100), candidate('a@2', 1_000_000), candidate('a@3', 99)];
    const addresses = name.map((one) => ({ ...one, voter: 'a' }));
    expect(agree(addresses, { configuredCount: 1 })).toMatchObject({
      head: { number: 100 },
      suspectAbove: 105,
    });
  });

  test('that move do not take the vote of those that stand while most of the other voters stand', () => {
    const busy = { standsSince: NOW - 500, moves: [NOW - 1500, NOW - 500] };
    const quiet = { standsSince: NOW - 9000, moves: [] };
    const many = copies(candidate('a', 100, busy), 9);
    const others = [candidate('b', 97, quiet), candidate('c', 97, quiet)];
    const past = agreedBefore(100, 500);
    expect(agree([...many, ...others], { past, configuredCount: 3 }).standing.size).toBe(0);
    const [one, two, three] = many.map((address) => ({ ...address, voter: 'a' }));
    if (!one || !two || !three) throw new TypeError('there are nine');
    const lone = agree([one, { ...two, ...quiet }, { ...three, ...quiet }], { past, configuredCount: 1 });
    expect(lone.standing.size).toBe(0);
    const left = agree([one, two, { ...three, ...quiet }], { past, configuredCount: 1 });
    expect([...left.standing]).toEqual([three.id]);
  });
});

describe('a head is suspect', () => {
  test('when it is further ahead than the allowed lag', () => {
    const { suspectAbove } = agree(heads(74_500_000, 21_600_000, 21_600_000));
    expect(suspectAbove).toBe(21_600_005);
  });

  test('only beyond what the chain may have grown since the oldest sample', () => {
    const old = candidate('old', 100, { sampledAt: NOW - 2000 });
    const options = { blockIntervalMs: 250, configuredCount: 3 };
    expect(agree([old, ...heads(100, 112)], options).suspectAbove).toBe(100 + 5 + 24);
  });
});

describe('the block interval', () => {
  const moved = (...numbers: number[]) =>
    numbers.map((number, at) => candidate(`n${at}`, number, { moves: [NOW - 100] }));
  const past = agreedBefore(100, 4000);

  test('is learned from the time between two agreed heads', () => {
    expect(agree(moved(102, 102, 102), { past, blockIntervalMs: null }).blockIntervalMs).toBe(2000);
  });

  test('moves slowly and is not spoilt by one jump', () => {
    const { blockIntervalMs } = agree(moved(1e9, 1e9, 1e9), { past, blockIntervalMs: 12_000 });
    expect(blockIntervalMs).toBeGreaterThan(10_000);
    expect(blockIntervalMs).toBeLessThan(12_000);
  });

  test('stays while the head stands or goes back', () => {
    expect(agree(moved(100, 100, 99), { past }).blockIntervalMs).toBe(1000);
    expect(agree(moved(99, 99, 99), { past }).blockIntervalMs).toBe(1000);
  });

  test('is not learned from who is heard for the first time and is ahead, nor from who moves below', () => {
    const [, below] = moved(103, 101);
    const seen = [...heads(103, 103), ...(below ? [below] : [])];
    expect(agree(seen, { past, blockIntervalMs: null }).blockIntervalMs).toBeNull();
  });
});

test('the agreed hash is the one that most of those at that height name', () => {
  const named = (id: string, hash: string | null) =>
    candidate(id, 100, { head: { number: 100, hash, headerAt: NOW } });
  const { head } = agree([
    named('a', '0xfork'),
    named('b', '0xmain'),
    named('c', '0xmain'),
    named('d', null),
  ]);
  expect(head?.hash).toBe('0xmain');
});

test('without a vote there is no head', () => {
  expect(agree([], { configuredCount: 3 }).head).toBeNull();
});

describe('a network without a new block', () => {
  const LOOK = { now: NOW, lookMs: 2000 };
  test.each([
    { agoMs: 12_001, blockIntervalMs: 250, stalls: true, why: 'for ten seconds and a look, on a fast chain' },
    { agoMs: 12_000, blockIntervalMs: 250, stalls: false, why: 'for a little less' },
    { agoMs: 38_001, blockIntervalMs: 12_000, stalls: true, why: 'for three intervals and a look' },
    { agoMs: 38_000, blockIntervalMs: 12_000, stalls: false, why: 'for less than three intervals' },
    {
      agoMs: 302_001,
      blockIntervalMs: null,
      stalls: true,
      why: 'for five minutes, which never had a second one',
    },
    { agoMs: 302_000, blockIntervalMs: null, stalls: false, why: 'for less, which never had a second one' },
  ])('$why: stalled is $stalls', ({ agoMs, blockIntervalMs, stalls }) => {
    const result = agree(heads(100, 100, 100), { past: agreedBefore(100, agoMs), blockIntervalMs });
    expect(stalledSince(result, LOOK)).toBe(stalls ? NOW - agoMs : null);
  });

  test('whose header is old already when it is first seen stalls since then', () => {
    const old = ['a', 'b', 'c'].map((id) => headerAt(id, 100, NOW - 3_600_000));
    expect(stalledSince(agree(old, { blockIntervalMs: null }), LOOK)).toBe(NOW - 3_600_000);
    expect(stalledSince(agree(old, { blockIntervalMs: 1000 }), LOOK)).toBeNull();
  });

  test('is not said to stall when nobody is heard', () => {
    const result = agree([], { configuredCount: 3, past: agreedBefore(100, 60_000) });
    expect(stalledSince(result, LOOK)).toBeNull();
  });
});
