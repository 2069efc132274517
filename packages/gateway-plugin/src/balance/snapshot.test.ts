import { REASONS, type Reason } from '@rpc-balancer/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createClock } from '../../../../test/kit/clock.ts';
import { memberOf, rankingOf, unprobed } from '../../test/members.ts';
import type { Member } from './member.ts';
import { isStale, nextSnapshot, probedReason, type Snapshot } from './snapshot.ts';

const NOW = createClock().now();

function accept(previous: Snapshot | null, reasons: readonly (Reason | null)[], at: number): Snapshot {
  const seq = (previous?.ranking.seq ?? 0) + 1;
  const next = nextSnapshot(previous, rankingOf(reasons, { seq }), at);
  if (!next) throw new Error('a newer ranking is accepted');
  return next;
}

function memberA(times: Partial<Pick<Member, 'succeededAt' | 'failedAt'>> = {}): Member {
  return Object.assign(memberOf(unprobed([{}]), 0), times);
}

const OUTWEIGHED: ReadonlySet<Reason> = new Set(['unreachable', 'probe_timeout', 'probe_failed']);
const REASON_NAMES = Object.keys(REASONS) as Reason[]; // Object.keys widens to string[]

/** What a ranking with this reason says here: a limit that the sidecar met says nothing of one for this replica. */
const heard = (reason: Reason): Reason => (reason === 'throttled' ? 'unprobed' : reason);

describe('the order of rankings', () => {
  test('a ranking of an older epoch or an older number in its epoch is not accepted', () => {
    const current = nextSnapshot(null, rankingOf([null], { epoch: 5, seq: 7 }), NOW);
    for (const [epoch, seq] of [
      [5, 7],
      [5, 6],
      [4, 99],
      [0, 0],
    ] as const) {
      expect(nextSnapshot(current, rankingOf([null], { epoch, seq }), NOW)).toBeNull();
    }
    expect(nextSnapshot(current, rankingOf([null], { epoch: 5, seq: 8 }), NOW)).not.toBeNull();
    expect(nextSnapshot(current, rankingOf([null], { epoch: 6, seq: 0 }), NOW)).not.toBeNull();
  });

  test('epoch and number never go down whatever order rankings arrive in', () => {
    const token = fc.record({ epoch: fc.nat(4), seq: fc.nat(4) });
    fc.assert(
      fc.property(fc.array(token, { maxLength: 30 }), (tokens) => {
        let snapshot: Snapshot | null = null;
        let last = -1;
        for (const one of tokens) {
          snapshot = nextSnapshot(snapshot, rankingOf([null], one), NOW) ?? snapshot;
          const { epoch = 0, seq = 0 } = snapshot?.ranking ?? {};
          const order = epoch * 100 + seq;
          expect(order).toBeGreaterThanOrEqual(last);
          last = order;
        }
        const highest = tokens.map(({ epoch, seq }) => epoch * 100 + seq);
        if (tokens.length > 0) expect(last).toBe(Math.max(...highest));
      }),
    );
  });

  test('a snapshot cannot be changed', () => {
    const snapshot = accept(null, [null], NOW);
    expect(Object.isFrozen(snapshot)).toBe(true);
  });
});

describe('age', () => {
  test('a snapshot is stale by own clock, whatever time the publisher wrote into it', () => {
    const snapshot = nextSnapshot(null, { ...rankingOf([null]), generatedAt: 1 }, NOW);
    if (!snapshot) throw new Error('the first ranking is accepted');
    expect(isStale(snapshot, NOW + 1000, 1000)).toBe(false);
    expect(isStale(snapshot, NOW + 1001, 1000)).toBe(true);
  });

  test('a stale snapshot speaks against an upstream by hard reasons alone', () => {
    for (const reason of REASON_NAMES) {
      const snapshot = accept(null, [reason], NOW);
      const kept = REASONS[heard(reason)] === 'hard' ? reason : null;
      expect(probedReason(snapshot, memberA(), true), reason).toBe(kept);
    }
    expect(probedReason(accept(null, [], NOW), memberA(), true)).toBeNull();
  });

  test('an upstream that no ranking knows is unprobed', () => {
    expect(probedReason(null, memberA(), false)).toBe('unprobed');
    expect(probedReason(accept(null, [], NOW), memberA(), false)).toBe('unprobed');
  });
});

describe('own success against the verdict of a probe', () => {
  test('an own success since then outweighs only that the sidecar could not reach the upstream', () => {
    for (const reason of REASON_NAMES) {
      const snapshot = accept(null, [reason], NOW);
      const kept = OUTWEIGHED.has(reason) ? null : heard(reason);
      expect(probedReason(snapshot, memberA({ succeededAt: NOW + 1 }), false), reason).toBe(kept);
      expect(probedReason(snapshot, memberA({ succeededAt: NOW }), false), reason).toBe(heard(reason));
    }
  });

  test('an own failure after the success takes the probe back into its right', () => {
    const snapshot = accept(null, ['unreachable'], NOW);
    expect(probedReason(snapshot, memberA({ succeededAt: NOW + 1, failedAt: NOW + 2 }), false)).toBe(
      'unreachable',
    );
  });

  test('an own success goes on outweighing while the sidecar repeats itself in other words', () => {
    const first = accept(null, ['unreachable'], NOW);
    const second = accept(first, ['probe_timeout'], NOW + 2000);
    expect(second.reasonSince.get('a')).toBe(NOW);
    expect(probedReason(second, memberA({ succeededAt: NOW + 1 }), false)).toBeNull();
  });

  test('a good ranking in between ends what an own success outweighs', () => {
    const first = accept(null, ['unreachable'], NOW);
    const good = accept(first, [null], NOW + 2000);
    expect(good.reasonSince.has('a')).toBe(false);
    const again = accept(good, ['unreachable'], NOW + 4000);
    expect(probedReason(again, memberA({ succeededAt: NOW + 1 }), false)).toBe('unreachable');
  });

  test('an own success from while the upstream lagged says nothing once it cannot be reached', () => {
    const lagging = accept(null, ['lagging'], NOW);
    const gone = accept(lagging, ['unreachable'], NOW + 2000);
    expect(probedReason(gone, memberA({ succeededAt: NOW + 1 }), false)).toBe('unreachable');
  });
});
