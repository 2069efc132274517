import type { Ranking } from '@rpc-balancer/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rankingOf } from '../../test/members.ts';
import { Heads } from './heads.ts';
import { nextSnapshot } from './snapshot.ts';

const NOW = 1_704_067_200_000;
const SETTLE_MS = 7000;
const HEAD = { hash: null, headerAt: null };

const newHeads = () => new Heads({ maxLagBlocks: 5, settleMs: SETTLE_MS });

/** A ranking whose head this is, accepted at an instant. */
function read(heads: Heads, number: number, at: number, changes: Partial<Ranking> = {}): void {
  const head = { ...HEAD, number, agreedAt: at, confirmations: 2 };
  const snapshot = nextSnapshot(
    null,
    { ...rankingOf([null, null]), blockIntervalMs: 12_000, head, ...changes },
    at,
  );
  if (snapshot) heads.read(snapshot);
}

describe('the mark', () => {
  test('is the highest head of answers and rankings, whatever comes in between', () => {
    const height = fc.integer({ min: 1, max: 1000 });
    fc.assert(
      fc.property(fc.array(height, { minLength: 1 }), (heights) => {
        const heads = newHeads();
        heights.forEach((number, at) => {
          if (at % 2 === 0) heads.raise(number, NOW);
          else heads.fall(number, NOW);
        });
        expect(heads.mark).toBe(Math.max(...heights.filter((_, at) => at % 2 === 0)));
      }),
    );
  });

  test('says since when it stands there, not when it was last seen', () => {
    const heads = newHeads();
    heads.raise(100, NOW);
    heads.raise(100, NOW + 10);
    heads.raise(99, NOW + 20);
    expect([heads.mark, heads.roseAt]).toEqual([100, NOW]);
  });

  test.each([
    ['is not followed down by as much as upstreams may lag', 95, SETTLE_MS + 1, 100],
    ['is not followed down while somebody may still have it', 94, SETTLE_MS, 100],
    ['follows a deeper fall when whoever had it would be known', 94, SETTLE_MS + 1, 94],
  ])('%s', (_, head, afterMs, mark) => {
    const heads = newHeads();
    heads.raise(90, NOW - 1);
    heads.raise(100, NOW);
    read(heads, head, NOW + afterMs);
    expect(heads.mark).toBe(mark);
    expect(heads.regressions).toBe(mark === 100 ? 0 : 1);
  });

  test.each([1, SETTLE_MS + 1])('counts an answer that was let through once, after %d ms', (afterMs) => {
    const heads = newHeads();
    heads.raise(100, NOW);
    heads.concede(10, NOW + afterMs);
    expect(heads.regressions).toBe(1);
  });

  test('incident 2: of a lie before the first ranking is forgotten with that ranking', () => {
    const heads = newHeads();
    heads.raise(74_500_000, NOW);
    read(heads, 100, NOW + 1);
    expect([heads.mark, heads.regressions]).toEqual([100, 1]);
  });
});

describe('the highest head that is believed', () => {
  test('is any while nothing is known', () => {
    expect(newHeads().ceiling(null, NOW)).toBe(Number.POSITIVE_INFINITY);
  });

  test('grows three times as fast as the chain, from the ranking or else from the mark', () => {
    const heads = newHeads();
    const ranked = { number: 100, at: NOW, blockIntervalMs: 1000 };
    expect(heads.ceiling(ranked, NOW)).toBe(100 + 5 + 21);
    expect(heads.ceiling(ranked, NOW + 10_000)).toBe(100 + 5 + 51);
    heads.raise(200, NOW);
    expect(heads.ceiling(null, NOW)).toBe(200 + 5 + 210);
    expect(heads.ceiling({ ...ranked, blockIntervalMs: null }, NOW)).toBe(100 + 5 + 210);
  });
});

describe('those who wait for a head', () => {
  test('hear of it from answers and rankings until they stop, but not from liars and other chains', () => {
    const heads = newHeads();
    const heard: number[] = [];
    const stop = heads.watch((head) => heard.push(head));
    heads.announce(7);
    const upstreams = rankingOf(['suspect', 'wrong_chain', null, 'lagging']).upstreams.map(
      (upstream, at) => ({
        ...upstream,
        head: { ...HEAD, number: 1000 - at },
      }),
    );
    read(heads, 998, NOW, { upstreams });
    stop();
    heads.announce(2000);
    expect(heard).toEqual([7, 998]);
  });

  test('know the height of a hash that a ranking has named', () => {
    const heads = newHeads();
    const [upstream] = rankingOf([null]).upstreams;
    if (upstream)
      read(heads, 5, NOW, { upstreams: [{ ...upstream, head: { ...HEAD, number: 5, hash: '0xab' } }] });
    expect([heads.heightOf('0xab'), heads.heightOf('0xcd')]).toEqual([5, null]);
  });
});
