// Decides: whether what gateways use and nodes say of limits comes together in the ranking, over the memory store.
import {
  BalancerError,
  createMemoryStore,
  encodeUsage,
  type Ranking,
  type Store,
} from '@rpc-balancer/shared';
import { expect, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { monotonicNow } from '../src/runtime.ts';
import { configOf, network, reasonsIn, says, stage, startNodes } from './stage.ts';

const LONG_MS = 60_000;

/** Longer than the test needs, shorter than the lease. */
const SHORT_MS = 20_000;

const tellBy = (store: Store) => (instance: string, attempts: number, lifeMs: number) => {
  const word = { left: null, limit: null, resetAt: null };
  const usage = encodeUsage({ a: { attempts, throttled: 1, retryAt: null, ...word } });
  return store.beat('main', instance, { content: 'none of ours', usage }, lifeMs);
};

const budgetOf = (ranking: Ranking, id = 'a') => ranking.upstreams.find((one) => one.id === id)?.budget;

/** Probed once, and published often: what was sent there is known exactly. */
const ONCE = { probe: { interval: 3_600_000, timeout: 10_000, attempts: 1 } };

/** Two nodes that are probed once, over a store that gateways may tell. */
async function start(script: (nodes: readonly FakeNode[]) => void = () => {}, given: Partial<Store> = {}) {
  const nodes = await startNodes({}, {});
  script(nodes);
  let ahead = 0;
  const store: Store = { ...createMemoryStore(() => monotonicNow() + ahead), ...given };
  const config = configOf({ main: network(nodes, ONCE) }, { leaseTtl: 30_000, rankingMaxAge: 1000 });
  const advance = (ms: number) => {
    ahead += ms;
  };
  return { nodes, advance, tell: tellBy(store), ...stage({ config, store }) };
}

test('what the gateways that live have sent is added up with the own probes, and what the dead have sent is not', async () => {
  const { nodes, tell, advance, ranked, sidecar } = await start();
  const probes = await ranked('the probes', (one) => (budgetOf(one)?.attempts ?? 0) > 0);
  const own = nodes[0]?.hits() ?? 0;
  expect(budgetOf(probes)).toMatchObject({ attempts: own, throttled: 0, left: null });
  await tell('anna', 100, LONG_MS);
  await tell('bert', 20, SHORT_MS);
  await ranked('both gateways', (one) => budgetOf(one)?.attempts === own + 120);
  advance(SHORT_MS);
  const left = await ranked('the end of one', (one) => budgetOf(one)?.attempts === own + 100);
  expect(budgetOf(left)).toMatchObject({ throttled: 1 });
  expect(budgetOf(left, 'b')).toMatchObject({ attempts: nodes[1]?.hits(), throttled: 0 });
  const shown = sidecar.status().networks[0]?.upstreams.find(({ id }) => id === 'a');
  expect(shown?.budget).toEqual(budgetOf(left));
  expect(await sidecar.metrics()).toContain(
    `rpc_balancer_sidecar_upstream_used_attempts{network="main",upstream="a"} ${own + 100}`,
  );
});

test('what a node says of its limit to a probe, and a probe that it refuses for that, are told', async () => {
  const { ranked, sidecar } = await start(([a, b]) => {
    if (!a || !b) throw new TypeError('two nodes were started');
    const headers = { 'ratelimit-policy': '"day";q=1000;w=86400', ratelimit: '"day";r=12;t=600' };
    const body = '{"jsonrpc":"2.0","id":1,"result":"0x1"}';
    a.answer = () => ({ status: 200, headers, body });
    b.mode = 'http429';
  });
  const ranking = await ranked('the word of the node', (one) => budgetOf(one)?.left === 12);
  expect(budgetOf(ranking)).toMatchObject({ limit: 1000, resetAt: expect.any(Number) });
  expect(budgetOf(ranking)?.resetAt).toBeGreaterThan(monotonicNow() + 300_000);
  const refused = await ranked('the refusal', (one) => (budgetOf(one, 'b')?.throttled ?? 0) > 0);
  expect(budgetOf(refused, 'b')).toMatchObject({ throttled: 1, left: null });
  expect(await sidecar.metrics()).toContain('upstream_left_attempts{network="main",upstream="a"} 12');
});

/** Two nodes that are probed often, of which the second answers with a limit. */
async function startThrottled(retryAfter: string | number | undefined) {
  const nodes = await startNodes({}, { mode: 'http429', retryAfter });
  const [well, throttled] = nodes;
  if (!well || !throttled) throw new TypeError('two nodes were started');
  return { well, throttled, ...stage({ config: configOf({ main: network(nodes) }) }) };
}

const retryIn = (ranking: Ranking) => (budgetOf(ranking, 'b')?.retryAt ?? 0) - ranking.generatedAt;

test('an upstream that answers a probe with Retry-After is left alone for as long as a gateway leaves it', async () => {
  const { well, throttled, ranked } = await startThrottled(3600);
  const refused = await ranked('the refusal', (one) => retryIn(one) > 0);
  expect(reasonsIn(refused)).toEqual({ a: null, b: 'throttled' });
  expect(retryIn(refused)).toBeGreaterThan(10_000);
  expect(retryIn(refused)).toBeLessThanOrEqual(30_000);
  const asked = throttled.requests.length;
  const enough = well.requests.length + 40;
  await ranked('many probes of the other', () => well.requests.length >= enough);
  expect(throttled.requests).toHaveLength(asked);
});

test('an upstream is probed again when its Retry-After is over, and is well when it answers', async () => {
  const { throttled, ranked } = await startThrottled(1);
  await ranked('the refusal', says('b', 'throttled'));
  throttled.mode = 'ok';
  const ranking = await ranked('it to be well', says('b', null));
  expect(budgetOf(ranking, 'b')?.retryAt).toBeNull();
  const [first, ...others] = throttled.requests.map(({ at }) => at);
  const early = others.filter((at) => at - (first ?? 0) < 1000);
  expect(early.length).toBeLessThan(2); // The second exchange of the same probe.
});

test('the lease of an upstream that answers with a limit is not handed over', async () => {
  const store = createMemoryStore(monotonicNow);
  const nodes = await startNodes({ mode: 'http429', retryAfter: 3600 });
  const config = configOf({ main: network(nodes) });
  const both = ['one', 'two'].map((instance) => stage({ config, store, instance }));
  const [first] = both;
  const ranking = await first?.ranked('many rankings', ({ seq }) => seq > 10);
  expect(ranking && reasonsIn(ranking)).toEqual({ a: 'throttled' });
  expect(both.flatMap(({ logged }) => logged).filter((line) => line.includes('hand_over'))).toEqual([]);
});

test('while nothing can be heard of the gateways, what is used is unknown, and ranking goes on', async () => {
  const away = new BalancerError('RPCB_STORE');
  const heard: { fails: Error | null } = { fails: away };
  const { ranked, logged } = await start(undefined, {
    readUsages: async () => {
      if (heard.fails) throw heard.fails;
      return ['none of ours'];
    },
  });
  const ranking = await ranked('three rankings', ({ seq }) => seq === 2);
  expect(reasonsIn(ranking)).toEqual({ a: null, b: null });
  expect(budgetOf(ranking)).toBeNull();
  heard.fails = null;
  await ranked('the own probes', (one) => (budgetOf(one)?.attempts ?? 0) > 0);
  heard.fails = away;
  await ranked('that it is unknown again', (one) => budgetOf(one) === null);
  const isMistake = (line: string) => line.startsWith('a mistake of ours');
  expect(logged.some(isMistake)).toBe(false);
  heard.fails = new TypeError('ours');
  await waitFor(() => logged.some(isMistake), { what: 'the mistake to be told' });
});
