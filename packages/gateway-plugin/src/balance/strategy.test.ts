import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createClock, createRandom } from '../../../../test/kit/clock.ts';
import { memberOf, picked, probed, rank, type UpstreamInput, unprobed } from '../../test/members.ts';
import { beginAttempt, endAttempt } from './ejection.ts';
import { latencyNow, recordLatency, recordWait } from './latency.ts';
import type { NetworkState } from './network-state.ts';

const NOW = createClock().now();

/** Ids of those who get the next calls; with `held` none of them ends. */
function sequence(state: NetworkState, count: number, { held = false, seed = 1 } = {}): string {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const member = picked(state, NOW, {}, random);
    if (member === null) return '-';
    beginAttempt(member, NOW, 1000);
    if (!held) endAttempt(member);
    return member.id;
  }).join('');
}

function counts(text: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const id of text) found[id] = (found[id] ?? 0) + 1;
  return found;
}

describe('round robin', () => {
  const of = (upstreams: readonly UpstreamInput[]) => unprobed(upstreams, { strategy: 'round_robin' });

  test('takes turns whatever is in flight', () => {
    const state = of([{}, {}, {}]);
    memberOf(state, 0).inFlight = 50;
    expect(sequence(state, 6)).toBe('abcabc');
  });

  test('spreads weights smoothly, as nginx does', () => {
    expect(sequence(of([{ weight: 5 }, {}, {}]), 14)).toBe('aabacaaaabacaa');
  });

  test('lets the weight of a failed upstream climb while it is the only one left', () => {
    const state = of([{ weight: 3 }]);
    memberOf(state, 0).effectiveWeight = 1;
    sequence(state, 2);
    expect(memberOf(state, 0)).toMatchObject({ effectiveWeight: 3, currentWeight: 0 });
  });
});

describe('least connections', () => {
  test('counts what is in flight at the other replicas', () => {
    const state = unprobed([{}, {}]);
    memberOf(state, 0).inFlightElsewhere = 3.5;
    expect(sequence(state, 5, { held: true })).toBe('bbbba');
  });

  test('leaves what others have out of the limit of an upstream, which is for each replica', () => {
    const state = unprobed([{ maxConns: 2 }, { tier: 'fallback' }]);
    memberOf(state, 0).inFlightElsewhere = 3;
    expect(sequence(state, 3, { held: true })).toBe('aab');
  });
});

describe('the latency strategy', () => {
  const of = (count: number) =>
    unprobed(
      Array.from({ length: count }, () => ({})),
      { strategy: 'latency' },
    );

  test('prefers the faster of two, and the slow one still gets its chance once it has been idle', () => {
    const state = of(2);
    recordLatency(memberOf(state, 0), 10, NOW);
    recordLatency(memberOf(state, 1), 100, NOW);
    expect(sequence(state, 20)).toBe('a'.repeat(20));
    recordLatency(memberOf(state, 0), 10, NOW + 60_000);
    expect(picked(state, NOW + 60_000)?.id).toBe('b');
  });

  test('weighs latency against what is in flight', () => {
    const state = of(2);
    recordLatency(memberOf(state, 0), 10, NOW);
    recordLatency(memberOf(state, 1), 30, NOW);
    expect(counts(sequence(state, 12, { held: true }))).toEqual({ a: 9, b: 3 });
  });

  test('gives an upstream of which nothing is known one call and no second before its answer', () => {
    const state = of(2);
    recordLatency(memberOf(state, 0), 10, NOW);
    expect(sequence(state, 4, { held: true })).toBe('baaa');
  });

  test('draws no herd to the single fastest of many', () => {
    const state = of(10);
    for (const member of state.members) recordLatency(member, 10 + member.index, NOW);
    expect(Object.keys(counts(sequence(state, 200))).length).toBeGreaterThan(5);
  });

  test('gives a heavier upstream more', () => {
    const state = unprobed([{ weight: 3 }, {}], { strategy: 'latency' });
    for (const member of state.members) recordLatency(member, 10, NOW);
    const { a = 0, b = 0 } = counts(sequence(state, 40, { held: true }));
    expect(a / b).toBeCloseTo(3, 0);
  });
});

describe('the moving latency', () => {
  test('believes a slower answer at once and a faster one bit by bit', () => {
    const member = memberOf(unprobed([{}]), 0);
    recordLatency(member, 10, NOW);
    recordLatency(member, 200, NOW);
    expect(member.latencyMs).toBe(200);
    recordLatency(member, 10, NOW + 1000);
    expect(member.latencyMs).toBeGreaterThan(100);
  });

  test('is never lowered by an attempt that was given up, and raised by one that had taken longer', () => {
    const wait = fc.record({ ms: fc.nat(20_000), answered: fc.boolean(), laterMs: fc.nat(5000) });
    fc.assert(
      fc.property(fc.array(wait, { maxLength: 20 }), (waits) => {
        const member = memberOf(unprobed([{}]), 0);
        let now = NOW;
        for (const { ms, answered, laterMs } of waits) {
          now += laterMs;
          const before = latencyNow(member, now);
          if (answered) recordLatency(member, ms, now);
          else {
            recordWait(member, ms, now);
            expect(latencyNow(member, now)).toBe(ms > (before ?? 0) ? ms : before);
          }
        }
      }),
    );
  });
});

describe('single best', () => {
  const of = (facts: Parameters<typeof rank>[1]) => {
    const state = probed(
      facts.map(() => ({})),
      facts.map(() => null),
      NOW,
      { strategy: 'single_best', prefer: ['head', 'latency'] },
    );
    rank(state, facts, NOW);
    return state;
  };

  test('sends all calls to one', () => {
    expect(sequence(of([{ lagBlocks: 0 }, { lagBlocks: 0 }]), 5, { held: true })).toBe('aaaaa');
  });

  test('takes the highest head, and among close heads the lowest latency', () => {
    const state = of([
      { lagBlocks: 3, latencyP50Ms: 1 },
      { lagBlocks: 0, latencyP50Ms: 80 },
      { lagBlocks: 1, latencyP50Ms: 20 },
    ]);
    expect(sequence(state, 2)).toBe('cc');
  });

  test('keeps its winner while that is close to the best, and changes when it is not', () => {
    const state = of([
      { lagBlocks: 0, latencyP50Ms: 10 },
      { lagBlocks: 0, latencyP50Ms: 40 },
    ]);
    expect(sequence(state, 1)).toBe('a');
    rank(
      state,
      [
        { lagBlocks: 1, latencyP50Ms: 12 },
        { lagBlocks: 0, latencyP50Ms: 10 },
      ],
      NOW,
    );
    expect(sequence(state, 1)).toBe('a');
    rank(
      state,
      [
        { lagBlocks: 2, latencyP50Ms: 12 },
        { lagBlocks: 0, latencyP50Ms: 10 },
      ],
      NOW,
    );
    expect(sequence(state, 1)).toBe('b');
    rank(
      state,
      [
        { lagBlocks: 0, latencyP50Ms: 10 },
        { lagBlocks: 0, latencyP50Ms: 12 },
      ],
      NOW,
    );
    expect(sequence(state, 1)).toBe('b');
  });

  test('leaves a winner that failed at once, before any ranking (incident 17)', () => {
    const state = of([{ lagBlocks: 0 }, { lagBlocks: 0 }]);
    expect(sequence(state, 1)).toBe('a');
    expect(picked(state, NOW, { tried: [memberOf(state, 0)] })?.id).toBe('b');
  });

  test('keeps its winner when a request goes on elsewhere, wants a tag or a block that another has, or the winner is full', () => {
    const state = unprobed([{ maxConns: 1 }, { tags: ['trace'] }, {}], { strategy: 'single_best' });
    const [a, b] = [memberOf(state, 0), memberOf(state, 1)];
    const others = () => [
      picked(state, NOW, { tried: [a] })?.id,
      picked(state, NOW, { tried: [a, b] })?.id,
      picked(state, NOW, { tag: 'trace' })?.id,
      picked(state, NOW, { behind: [a] })?.id,
    ];
    expect(picked(state, NOW)).toBe(a);
    expect(others()).toEqual(['b', 'c', 'b', 'b']);
    expect(picked(state, NOW)).toBe(a);
    a.inFlight = 1;
    expect(picked(state, NOW)?.id).toBe('b');
    a.inFlight = 0;
    expect(picked(state, NOW)).toBe(a);
  });

  test('does not return to a winner that was excluded', () => {
    const state = unprobed([{}, {}], { strategy: 'single_best' });
    const a = memberOf(state, 0);
    expect(picked(state, NOW)).toBe(a);
    a.throttledUntil = NOW + 1000;
    a.changes.count++;
    expect(picked(state, NOW)?.id).toBe('b');
    expect(picked(state, NOW + 1000)?.id).toBe('b');
  });
});
