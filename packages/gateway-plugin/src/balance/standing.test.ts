import { chainView } from '@rpc-balancer/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createClock } from '../../../../test/kit/clock.ts';
import { memberOf, picked, probed, rank, unprobed, wantedOf } from '../../test/members.ts';
import {
  beginAttempt,
  endAttempt,
  markSilent,
  recordFailure,
  recordNothing,
  recordSuccess,
  recordThrottled,
  recordUnauthorized,
  type Trial,
} from './ejection.ts';
import { type NetworkState, reasonsNow } from './network-state.ts';
import { preview } from './pick.ts';
import { standingOf } from './standing.ts';
import { markUnsupported } from './unsupported.ts';

const START = createClock().now();

describe('what is worked out once', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
    fc.record({
      kind: fc.constantFrom(
        'begin',
        'fail',
        'succeed',
        'nothing',
        'throttle',
        'forbid',
        'rank',
        'lack',
        'hush',
      ),
      at: fc.nat(2),
      ms: fc.integer({ min: 1, max: 5000 }),
      reason: fc.constantFrom(null, 'unreachable' as const, 'lagging' as const, 'wrong_chain' as const),
    }),
  );

  test('is at every moment what a fresh look would find', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(step, { maxLength: 60 }), (hasProbes, steps) => {
        const settings = [{ maxFails: 1, failTimeout: 3000 }, { maxFails: 2 }, { tier: 'fallback' }] as const;
        const state = hasProbes ? probed(settings, [null, null, null], START) : unprobed(settings);
        const trials = new Map<number, Trial | null>();
        let now = START;
        for (const one of steps) {
          if (one.kind === 'wait') now += one.ms;
          else act(state, one, now, trials);
          if (one.ms % 3 === 0) continue; // Several things may happen between two looks.
          const kept = standingOf(state, now).reasons;
          expect(kept).toEqual(reasonsNow({ ...state, standing: null }, now));
        }
      }),
      { numRuns: 300 },
    );
  });

  interface Act {
    readonly kind: string;
    readonly at: number;
    readonly ms: number;
    readonly reason: null | 'unreachable' | 'lagging' | 'wrong_chain';
  }

  function act(
    state: NetworkState,
    { kind, at, ms, reason }: Act,
    now: number,
    trials: Map<number, Trial | null>,
  ): void {
    const member = memberOf(state, at);
    if (kind === 'begin') trials.set(at, beginAttempt(member, now, 1000));
    if (kind === 'fail') recordFailure(member, now);
    if (kind === 'succeed') recordSuccess(member, now);
    if (kind === 'nothing') recordNothing(member, trials.get(at) ?? null);
    if (kind === 'throttle') recordThrottled(member, now, ms);
    if (kind === 'forbid') recordUnauthorized(member, now);
    if (kind === 'hush') markSilent(member, now);
    if (kind === 'lack') markUnsupported(member, 'eth_call', Number.POSITIVE_INFINITY, now);
    if (kind === 'rank' && state.probed) {
      rank(
        state,
        state.members.map(({ index }) => ({ reason: index === at ? reason : null })),
        now,
      );
    }
  }

  test('is not worked out again while nothing changes', () => {
    const state = unprobed([{}, {}]);
    const first = standingOf(state, START);
    const member = memberOf(state, 0);
    beginAttempt(member, START, 1000);
    endAttempt(member);
    recordSuccess(member, START + 5);
    expect(standingOf(state, START + 3_600_000)).toBe(first);
  });

  test('is not worked out again with each success of an upstream that failed once, or has a reason that no success ends', () => {
    const failedOnce = unprobed([{}, {}]);
    recordFailure(memberOf(failedOnce, 0), START);
    for (const state of [failedOnce, probed([{}, {}], ['lagging', 'lagging'], START)]) {
      const first = standingOf(state, START);
      recordSuccess(memberOf(state, 0), START + 5);
      expect(standingOf(state, START + 6)).toBe(first);
    }
  });
});

describe('slow start', () => {
  const comingBack = () => {
    const state = unprobed([{ maxFails: 1, failTimeout: 1000 }, {}], { slowStart: 10_000 });
    recordFailure(memberOf(state, 0), START);
    standingOf(state, START);
    const trial = beginAttempt(memberOf(state, 0), START + 1001, 1000);
    endAttempt(memberOf(state, 0));
    expect(trial).not.toBeNull();
    recordFailure(memberOf(state, 0), START + 1002);
    standingOf(state, START + 1002);
    beginAttempt(memberOf(state, 0), START + 2100, 1000);
    endAttempt(memberOf(state, 0));
    recordSuccess(memberOf(state, 0), START + 2100);
    standingOf(state, START + 2100);
    return state;
  };
  const shareAt = (state: NetworkState, ms: number) => {
    standingOf(state, START + 2100 + ms);
    return memberOf(state, 0).share;
  };

  test('an upstream that comes back climbs from a twentieth of its weight to all of it (D12)', () => {
    const state = comingBack();
    expect(shareAt(state, 0)).toBeCloseTo(0.05);
    expect(shareAt(state, 5000)).toBeCloseTo(0.5);
    expect(shareAt(state, 10_000)).toBe(1);
    expect(memberOf(state, 1).share).toBe(1);
  });

  test('a reduced share draws fewer calls', () => {
    const state = comingBack();
    const calls = Array.from({ length: 20 }, () => {
      const member = picked(state, START + 4600);
      if (member) member.inFlight++;
      return member?.id;
    });
    expect(calls.filter((id) => id === 'a')).toHaveLength(4);
  });

  test('a lone upstream has its whole weight at once', () => {
    const state = probed([{}], ['unreachable'], START, { slowStart: 10_000 });
    standingOf(state, START);
    rank(state, [{}], START);
    standingOf(state, START);
    expect(memberOf(state, 0).share).toBe(1);
  });

  test('without slowStart everybody has the whole weight at once', () => {
    const state = probed([{}, {}], ['unreachable', null], START);
    standingOf(state, START);
    rank(state, [{}, {}], START);
    standingOf(state, START);
    expect(memberOf(state, 0).share).toBe(1);
  });
});

describe('what an upstream cannot do', () => {
  test('is asked of another while one may be able to, and of all when none is', () => {
    const state = unprobed([{}, {}]);
    markUnsupported(memberOf(state, 0), 'trace_block', Number.POSITIVE_INFINITY, START);
    const wanted = { asked: [{ method: 'trace_block', view: null }] };
    expect([picked(state, START, wanted)?.id, picked(state, START, wanted)?.id]).toEqual(['b', 'b']);
    expect(picked(state, START)?.id).toBe('a');
    markUnsupported(memberOf(state, 1), 'trace_block', Number.POSITIVE_INFINITY, START);
    expect(picked(state, START, wanted)).not.toBeNull();
  });

  test('is not asked of a second that is known to lack it as well', () => {
    const state = unprobed([{}, {}]);
    for (const member of state.members)
      markUnsupported(member, 'trace_block', Number.POSITIVE_INFINITY, START);
    const wanted = {
      asked: [{ method: 'trace_block', view: null }],
      tried: [memberOf(state, 0)],
      answered: true,
    };
    expect(picked(state, START, wanted)).toBeNull();
  });

  test('is forgotten after five minutes', () => {
    const state = unprobed([{}, { tier: 'fallback' }]);
    markUnsupported(memberOf(state, 0), 'trace_block', Number.POSITIVE_INFINITY, START);
    const wanted = { asked: [{ method: 'trace_block', view: null }] };
    expect(picked(state, START + 299_999, wanted)?.id).toBe('b');
    expect(picked(state, START + 300_000, wanted)?.id).toBe('a');
  });

  test('is kept for at most 256 methods, those that were said last', () => {
    const member = memberOf(unprobed([{}]), 0);
    for (let at = 0; at < 300; at++) {
      markUnsupported(member, `made_up${at}`, Number.POSITIVE_INFINITY, START);
      markUnsupported(member, 'said_again', Number.POSITIVE_INFINITY, START);
    }
    expect(member.unsupported.size).toBe(256);
    for (const method of ['made_up299', 'said_again']) expect(member.unsupported.has(method)).toBe(true);
  });
});

describe('history that an upstream lacks', () => {
  const of = (block: string) => ({
    asked: [{ method: 'eth_getBalance', view: chainView('eth_getBalance', ['0x00', block]) }],
  });

  test('is asked of another up to the highest block that it said so of, and of that one above and by tags', () => {
    const state = unprobed([{}, { tier: 'fallback' }]);
    const member = memberOf(state, 0);
    markUnsupported(member, 'eth_getBalance', 100, START);
    markUnsupported(member, 'eth_getBalance', 50, START);
    const whom = (block: string) => picked(state, START, of(block))?.id;
    expect(['0x32', '0x64', '0x65', 'latest'].map(whom)).toEqual(['b', 'b', 'a', 'a']);
  });

  test('is forgotten with its time, not with a later word about lower blocks', () => {
    const state = unprobed([{}, { tier: 'fallback' }]);
    const member = memberOf(state, 0);
    markUnsupported(member, 'eth_getBalance', 100, START);
    markUnsupported(member, 'eth_getBalance', 50, START + 300_000);
    expect(picked(state, START + 300_000, of('0x64'))?.id).toBe('a');
    expect(picked(state, START + 300_000, of('0x32'))?.id).toBe('b');
  });
});

describe('a preview', () => {
  test('says who would be picked and moves nothing', () => {
    const state = unprobed([{}, {}, {}]);
    picked(state, START);
    const before = structuredClone(
      state.members.map(({ currentWeight, effectiveWeight }) => [currentWeight, effectiveWeight]),
    );
    const said = [1, 2].map(() => preview(state, wantedOf(), START, () => 0));
    expect(said.map((one) => ('id' in one ? one.id : null))).toEqual(['b', 'b']);
    expect(
      state.members.map(({ currentWeight, effectiveWeight }) => [currentWeight, effectiveWeight]),
    ).toEqual(before);
    expect(picked(state, START)?.id).toBe('b');
  });
});
