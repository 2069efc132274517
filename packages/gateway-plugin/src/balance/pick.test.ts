import { REASONS, type Reason } from '@rpc-balancer/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createClock, createRandom, shuffled } from '../../../../test/kit/clock.ts';
import { attempt, memberOf, picked, probed, unprobed, wantedOf } from '../../test/members.ts';
import { endAttempt, recordFailure, recordThrottled } from './ejection.ts';
import type { Member } from './member.ts';
import { type NetworkState, reasonsNow } from './network-state.ts';
import { refusal } from './pick.ts';

const NOW = createClock().now();

/** Ids of the upstreams that get the next attempts; each ends before the next begins. */
function sequence(state: NetworkState, count: number, now = NOW): string {
  return Array.from({ length: count }, () => {
    const begun = attempt(state, now);
    if (begun) endAttempt(begun.member);
    return begun?.member.id ?? '-';
  }).join('');
}

/** The same, but no attempt ends. */
function held(state: NetworkState, count: number, now = NOW): string {
  return Array.from({ length: count }, () => attempt(state, now)?.member.id ?? '-').join('');
}

describe('the reference vectors of nginx', () => {
  test('equal upstreams take turns when calls come one after another', () => {
    expect(sequence(unprobed([{}, {}, {}]), 9)).toBe('abcabcabc');
  });

  test('held sessions are spread as nginx spreads them, and go where sessions have ended', () => {
    const state = unprobed([{}, {}]);
    expect(held(state, 6)).toBe('abbaab');
    memberOf(state, 0).inFlight = 0;
    expect(held(state, 4)).toBe('aaab');
  });

  test('weights share concurrent and sequential calls in proportion', () => {
    const concurrent = held(unprobed([{ weight: 3 }, { weight: 1 }]), 12);
    expect(concurrent.replaceAll('b', '')).toHaveLength(9);
    expect(sequence(unprobed([{ weight: 3 }, { weight: 1 }]), 12)).toBe('aabaaabaaaba');
  });

  test('a heavy upstream alternates smoothly with light ones', () => {
    expect(sequence(unprobed([{ weight: 5 }, {}, {}]), 14)).toBe('aabacaaaabacaa');
  });

  test('a heavy upstream climbs back to its weight step by step after a failure', () => {
    const state = unprobed([{ weight: 5, maxFails: 2 }, {}, {}]);
    recordFailure(memberOf(state, 0), NOW);
    expect(memberOf(state, 0).effectiveWeight).toBe(3);
    sequence(state, 2);
    expect(memberOf(state, 0).effectiveWeight).toBe(5);
  });

  test('the light upstreams take turns once the heavy one has failed and handed its call on', () => {
    const state = unprobed([{ weight: 5, maxFails: 1 }, {}, {}]);
    const failed = attempt(state, NOW)?.member ?? memberOf(state, 2);
    endAttempt(failed);
    recordFailure(failed, NOW);
    const next = attempt(state, NOW, [failed])?.member ?? memberOf(state, 2);
    endAttempt(next);
    expect([failed.id, next.id]).toEqual(['a', 'b']);
    expect(sequence(state, 10)).toBe('cbcbcbcbcb');
  });
});

describe('tiers', () => {
  const three = [{ tier: 'fallback' }, { tier: 'monitoring' }, { tier: 'local' }] as const;

  test('a better tier takes all calls whatever stands first in the configuration', () => {
    expect(sequence(unprobed(three), 3)).toBe('ccc');
  });

  test('a worse tier serves as soon as the one before has nobody eligible', () => {
    const state = unprobed([...three]);
    recordThrottled(memberOf(state, 2), NOW, 1000);
    expect(sequence(state, 2)).toBe('bb');
    recordThrottled(memberOf(state, 1), NOW, 1000);
    expect(sequence(state, 2)).toBe('aa');
  });

  test('a worse tier serves a request that has tried the better one already', () => {
    const state = unprobed([...three]);
    const tried = [memberOf(state, 2)];
    expect(picked(state, NOW, { tried })?.id).toBe('b');
  });

  test('an eligible upstream of a worse tier comes before a softly excluded one of a better', () => {
    const state = probed([{}, { tier: 'fallback' }], ['lagging', null], NOW);
    expect(sequence(state, 2)).toBe('bb');
  });
});

describe('reasons', () => {
  test('every hard reason of a probe keeps an upstream out even if nobody is left', () => {
    // A limit is this replica's own to meet.
    const hard = reasonsOfKind('hard').filter((reason) => reason !== 'throttled');
    for (const reason of hard) {
      const state = probed([{}, {}], [reason, reason], NOW);
      expect(picked(state, NOW), reason).toBeNull();
      expect(refusal(state, wantedOf(), NOW).reasons, reason).toEqual({ a: reason, b: reason });
    }
    expect(hard).toContain('wrong_chain');
  });

  test('a limit that the sidecar met keeps an upstream out only while there is another', () => {
    expect(sequence(probed([{}, {}], ['throttled', null], NOW), 2)).toBe('bb');
    expect(picked(probed([{}], ['throttled'], NOW), NOW)?.id).toBe('a');
  });

  test('every soft reason keeps an upstream out while another is eligible, and is ignored when none is (incident 9)', () => {
    for (const reason of reasonsOfKind('soft')) {
      expect(sequence(probed([{}, {}], [reason, null], NOW), 2), reason).toBe('bb');
      expect(sequence(probed([{}, {}], [reason, reason], NOW), 2), reason).toBe('ab');
    }
  });

  test('whoever probably does not answer is asked after those that are only late', () => {
    for (const reason of ['unreachable', 'probe_timeout', 'probe_failed', 'unauthorized', 'silent'] as const)
      expect(sequence(probed([{}, {}], [reason, 'lagging'], NOW), 2), reason).toBe('bb');
  });

  test('a disabled upstream is never picked, not even alone', () => {
    expect(sequence(unprobed([{ disabled: true }, {}]), 2)).toBe('bb');
    expect(sequence(unprobed([{ disabled: true }]), 1)).toBe('-');
  });

  test('an upstream with as many attempts as it may have is full, and picked again when one ends', () => {
    const state = unprobed([{ maxConns: 1 }, { maxConns: 2 }]);
    expect(held(state, 4)).toBe('abb-');
    expect(reasonsNow(state, NOW)).toEqual(['full', 'full']);
    endAttempt(memberOf(state, 0));
    expect(held(state, 1)).toBe('a');
  });

  test('own attempts in flight send new ones elsewhere at once', () => {
    const state = unprobed([{}, {}]);
    memberOf(state, 0).inFlight = 5;
    expect(held(state, 5)).toBe('bbbbb');
  });

  test('a stale ranking keeps its hard reasons and loses its soft ones', () => {
    const state = probed([{}, {}, {}], ['wrong_chain', 'lagging', null], NOW);
    const later = NOW + state.rankingMaxAgeMs + 1;
    expect(reasonsNow(state, NOW)).toEqual(['wrong_chain', 'lagging', null]);
    expect(reasonsNow(state, later - 1)).toEqual(['wrong_chain', 'lagging', null]);
    expect(reasonsNow(state, later)).toEqual(['wrong_chain', null, null]);
    expect(sequence(state, 4, later)).toBe('bcbc');
  });

  test('before the first ranking all upstreams serve in configured order (incident 19)', () => {
    const state = probed([{}, {}], [], NOW);
    state.snapshot = null;
    expect(reasonsNow(state, NOW)).toEqual(['unprobed', 'unprobed']);
    expect(sequence(state, 4)).toBe('abab');
  });

  test('a refused credential is believed until the next ranking, without probes for the fail timeout', () => {
    const ranked = probed([{}, {}], [null, null], NOW);
    memberOf(ranked, 0).unauthorizedAt = NOW + 1;
    expect(reasonsNow(ranked, NOW + 2)).toEqual(['unauthorized', null]);
    memberOf(ranked, 0).unauthorizedAt = NOW - 1;
    expect(reasonsNow(ranked, NOW + 2)).toEqual([null, null]);

    const passive = unprobed([{ failTimeout: 1000 }, {}]);
    memberOf(passive, 0).unauthorizedAt = NOW;
    expect(reasonsNow(passive, NOW + 999)).toEqual(['unauthorized', null]);
    expect(reasonsNow(passive, NOW + 1000)).toEqual([null, null]);
  });
});

describe('refusals', () => {
  test('a refusal names every reason and the earliest time at which coming back makes sense', () => {
    const state = unprobed([{ maxFails: 1, failTimeout: 9000 }, {}, { disabled: true }]);
    recordFailure(memberOf(state, 0), NOW);
    recordThrottled(memberOf(state, 1), NOW, 7000);
    expect(refusal(state, wantedOf(), NOW + 500)).toEqual({
      reasons: { a: 'ejected', b: 'throttled', c: 'disabled' },
      overloaded: false,
      retryAfterMs: 6500,
    });
  });

  test('a refusal is an overload when every usable upstream is full or throttled', () => {
    const state = probed([{ maxConns: 1 }, {}, {}], [null, null, 'wrong_chain'], NOW);
    memberOf(state, 0).inFlight = 1;
    recordThrottled(memberOf(state, 1), NOW, 400);
    expect(refusal(state, wantedOf(), NOW)).toMatchObject({ overloaded: true, retryAfterMs: 400 });
  });

  test('a network without a usable upstream is not overloaded and asks to come back in a second', () => {
    const state = unprobed([{ disabled: true }, { disabled: true }]);
    expect(refusal(state, wantedOf(), NOW)).toMatchObject({ overloaded: false, retryAfterMs: 1000 });
  });

  test('an upstream that was tried in vain but is eligible makes a refusal no overload', () => {
    const state = unprobed([{}, { maxConns: 1 }]);
    memberOf(state, 1).inFlight = 1;
    expect(refusal(state, wantedOf(), NOW)).toMatchObject({ overloaded: false, reasons: { b: 'full' } });
  });
});

describe('whatever the state', () => {
  const reason = fc.constantFrom<Reason | null>(
    null,
    null,
    ...reasonsOfKind('hard'),
    ...reasonsOfKind('soft'),
  );
  const upstream = fc.record({
    reason,
    tier: fc.constantFrom('local', 'monitoring', 'fallback'),
    weight: fc.integer({ min: 1, max: 5 }),
    maxConns: fc.constantFrom<'off' | number>('off', 1, 3),
    inFlight: fc.nat(3),
    fails: fc.nat(4),
    checkedAgoMs: fc.nat(40_000),
    tried: fc.boolean(),
    disabled: fc.boolean(),
  });
  const upstreams = fc.array(upstream, { minLength: 1, maxLength: 6 });
  type Drawn = typeof upstreams extends fc.Arbitrary<infer Value> ? Value : never;

  function build(drawn: Drawn): { state: NetworkState; tried: readonly Member[] } {
    const settings = drawn.map(({ tier, weight, maxConns, disabled }) => ({
      tier: tier as 'local', // fc widens the three words to string
      weight,
      maxConns,
      disabled,
    }));
    const state = probed(
      settings,
      drawn.map((one) => one.reason),
      NOW,
    );
    drawn.forEach(({ inFlight, fails, checkedAgoMs }, at) => {
      const member = memberOf(state, at);
      member.inFlight = inFlight;
      member.fails = fails;
      member.checkedAt = NOW - checkedAgoMs;
      member.failedAt = member.checkedAt;
    });
    return { state, tried: state.members.filter((_, at) => drawn[at]?.tried) };
  }

  test('nobody is picked twice in a request, nor one with a hard reason', () => {
    fc.assert(
      fc.property(upstreams, (drawn) => {
        const { state, tried } = build(drawn);
        const reasons = reasonsNow(state, NOW);
        const chosen = picked(state, NOW, { tried });
        if (chosen === null) return;
        expect(tried.includes(chosen)).toBe(false);
        const reason = reasons[chosen.index];
        expect(reason == null || REASONS[reason] === 'soft').toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('one with a soft reason is picked only when nobody eligible is left, and nobody only when none could be', () => {
    fc.assert(
      fc.property(upstreams, (drawn) => {
        const { state, tried } = build(drawn);
        const reasons = reasonsNow(state, NOW);
        const left = state.members.filter((member) => !tried.includes(member));
        const eligible = left.filter(({ index }) => reasons[index] === null);
        const soft = left.filter(({ index }) => REASONS[reasons[index] ?? 'standby'] === 'soft');
        const answering = soft.filter(({ index }) => !SILENT.has(reasons[index] ?? 'standby'));
        const chosen = picked(state, NOW, { tried });
        const from = [eligible, answering, soft].find((group) => group.length > 0) ?? [];
        if (from.length === 0) expect(chosen).toBeNull();
        else expect(from).toContain(chosen);
        const bestRank = Math.min(...from.map(({ tierRank }) => tierRank));
        if (chosen) expect(chosen.tierRank).toBe(bestRank);
      }),
      { numRuns: 500 },
    );
  });

  test('the same state gives the same pick', () => {
    fc.assert(
      fc.property(upstreams, (drawn) => {
        const [one, two] = [build(drawn), build(drawn)];
        expect(picked(one.state, NOW, one)?.id).toBe(picked(two.state, NOW, two)?.id);
      }),
    );
  });

  test('the order of the configuration decides nothing but ties', () => {
    fc.assert(
      fc.property(upstreams, fc.integer(), (drawn, seed) => {
        const order = shuffled([...drawn.keys()], createRandom(seed));
        const one = build(drawn);
        const two = build(order.map((at) => drawn[at]).filter((each) => each !== undefined));
        const standing = ({ state, tried }: typeof one) => {
          const chosen = picked(state, NOW, { tried });
          if (chosen === null) return null;
          const reason = reasonsNow(state, NOW)[chosen.index];
          return [groupOf(reason), chosen.tierRank, chosen.inFlight / chosen.weight];
        };
        expect(standing(two)).toEqual(standing(one));
      }),
      { numRuns: 500 },
    );
  });

  test('a failure never makes an upstream more likely', () => {
    fc.assert(
      fc.property(upstreams, fc.nat(5), (drawn, failing) => {
        const [before, after] = [build(drawn), build(drawn)];
        const failed = after.state.members[failing % after.state.members.length];
        if (!failed) return;
        recordFailure(failed, NOW);
        const was = picked(before.state, NOW, before);
        const is = picked(after.state, NOW, after);
        if (was?.id !== failed.id) expect(is?.id).not.toBe(failed.id);
      }),
      { numRuns: 500 },
    );
  });

  test('no other candidate of the tier has fewer attempts per weight than the one picked', () => {
    fc.assert(
      fc.property(upstreams, (drawn) => {
        const { state, tried } = build(drawn);
        const reasons = reasonsNow(state, NOW);
        const chosen = picked(state, NOW, { tried });
        if (chosen === null) return;
        const rivals = state.members.filter(
          (member) =>
            !tried.includes(member) &&
            member.tierRank === chosen.tierRank &&
            groupOf(reasons[member.index]) === groupOf(reasons[chosen.index]) &&
            REASONS[reasons[member.index] ?? 'standby'] !== 'hard',
        );
        for (const rival of rivals) {
          expect(rival.inFlight / rival.weight).toBeGreaterThanOrEqual(chosen.inFlight / chosen.weight);
        }
      }),
    );
  });
});

function reasonsOfKind(kind: 'hard' | 'soft'): Reason[] {
  return (Object.keys(REASONS) as Reason[]).filter((reason) => REASONS[reason] === kind); // keys widen to string
}

/** Reasons of those that are asked last, because they probably do not answer. */
const SILENT: ReadonlySet<Reason> = new Set([
  'unreachable',
  'probe_timeout',
  'probe_failed',
  'unauthorized',
  'silent',
]);

function groupOf(reason: Reason | null | undefined): string {
  if (reason == null) return 'eligible';
  return SILENT.has(reason) ? 'silent' : 'answering';
}
