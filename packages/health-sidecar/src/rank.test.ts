// Decides: whether a ranking gives each upstream the right reason, score and place.
import { type RankingDraft, type Reason, validateConfig } from '@rpc-balancer/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RankInput, rank } from './rank.ts';
import {
  addHead,
  addSample,
  emptyWindow,
  type GoodSample,
  type ProbeFailure,
  type Sample,
  type SampleWindow,
} from './samples.ts';

const NOW = 1_704_067_200_000;

function good(change: Partial<GoodSample> & { readonly number?: number } = {}): GoodSample {
  const { number = 100, ...rest } = change;
  const head = { number, hash: null, headerAt: NOW - 1000 };
  return {
    ...{ failure: null, sampledAt: NOW, latencyMs: 10, identity: '1', syncing: false, head, finalized: null },
    ...rest,
  };
}

const failed = (failure: ProbeFailure): Sample => ({ failure, sampledAt: NOW, detail: 'scripted' });

const windowOf = (...samples: readonly Sample[]): SampleWindow =>
  samples.reduce((window, sample) => addSample(window, sample), emptyWindow);

interface Scene {
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
  readonly identity?: string;
  readonly disabled?: readonly string[];
  /** Of upstreams that are addresses of one name. */
  readonly voters?: Readonly<Record<string, string>>;
  readonly past?: Partial<RankingDraft>;
  readonly settled?: boolean;
}

function inputOf({ samples, identity, disabled = [], voters = {}, past, settled = true }: Scene): RankInput {
  const upstreams = Object.keys(samples).map((id) => ({
    id,
    url: 'http://127.0.0.1:1',
    disabled: disabled.includes(id),
  }));
  const { networks } = validateConfig({
    networks: { main: { upstreams, ...(identity === undefined ? {} : { identity }) } },
  });
  const config = networks.main;
  if (config === undefined) throw new TypeError('the network was named in the line above');
  const windows = new Map(Object.entries(samples).map(([id, given]) => [id, windowOf(...given)]));
  return {
    upstreams: config.upstreams.map((upstream) => ({
      ...upstream,
      voter: voters[upstream.id] ?? upstream.id,
    })),
    ...{ network: 'main', config, configHash: 'hash', publisher: 'test', windows, settled },
    loads: new Map([['a', 0.5]]),
    budgets: new Map([['a', BUDGET]]),
    past: past === undefined ? null : { ...rankedBefore, ...past },
    now: NOW,
    freshSince: NOW - 6000,
    lookMs: 2000,
  };
}

const BUDGET = { attempts: 7, throttled: 1, retryAt: null, left: 3, limit: 10, resetAt: NOW };

const rankedBefore: RankingDraft = {
  ...{ version: 1, network: 'main', publisher: 'before', generatedAt: NOW - 2000, configHash: 'hash' },
  ...{ identity: null, head: null, finalized: null, blockIntervalMs: 1000, upstreams: [] },
};

const rankOf = (scene: Scene): RankingDraft => rank(inputOf(scene));

function reasonsOf(ranking: RankingDraft): Readonly<Record<string, Reason | null>> {
  return Object.fromEntries(ranking.upstreams.map(({ id, reason }) => [id, reason]));
}

const healthy = { b: [good()], c: [good()], d: [good()] };

describe('the reason of an upstream', () => {
  const rows: {
    reason: Reason | null;
    when: string;
    scene: Omit<Scene, 'samples'> & { a: readonly Sample[] };
  }[] = [
    { reason: null, when: 'nothing speaks against it', scene: { a: [good()] } },
    { reason: 'disabled', when: 'the configuration says so', scene: { a: [good()], disabled: ['a'] } },
    {
      reason: 'wrong_chain',
      when: 'it says another identity than configured',
      scene: { a: [good({ identity: '5' })], identity: '1' },
    },
    {
      reason: 'wrong_chain',
      when: 'it says another identity than the others',
      scene: { a: [good({ identity: '5' })] },
    },
    {
      reason: 'wrong_chain',
      when: 'it was of another chain and fails now',
      scene: { a: [good({ identity: '5' }), failed('unreachable')] },
    },
    {
      reason: null,
      when: 'it does not tell its identity',
      scene: { a: [good({ identity: null })], identity: '1' },
    },
    { reason: 'unprobed', when: 'no probe ended yet', scene: { a: [] } },
    { reason: 'unprobed', when: 'its last success is old', scene: { a: [good({ sampledAt: NOW - 6001 })] } },
    { reason: 'unreachable', when: 'it cannot be reached', scene: { a: [good(), failed('unreachable')] } },
    { reason: 'probe_timeout', when: 'it is too slow', scene: { a: [failed('probe_timeout')] } },
    { reason: 'unauthorized', when: 'it wants other credentials', scene: { a: [failed('unauthorized')] } },
    { reason: 'probe_failed', when: 'it answers nonsense', scene: { a: [failed('probe_failed')] } },
    {
      reason: null,
      when: 'it throttles us after a fresh success',
      scene: { a: [good(), failed('throttled')] },
    },
    {
      reason: 'throttled',
      when: 'it throttles us from the beginning',
      scene: { a: [failed('throttled')] },
    },
    {
      reason: 'syncing',
      when: 'it says so, whatever its head',
      scene: { a: [good({ syncing: true, number: 9_000_000 })] },
    },
    { reason: 'no_peers', when: 'it should have peers and has none', scene: { a: [good({ lonely: true })] } },
    { reason: null, when: 'it has peers', scene: { a: [good({ lonely: false })] } },
    { reason: 'suspect', when: 'it is implausibly far ahead', scene: { a: [good({ number: 9_000_000 })] } },
    { reason: null, when: 'it is a little ahead', scene: { a: [good({ number: 105 })] } },
    { reason: null, when: 'it lags by what is allowed', scene: { a: [good({ number: 95 })] } },
    { reason: 'lagging', when: 'it lags by one more', scene: { a: [good({ number: 94 })] } },
  ];

  test.each(rows)('is $reason when $when', ({ reason, scene: { a, ...rest } }) => {
    const ranking = rankOf({ samples: { a, ...healthy }, ...rest });
    expect(reasonsOf(ranking)).toEqual({ a: reason, b: null, c: null, d: null });
  });

  test('is stalled when its head stands while the others move', () => {
    const still = [4000, 2000, 0].map((ago) => good({ number: 98, sampledAt: NOW - ago }));
    const moving = [98, 99, 100].map((number, at) => good({ number, sampledAt: NOW - 4000 + 2000 * at }));
    const ranking = rankOf({ samples: { a: still, b: moving, c: moving }, past: {} });
    expect(reasonsOf(ranking)).toEqual({ a: 'stalled', b: null, c: null });
  });

  test('stays wrong_chain for the next publisher until it says what it is', () => {
    const before = rankOf({ samples: { a: [good({ identity: '5' })], ...healthy } });
    const ranking = rankOf({ samples: { a: [], ...healthy }, past: before });
    expect(reasonsOf(ranking).a).toBe('wrong_chain');
    for (const failure of ['probe_timeout', 'throttled'] as const) {
      const tried = rankOf({ samples: { a: [failed(failure)], ...healthy }, past: ranking });
      expect(reasonsOf(tried).a).toBe('wrong_chain');
    }
    const probed = rankOf({ samples: { a: [good()], ...healthy }, past: ranking });
    expect(reasonsOf(probed).a).toBeNull();
  });
});

describe('the identity of a network', () => {
  const says = (...identities: string[]) =>
    Object.fromEntries(identities.map((identity, at) => [`n${at}`, [good({ identity })]]));

  test.each([
    {
      name: 'is the configured one, whatever they say',
      scene: { samples: says('5', '5'), identity: '1' },
      identity: '1',
    },
    { name: 'is what most say', scene: { samples: says('5', '1', '1') }, identity: '1' },
    { name: 'is on a tie what the first says', scene: { samples: says('5', '1') }, identity: '5' },
    { name: 'stays on a tie', scene: { samples: says('5', '1'), past: { identity: '1' } }, identity: '1' },
    {
      name: 'changes when a majority says so',
      scene: { samples: says('5', '5', '1'), past: { identity: '1' } },
      identity: '5',
    },
    {
      name: 'stays while nobody answers',
      scene: { samples: { n0: [], n1: [] }, past: { identity: '1' } },
      identity: '1',
    },
    {
      name: 'is open until enough have answered',
      scene: { samples: { ...says('5'), n1: [], n2: [] }, settled: false },
      identity: null,
    },
    {
      name: 'is not what many addresses of one name say',
      scene: { samples: says('5', '5', '5', '1', '1'), voters: { n0: 'a', n1: 'a', n2: 'a' } },
      identity: '1',
    },
    {
      name: 'is what most addresses of the only name say',
      scene: { samples: says('5', '1', '1'), voters: { n0: 'a', n1: 'a', n2: 'a' } },
      identity: '1',
    },
    {
      name: 'stays until a majority of names says otherwise',
      scene: {
        samples: says('5', '5', '5', '1'),
        voters: { n0: 'a', n1: 'a', n2: 'a' },
        past: { identity: '1' },
      },
      identity: '1',
    },
  ])('$name', ({ scene, identity }) => {
    expect(rankOf(scene).identity).toBe(identity);
  });
});

describe('the head of a ranking', () => {
  test('is open until a majority has answered, and one answer counts when the others had their time', () => {
    const samples = { a: [good()], b: [], c: [] };
    expect(rankOf({ samples, settled: false }).head).toBeNull();
    expect(rankOf({ samples }).head?.number).toBe(100);
  });

  test('is open while most names have not answered, or most addresses', () => {
    const voters = { a1: 'a', a2: 'a', a3: 'a' };
    const ofOne = { a1: [good()], a2: [good()], a3: [good()], b: [], c: [] };
    expect(rankOf({ samples: ofOne, voters, settled: false }).head).toBeNull();
    expect(rankOf({ samples: { ...ofOne, b: [good()] }, voters, settled: false }).head?.number).toBe(100);
    const first = { a1: [good()], a2: [], a3: [] };
    expect(rankOf({ samples: first, voters, settled: false }).head).toBeNull();
  });

  test('stays the last agreed one while nobody has a vote', () => {
    const head = { number: 100, hash: '0x1', headerAt: NOW, agreedAt: NOW - 9000, confirmations: 3 };
    const ranking = rankOf({ samples: { a: [failed('unreachable')] }, past: { head } });
    expect(ranking.head).toEqual({ ...head, confirmations: 0 });
  });

  test('of another chain has no vote', () => {
    const foreign = [good({ identity: '5', number: 9_000_000 })];
    const ranking = rankOf({ samples: { a: foreign, b: [good()], c: [good()] }, identity: '1' });
    expect(ranking.head?.number).toBe(100);
    expect(ranking.upstreams.find(({ id }) => id === 'a')?.lagBlocks).toBeNull();
  });

  test('and an unknown lag is null, not nought', () => {
    const ranking = rankOf({ samples: { a: [failed('unreachable')], ...healthy } });
    const a = ranking.upstreams.find(({ id }) => id === 'a');
    expect(a).toMatchObject({ head: null, lagBlocks: null, score: 0 });
  });

  test('has the finality that most have reached, never above the head', () => {
    const at = (finalized: number) => [good({ finalized })];
    expect(rankOf({ samples: { a: at(90), b: at(80), c: at(70) } }).finalized).toBe(80);
    expect(rankOf({ samples: { a: at(90), b: at(80) } }).finalized).toBe(80);
    expect(rankOf({ samples: { a: at(900), b: at(80), c: [good()] } }).finalized).toBe(80);
    const many = { a1: at(90), a2: at(90), a3: at(60), b: at(80), c: at(70) };
    expect(rankOf({ samples: many, voters: { a1: 'a', a2: 'a', a3: 'a' } }).finalized).toBe(80);
  });
});

const anySample = fc.oneof(
  fc
    .record({ number: fc.integer({ min: 80, max: 110 }), latencyMs: fc.nat(5000), syncing: fc.boolean() })
    .map((given) => good(given)),
  fc
    .constantFrom<ProbeFailure>('unreachable', 'probe_timeout', 'probe_failed', 'unauthorized', 'throttled')
    .map(failed),
);
const someSamples = fc.array(anySample, { maxLength: 8 });
const anySamples = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), someSamples, { minKeys: 1 });

describe('a network without heads', () => {
  const headless = (change: Partial<GoodSample> = {}) => good({ head: null, identity: null, ...change });

  test('is ranked by latency and errors, and nobody lags or is unprobed', () => {
    const samples = {
      slow: [headless({ latencyMs: 900 })],
      failing: [failed('probe_failed'), headless()],
      fast: [headless()],
      dead: [failed('unreachable')],
    };
    const ranking = rankOf({ samples });
    expect(ranking).toMatchObject({ head: null, identity: null, finalized: null, blockIntervalMs: null });
    expect(ranking.upstreams.map(({ id, reason, lagBlocks }) => [id, reason, lagBlocks])).toEqual([
      ['fast', null, null],
      ['slow', null, null],
      ['failing', null, null],
      ['dead', 'unreachable', null],
    ]);
  });

  test('drops the head that it had, and keeps it while nobody answers', () => {
    const head = { number: 7, hash: null, headerAt: null, agreedAt: NOW - 1, confirmations: 2 };
    const withPast = (a: readonly Sample[]) => rankOf({ samples: { a }, past: { head } }).head;
    expect(withPast([headless()])).toBeNull();
    expect(withPast([failed('unreachable')])).toEqual({ ...head, confirmations: 0 });
    expect(withPast([])).toEqual({ ...head, confirmations: 0 });
  });

  test('tells which of its upstreams were restarted, and when', () => {
    const first = headless({ uptimeS: 9 });
    const samples = { a: [first, headless({ uptimeS: 1 })], b: [first] };
    const [a, b] = rankOf({ samples }).upstreams.toSorted((x, y) => (x.id < y.id ? -1 : 1));
    expect(a).toHaveProperty('restartedAt', NOW);
    expect(b).not.toHaveProperty('restartedAt');
  });
});

describe('beside upstreams that tell of four blocks a second, one that was last looked at two seconds ago', () => {
  const seen = (number: number, agoMs: number) => good({ number, sampledAt: NOW - agoMs });
  const told = [750, 500, 250, 0].map((agoMs, at) => seen(105 + at, agoMs));
  const past = { blockIntervalMs: 250 };
  const inputWith = (c: readonly Sample[]) => inputOf({ samples: { a: told, b: told, c }, past });

  test.each<[string, readonly Sample[], Reason | null, lagBlocks: number]>([
    ['is well: nobody knows what it made since', [seen(92, 3900), seen(100, 1900)], null, 1],
    ['is well, also after many blocks', [seen(85, 5900)], null, 0],
    ['lags when it lagged then', [seen(86, 3900), seen(94, 1900)], 'lagging', 7],
    ['is stalled when it was found where it had been', [seen(100, 2100), seen(100, 100)], 'stalled', 8],
  ])('%s', (_, samples, reason, lagBlocks) => {
    const ranking = rank(inputWith(samples));
    expect(reasonsOf(ranking)).toEqual({ a: null, b: null, c: reason });
    expect(ranking.upstreams.find(({ id }) => id === 'c')).toMatchObject({ lagBlocks });
  });

  test('lags as before while nobody else was looked at since, either', () => {
    const samples = { a: [seen(100, 5000)], b: [seen(100, 5000)], c: [seen(92, 5000)] };
    expect(reasonsOf(rankOf({ samples, past })).c).toBe('lagging');
  });

  test('is stalled when it tells of heads, too, and has told of none', () => {
    const input = inputWith([]);
    const head = { number: 100, hash: null, headerAt: null };
    const silent = addHead(windowOf(seen(92, 3900), seen(100, 1900)), head, NOW - 1800);
    const windows = new Map([...input.windows, ['c', silent] as const]);
    expect(reasonsOf(rank({ ...input, windows })).c).toBe('stalled');
  });
});

test('incident 4: a chain that stalls is said while every lag is 0, excludes nobody, and ends with the next block', () => {
  const agreed = { number: 100, hash: null, headerAt: null, agreedAt: NOW - 13_000, confirmations: 3 };
  const stalled = rankOf({ samples: healthy, past: { head: agreed } });
  expect(stalled.stalledSince).toBe(NOW - 13_000);
  expect(stalled.upstreams.map(({ reason, lagBlocks }) => [reason, lagBlocks])).toEqual([
    [null, 0],
    [null, 0],
    [null, 0],
  ]);
  const next = [good({ number: 101 })];
  expect(rankOf({ samples: { b: next, c: next, d: next }, past: stalled })).not.toHaveProperty(
    'stalledSince',
  );
});

describe('a ranking', () => {
  test('does not depend on the order of the upstreams', () => {
    const property = fc.property(anySamples, (samples) => {
      const reversed = Object.fromEntries(Object.entries(samples).reverse());
      expect(rankOf({ samples: reversed, identity: '1' })).toEqual(rankOf({ samples, identity: '1' }));
    });
    fc.assert(property);
  });

  test('names every upstream once, best first, and gives a score only without a reason', () => {
    const property = fc.property(anySamples, (samples) => {
      const { upstreams } = rankOf({ samples });
      expect(upstreams.map(({ id }) => id).sort()).toEqual(Object.keys(samples).sort());
      for (const { reason, score } of upstreams) {
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(reason === null ? 1 : 0);
      }
      const scores = upstreams.map(({ score }) => score);
      expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    });
    fc.assert(property);
  });

  test('tells the load and the budget of each upstream, and null where they are not known', () => {
    const { upstreams } = rankOf({ samples: { a: [good()], b: [good()] } });
    const told = Object.fromEntries(upstreams.map(({ id, load, budget }) => [id, { load, budget }]));
    expect(told).toEqual({ a: { load: 0.5, budget: BUDGET }, b: { load: null, budget: null } });
  });

  test('never raises a score for one more failure', () => {
    const scoreOf = (a: readonly Sample[]) =>
      rankOf({ samples: { a, ...healthy } }).upstreams.find(({ id }) => id === 'a')?.score ?? 0;
    // Fewer than a window keeps, so that it forgets no other sample for the failure.
    const some = fc.array(anySample, { maxLength: 50 });
    const property = fc.property(some, fc.nat(), anySample, (samples, at, last) => {
      const more = samples.toSpliced(at % (samples.length + 1), 0, failed('unreachable'));
      expect(scoreOf([...more, last])).toBeLessThanOrEqual(scoreOf([...samples, last]));
      expect(scoreOf([...samples, failed('unreachable')])).toBe(0);
    });
    fc.assert(property);
  });
});
