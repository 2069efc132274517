import { describe, expect, test } from 'vitest';
import { createClock } from '../../../../test/kit/clock.ts';
import {
  configOf,
  memberOf,
  picked,
  probed,
  RANKING_MAX_AGE_MS,
  rank,
  type UpstreamInput,
  unprobed,
} from '../../test/members.ts';
import { recordThrottled } from './ejection.ts';
import { createNetworkState, type NetworkState } from './network-state.ts';

const NOW = createClock().now();

type Network = Parameters<typeof probed>[3];

function ranked(
  upstreams: readonly UpstreamInput[],
  facts: Parameters<typeof rank>[1],
  network: Network = {},
): NetworkState {
  const state = probed(
    upstreams,
    upstreams.map(() => null),
    NOW,
    network,
  );
  rank(state, facts, NOW);
  return state;
}

/** Everybody who may be picked: each is held at once, so that the next comes forward. */
function choices(state: NetworkState): string {
  const found = new Set<string>();
  for (let calls = 0; calls < 20; calls++) {
    const member = picked(state, NOW);
    if (member === null) break;
    member.inFlight++;
    found.add(member.id);
  }
  for (const member of state.members) member.inFlight = 0;
  return [...found].sort().join('');
}

describe('prefer', () => {
  test('head leaves reads spread over all that do not lag', () => {
    expect(choices(ranked([{}, {}, {}], [{ lagBlocks: 0 }, { lagBlocks: 5 }, { lagBlocks: 2 }]))).toBe('abc');
  });

  test('head takes the least lagging when all lag', () => {
    const lagging = { reason: 'lagging' as const };
    const state = ranked(
      [{}, {}],
      [
        { ...lagging, lagBlocks: 40 },
        { ...lagging, lagBlocks: 8 },
      ],
    );
    expect(choices(state)).toBe('b');
  });

  test('an unknown head is not lag 0: it comes after the known ones (incident 5)', () => {
    const network = { strategy: 'single_best' } as const;
    expect(choices(ranked([{}, {}], [{ lagBlocks: null }, { lagBlocks: 1 }], network))).toBe('b');
    expect(choices(ranked([{}, {}], [{ lagBlocks: null }, { lagBlocks: null }], network))).toBe('a');
  });

  test('latency keeps those within a fifth of the fastest', () => {
    const facts = [{ latencyP50Ms: 100 }, { latencyP50Ms: 119 }, { latencyP50Ms: 121 }];
    expect(choices(ranked([{}, {}, {}], facts, { prefer: ['latency'] }))).toBe('ab');
  });

  test('latency keeps those within five milliseconds of a very fast one', () => {
    const facts = [{ latencyP50Ms: 1 }, { latencyP50Ms: 6 }, { latencyP50Ms: 6.1 }];
    expect(choices(ranked([{}, {}, {}], facts, { prefer: ['latency'] }))).toBe('ab');
  });

  test('SQ-09: a later preference only tells apart what the earlier one calls equal', () => {
    const facts = [
      { lagBlocks: 0, latencyP50Ms: 90 },
      { lagBlocks: 1, latencyP50Ms: 10 },
      { lagBlocks: 4, latencyP50Ms: 1 },
    ];
    const network = { strategy: 'single_best', prefer: ['head', 'latency'] } as const;
    expect(choices(ranked([{}, {}, {}], facts, { ...network, prefer: [...network.prefer] }))).toBe('b');
    expect(choices(ranked([{}, {}, {}], facts, { ...network, prefer: ['latency', 'head'] }))).toBe('c');
  });

  test('load keeps those within a fifth of the least loaded, or within a tenth of a very idle one (SQ-08)', () => {
    const loads = (...given: number[]) =>
      ranked(
        given.map(() => ({})),
        given.map((load) => ({ load })),
        { prefer: ['load'] },
      );
    expect(choices(loads(2, 2.4, 2.41, 2))).toBe('abd');
    expect(choices(loads(0, 0.1, 0.11))).toBe('ab');
  });

  test('an unknown load is not 0: it comes after every known one, and is no bar when all are unknown (SQ-08)', () => {
    const network = { prefer: ['load'] } satisfies Network;
    expect(choices(ranked([{}, {}, {}], [{ load: null }, { load: 90 }, {}], network))).toBe('b');
    expect(choices(ranked([{}, {}], [{ load: null }, {}], network))).toBe('ab');
  });

  test('a list of preferences is a list of true tie-breaks, in its order (SQ-09)', () => {
    const facts = [
      { lagBlocks: 0, latencyP50Ms: 10, load: 4 },
      { lagBlocks: 0, latencyP50Ms: 11, load: 1 },
      { lagBlocks: 0, latencyP50Ms: 40, load: 0.2 },
      { lagBlocks: 3, latencyP50Ms: 1, load: 0 },
    ];
    const chosen = (...prefer: NonNullable<NonNullable<Network>['prefer']>) =>
      choices(ranked([{}, {}, {}, {}], facts, { strategy: 'single_best', prefer }));
    expect(chosen('head', 'latency', 'load')).toBe('b');
    expect(chosen('head', 'load', 'latency')).toBe('c');
    expect(chosen('load', 'head')).toBe('d');
  });

  test.each<NonNullable<NonNullable<Network>['prefer']>[number]>(['head', 'latency', 'load'])(
    '%s of a ranking that is too old tells nobody apart',
    (preference) => {
      const facts = [
        { lagBlocks: 0, latencyP50Ms: 1, load: 0 },
        { lagBlocks: 5, latencyP50Ms: 90, load: 9 },
      ];
      const network: Network = { prefer: [preference], maxLagBlocks: 4, strategy: 'round_robin' };
      const state = ranked([{}, {}], facts, network);
      const turns = (now: number) => [picked(state, now)?.id, picked(state, now)?.id].toSorted().join('');
      expect(turns(NOW)).toBe('aa');
      expect(turns(NOW + RANKING_MAX_AGE_MS + 1)).toBe('ab');
    },
  );

  test('load decides inside a tier and never between tiers (SQ-08)', () => {
    const tiers = [{}, { tier: 'fallback' }] as const;
    expect(choices(ranked(tiers, [{ load: 50 }, { load: 0 }], { prefer: ['load'] }))).toBe('a');
  });
});

describe('fallbackLagBlocks', () => {
  const tiers = [{}, {}, { tier: 'fallback' }] as const;
  const network = { fallbackLagBlocks: 10, maxLagBlocks: 5 };
  const of = (a: number, b: number) => [
    { lagBlocks: a, reason: a > 5 ? ('lagging' as const) : null },
    { lagBlocks: b, reason: b > 5 ? ('lagging' as const) : null },
    { lagBlocks: 0 },
  ];

  test('SQ-11: bears a lagging local tier up to the limit and not beyond', () => {
    expect(choices(ranked(tiers, of(10, 11), network))).toBe('ab');
    expect(choices(ranked(tiers, of(11, 12), network))).toBe('c');
  });

  test('takes the local tier back at half of the limit, so that it does not flap', () => {
    const state = ranked(tiers, of(11, 11), network);
    expect(choices(state)).toBe('c');
    rank(state, of(6, 7), NOW);
    expect(choices(state)).toBe('c');
    rank(state, of(5, 7), NOW);
    expect(choices(state)).toBe('a');
    rank(state, of(9, 9), NOW);
    expect(choices(state)).toBe('ab');
  });

  test('leaves the local tier earlier than its upstreams are lagging, where it says so', () => {
    expect(choices(ranked(tiers, of(3, 4), { fallbackLagBlocks: 2 }))).toBe('c');
    expect(choices(ranked(tiers, of(2, 4), { fallbackLagBlocks: 2 }))).toBe('ab');
  });

  test('keeps the local tier however far behind when there is nobody else', () => {
    expect(choices(ranked([{}, {}], of(40, 50).slice(0, 2), network))).toBe('a');
  });

  test('does not bring back a lagging upstream that the request has tried', () => {
    const state = ranked(tiers, of(8, 9), network);
    const tried = [memberOf(state, 0), memberOf(state, 1)];
    expect(picked(state, NOW, { tried })?.id).toBe('c');
  });

  test('SQ-12: off, the local tier is left as soon as nobody in it is eligible', () => {
    expect(choices(ranked(tiers, of(6, 7)))).toBe('c');
    expect(choices(ranked(tiers, of(6, 5)))).toBe('b');
  });
});

describe('zones', () => {
  const upstreams = [{ zone: 'eu' }, { zone: 'us' }, { zone: 'us', tier: 'fallback' }] as const;
  const inZone = (zone: string, given: readonly UpstreamInput[] = upstreams) => {
    const config = configOf(given, { probe: 'off' });
    return createNetworkState(config, { rankingMaxAgeMs: 30_000, zone });
  };

  test('a gateway takes the upstreams of its own zone', () => {
    const state = inZone('us');
    expect([picked(state, NOW)?.id, picked(state, NOW)?.id]).toEqual(['b', 'b']);
  });

  test('a zone spills over when its best has eight in flight and twice as many as the best elsewhere', () => {
    const state = inZone('eu');
    memberOf(state, 0).inFlight = 7;
    expect(picked(state, NOW)?.id).toBe('a');
    memberOf(state, 0).inFlight = 8;
    expect(picked(state, NOW)?.id).toBe('b');
    memberOf(state, 1).inFlight = 4;
    expect(picked(state, NOW)?.id).toBe('a');
  });

  test('a zone without an eligible upstream is left, and a better tier elsewhere comes before the own zone', () => {
    const state = inZone('eu');
    recordThrottled(memberOf(state, 0), NOW, 1000);
    expect(picked(state, NOW)?.id).toBe('b');
    expect(picked(inZone('us', [{ zone: 'us', tier: 'fallback' }, {}]), NOW)?.id).toBe('b');
  });

  test('a zone that no upstream has means nothing', () => {
    const state = inZone('asia');
    expect([picked(state, NOW)?.id, picked(state, NOW)?.id]).toEqual(['a', 'b']);
  });
});

describe('tags', () => {
  const state = () => unprobed([{}, { tags: ['trace', 'archive'] }]);

  test('a call that wants a tag goes only to an upstream that has it', () => {
    expect(picked(state(), NOW, { tag: 'trace' })?.id).toBe('b');
  });

  test('a missing tag is binding: nobody is picked rather than one without it', () => {
    const only = state();
    expect(picked(only, NOW, { tag: 'trace', tried: [memberOf(only, 1)] })).toBeNull();
  });

  test('a tag that no upstream of the network has is not asked for', () => {
    expect(picked(state(), NOW, { tag: 'debug' })?.id).toBe('a');
  });
});
