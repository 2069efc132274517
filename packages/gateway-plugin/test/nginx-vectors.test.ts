// What was measured on nginx, vector by vector. V6 and V8 were measured with GET, which nginx may repeat: here that is POST with
// `non_idempotent`; with GET they are asked of nginx itself in test/oracle/vectors.test.ts.
import { describe, expect, test } from 'vitest';
import { createClock } from '../../../test/kit/clock.ts';
import type { FakeNode, Mode } from '../../../test/kit/fake-node.ts';
import { recordFailure } from '../src/balance/ejection.ts';
import { type NetworkState, reasonsNow } from '../src/balance/network-state.ts';
import { ABORTED, ANSWERED, CUT } from '../src/upstream/outcome.ts';
import { record } from '../src/upstream/record.ts';
import { type Attempt, attempt, memberOf, type UpstreamInput, unprobed } from './members.ts';
import { type Bench, startBench, type Told } from './nginx-bench.ts';

const group = (upstreams: readonly UpstreamInput[], network: object = {}): NetworkState =>
  unprobed(upstreams, { compat: 'nginx', ...network });

const NOW = createClock().now();

/** Upstreams are numbered as in the vectors. */
const numberOf = ({ member }: Attempt): number => member.index + 1;

/** Attempts that all stay in flight. */
function held(state: NetworkState, count: number): Attempt[] {
  return Array.from({ length: count }, () => attempt(state, NOW)).filter((begun) => begun !== null);
}

/** Attempts one after another. */
function inTurn(state: NetworkState, count: number): number[] {
  return Array.from({ length: count }, () => {
    const [begun] = held(state, 1);
    if (!begun) return 0;
    record(begun.member, ANSWERED, begun.trial, NOW);
    return numberOf(begun);
  });
}

describe('what nginx chooses', () => {
  test('V1: equals take turns', () => {
    expect(inTurn(group([{}, {}, {}]), 9)).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3]);
  });

  test('V2: sessions that are held are spread, and follow those that have ended', () => {
    const state = group([{}, {}]);
    const sessions = held(state, 6);
    expect(sessions.map(numberOf)).toEqual([1, 2, 2, 1, 1, 2]);
    for (const { member, trial } of sessions) if (member.index === 0) record(member, ANSWERED, trial, NOW);
    expect(held(state, 4).map(numberOf)).toEqual([1, 1, 1, 2]);
  });

  test('V3: weights share in proportion', () => {
    const weights = [{ weight: 3 }, { weight: 1 }];
    const firsts = held(group(weights), 12).filter((begun) => numberOf(begun) === 1);
    expect(firsts).toHaveLength(9);
    expect(inTurn(group(weights), 12)).toEqual([1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1]);
  });

  test.each(['round_robin', 'least_conn'])('V4: weights alternate smoothly under %s', (strategy) => {
    const state = group([{ weight: 5 }, {}, {}], { strategy });
    expect(inTurn(state, 14)).toEqual([1, 1, 2, 1, 3, 1, 1, 1, 1, 2, 1, 3, 1, 1]);
  });

  test('V5: a heavy upstream that failed leaves the light ones to take turns', () => {
    const state = group([{ weight: 5 }, {}, {}], { strategy: 'round_robin' });
    const failed = attempt(state, NOW);
    if (failed) record(failed.member, CUT, failed.trial, NOW);
    const moved = attempt(state, NOW, failed ? [failed.member] : []);
    if (moved) record(moved.member, ANSWERED, moved.trial, NOW);
    expect(inTurn(state, 10)).toEqual([3, 2, 3, 2, 3, 2, 3, 2, 3, 2]);
  });
});

/** Three nodes as in OpenZeppelin's file. */
const OZ: NonNullable<Parameters<typeof startBench>[1]> = {
  compat: 'nginx',
  maxFails: 3,
  failTimeout: '30s',
  tries: 3,
  retryOn: ['error', 'timeout', 'invalid_header', 'http_500', 'http_502', 'http_503', 'http_504'],
};
const OZ_REPEATING: typeof OZ = { ...OZ, retryOn: [...(OZ.retryOn ?? []), 'non_idempotent'] };

async function ozWith(mode: Mode, repeating: boolean, nodes: (bench: Bench) => readonly FakeNode[]) {
  const bench = await startBench([{}, {}, {}], repeating ? OZ_REPEATING : OZ);
  for (const node of nodes(bench)) node.mode = mode;
  return bench;
}

const all = ({ nodes }: Bench) => nodes;
const first = ({ nodes }: Bench) => nodes.slice(0, 1);
const statuses = (told: readonly Told[]) => told.map(({ status }) => status);
const countOf = (told: readonly Told[], status: number) =>
  statuses(told).filter((one) => one === status).length;

describe('what nginx counts and moves on', () => {
  test('V6: while all nodes answer 500 requests use up the counts, then nothing is contacted', async () => {
    const bench = await ozWith('http500', true, all);
    const told = await bench.postMany(7);
    expect(statuses(told)).toEqual([500, 500, 500, 502, 502, 502, 502]);
    expect(told.map(({ tried }) => tried.length)).toEqual([3, 3, 3, 2, 1, 0, 0]);
    expect(bench.nodes.map((node) => node.hits())).toEqual([4, 3, 5]);
    bench.clock.advance(31_000);
    expect((await bench.post()).tried).not.toBe('');
  });

  test('V7: a 500 to POST is passed on and counted as a success, unless POST may be repeated', async () => {
    const plain = await ozWith('http500', false, first);
    const told = await plain.postMany(12);
    expect([countOf(told, 200), countOf(told, 500), plain.fails()[0]]).toEqual([8, 4, 0]);
    const repeating = await ozWith('http500', true, first);
    expect(countOf(await repeating.postMany(12), 200)).toBe(12);
    expect(repeating.nodes[0]?.hits()).toBe(3);
  });

  test('V8: a reset costs the POST that met it, and the node is left after three', async () => {
    const plain = await ozWith('reset', false, first);
    expect(countOf(await plain.postMany(14), 502)).toBe(3);
    const repeating = await ozWith('reset', true, first);
    const told = await repeating.postMany(12);
    expect(countOf(told, 200)).toBe(12);
    expect(told.filter(({ tried }) => tried.length === 2)).toHaveLength(3);
  });

  test('V9: a single upstream is never excluded and gets one attempt', async () => {
    const bench = await startBench([{}], OZ);
    for (const mode of ['http500', 'reset', 'hang', 'http500', 'http500'] as const) {
      for (const node of bench.nodes) node.mode = mode;
      expect((await bench.post()).tried, mode).toBe('a');
      expect(bench.fails()).toEqual([0]);
    }
    for (const node of bench.nodes) node.mode = 'ok';
    expect((await bench.post()).status).toBe(200);
  });

  test('V10: a backup serves the request that failed and those after it, until the primary gets its probe', async () => {
    const bench = await startBench([{}, { tier: 'fallback' }], {
      compat: 'nginx',
      retryOn: ['error', 'non_idempotent'],
    });
    const [primary] = bench.nodes;
    if (primary) primary.mode = 'reset';
    expect((await bench.postMany(3)).map(({ tried }) => tried)).toEqual(['ab', 'b', 'b']);
    bench.clock.advance(11_000);
    expect((await bench.postMany(2)).map(({ tried }) => tried)).toEqual(['ab', 'b']);
    if (primary) primary.mode = 'ok';
    bench.clock.advance(11_000);
    expect((await bench.postMany(2)).map(({ tried }) => tried)).toEqual(['a', 'a']);
  });

  test('V16: no attempt begins after the deadline, but the one that runs ends by its own timeout', async () => {
    const bench = await startBench([{}, {}, {}], { ...OZ_REPEATING, deadline: 50 });
    for (const node of bench.nodes)
      node.answer = () => {
        bench.clock.advance(100);
        return { hang: true };
      };
    expect(await bench.post()).toMatchObject({ status: 504, tried: 'a' });
    expect(bench.fails()).toEqual([1, 0, 0]);
  });

  test('V17: POST moves on from a port that refuses, which counts', async () => {
    const bench = await startBench([{}, {}], { compat: 'nginx' });
    await bench.nodes[0]?.kill();
    expect(await bench.post('eth_sendRawTransaction')).toMatchObject({ status: 200, tried: 'ab' });
    expect(bench.fails()).toEqual([1, 0]);
  });

  test.each<[Mode, number]>([
    ['reset', 502],
    ['badHeader', 502],
    ['hang', 504],
    ['http500', 500],
    ['http503', 503],
    ['http429', 429],
    ['http401', 401],
  ])(
    'V18: after %s the client gets its status, and the body of the node where there was one',
    async (mode, status) => {
      const bench = await startBench([{}, {}], { compat: 'nginx' });
      for (const node of bench.nodes) node.mode = mode;
      const told = await bench.post('eth_sendRawTransaction');
      expect(told).toMatchObject({ status, tried: 'a' });
      if (mode.startsWith('http')) expect(told.text).toBe(`scripted ${mode}`);
      else expect(JSON.parse(told.text).error.data.code).toBe('RPCB_FATE_UNKNOWN');
    },
  );
});

/** One upstream beside a healthy one, and attempts at it alone. */
function pairOf(settings: UpstreamInput) {
  const state = group([{ failTimeout: '3s', ...settings }, {}]);
  const clock = createClock();
  return {
    state,
    clock,
    isExcluded: () => reasonsNow(state, clock.now())[0] === 'ejected',
    end(verdict = ANSWERED) {
      const begun = attempt(state, clock.now(), [memberOf(state, 1)]);
      if (begun) record(begun.member, verdict, begun.trial, clock.now());
      return begun;
    },
  };
}

describe('what nginx remembers', () => {
  test('V11: failures add up while successes come too soon to clear them', () => {
    const { end, clock, isExcluded } = pairOf({ maxFails: 3 });
    for (let round = 0; round < 3; round++) {
      expect(isExcluded()).toBe(false);
      end(CUT);
      clock.advance(1000);
      end();
      clock.advance(1000);
    }
    expect(isExcluded()).toBe(true);
  });

  test('V12: failures do not grow old', () => {
    const { end, clock, isExcluded } = pairOf({ maxFails: 3 });
    end(CUT);
    end(CUT);
    clock.advance(8000);
    end(CUT);
    expect(isExcluded()).toBe(true);
  });

  test('V13: a success after the fail timeout clears what was before it', () => {
    const { end, clock, isExcluded } = pairOf({ maxFails: 3 });
    end(CUT);
    end(CUT);
    clock.advance(5000);
    end();
    end(CUT);
    end(CUT);
    expect(isExcluded()).toBe(false);
  });

  test('V14: one of ten concurrent requests is the probe, and its success brings the whole share back', () => {
    const state = group([{ failTimeout: '3s' }, {}]);
    recordFailure(memberOf(state, 0), NOW - 4000);
    const sessions = held(state, 10);
    expect(sessions.filter((begun) => numberOf(begun) === 1)).toHaveLength(1);
    for (const { member, trial } of sessions) record(member, ANSWERED, trial, NOW);
    expect(held(state, 10).filter((begun) => numberOf(begun) === 1)).toHaveLength(5);
  });

  test('V15: a probe whose client leaves revives the node at once', () => {
    const { end, clock, isExcluded, state } = pairOf({ maxFails: 1 });
    end(CUT);
    clock.advance(4000);
    expect(end(ABORTED)).not.toBeNull();
    expect(isExcluded()).toBe(false);
    expect(memberOf(state, 0).fails).toBe(0);
  });
});
