// Decides: whether heads that upstreams tell of by themselves are ranked and published at once, over real sockets.
// The interval of the probes is an hour: no poll can have seen what is asserted here, unless the test says so.
import { describe, expect, onTestFinished, test } from 'vitest';
import { startFakeComet } from '../../../test/kit/fake-comet.ts';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { startFakeSubstrate } from '../../../test/kit/fake-substrate.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { configOf, network, reasonsIn, says, stage, startNodes } from './stage.ts';

const PROBE = { interval: '1h', timeout: 5000, attempts: 1 } as const;
const PUSHING = { pushMode: 'heads' } as const;

const atHead =
  (number: number) =>
  ({ head }: { readonly head: { readonly number: number } | null }) =>
    head?.number === number;

async function subscribed(nodes: readonly FakeNode[]): Promise<void> {
  await waitFor(() => nodes.every(({ webSockets }) => webSockets.subscribed === 1), {
    what: 'a subscription at each node',
  });
}

/** Three nodes that tell of their heads, ranked and subscribed. */
async function startPushed(probe: object = PROBE) {
  const nodes = await startNodes(PUSHING, PUSHING, PUSHING);
  const staged = stage({ config: configOf({ main: network(nodes, { probe }) }) });
  await staged.ranked('all to be well', (ranking) => Object.values(reasonsIn(ranking)).every((r) => !r));
  await subscribed(nodes);
  return { nodes, ...staged };
}

test('a head is published when most upstreams have told of it', async () => {
  const { nodes, ranked, sidecar } = await startPushed();
  for (const node of nodes.slice(0, 2)) node.head = 1001;
  const ranking = await ranked('the new head', atHead(1001));
  expect(ranking.upstreams.map(({ id, head }) => [id, head?.number]).toSorted()).toEqual([
    ['a', 1001],
    ['b', 1001],
    ['c', 1000],
  ]);
  expect(ranking.head).toMatchObject({ hash: nodes[0]?.chain.hashOf(1001), confirmations: 2 });
  expect(nodes.map((node) => node.hits('eth_blockNumber'))).toEqual([1, 1, 1]);
  const shown = sidecar.status().networks[0]?.upstreams.map(({ id, pushedAt }) => [id, pushedAt]);
  expect(shown?.toSorted()).toEqual([
    ['a', expect.any(Number)],
    ['b', expect.any(Number)],
    ['c', null],
  ]);
  expect(await sidecar.metrics()).toMatch(/pushed_heads_total\{network="main",upstream="a"\} 1/);
});

test('a head is published although the probe of another upstream still waits for its answer', async () => {
  const nodes = await startNodes(PUSHING, PUSHING, PUSHING, { mode: 'hang' });
  const probe = { interval: 300, timeout: 60_000, attempts: 1 };
  const { ranked } = stage({ config: configOf({ main: network(nodes, { probe }) }) });
  await subscribed(nodes.slice(0, 3));
  for (const node of nodes) node.lateMs = 60_000;
  for (const node of nodes.slice(0, 3)) node.mode = 'late';
  await waitFor(() => nodes.slice(0, 3).every(({ inFlight }) => inFlight > 0), { what: 'slow probes' });
  for (const node of nodes.slice(0, 3)) node.head = 1001;
  expect((await ranked('the new head', atHead(1001))).head?.confirmations).toBe(3);
});

test('a head that one upstream tells of a million too high is suspect and moves nothing', async () => {
  const { nodes, ranked, rankings } = await startPushed();
  for (const node of nodes.slice(2)) node.mode = 'lie';
  expect(reasonsIn(await ranked('the liar', says('c', 'suspect')))).toEqual({
    a: null,
    b: null,
    c: 'suspect',
  });
  for (const node of nodes.slice(0, 2)) node.head = 1001;
  await ranked('the new head', atHead(1001));
  expect(Math.max(...rankings.map(({ head }) => head?.number ?? 0))).toBe(1001);
});

test('a head that falls after a reorganisation is published as it falls', async () => {
  const { nodes, ranked } = await startPushed();
  for (const node of nodes) {
    node.fork = 'other';
    node.head = 998;
  }
  const { head } = await ranked('the fall', atHead(998));
  expect(head?.hash).toBe(nodes[0]?.chain.hashOf(998));
});

test('nothing speaks against an upstream that lost its WebSocket, however many heads the others tell of', async () => {
  const { nodes, ranked, rankings } = await startPushed();
  const [lost, ...others] = nodes;
  for (const node of nodes) node.head = 1001;
  await ranked('a head of all', ({ head }) => head?.number === 1001 && head.confirmations === 3);
  if (lost) lost.pushMode = 'off';
  await lost?.restart();
  const before = rankings.length;
  for (let number = 1002; number <= 1030; number++) {
    for (const node of others) node.head = number;
    await ranked(`the head ${number}`, atHead(number));
  }
  expect(rankings.slice(before).filter((ranking) => !says('a', null)(ranking))).toEqual([]);
});

test('an upstream whose answers stand still lags steadily, whatever its WebSocket tells', async () => {
  const [frozen, ...nodes] = await startNodes({}, PUSHING, PUSHING, PUSHING);
  if (!frozen) throw new TypeError('a node was started');
  const main = network([frozen, ...nodes.slice(1)]);
  const wsUrl = nodes[0]?.url.replace('http', 'ws');
  const upstreams = main.upstreams.map((upstream) =>
    upstream.id === 'a' ? { ...upstream, wsUrl } : upstream,
  );
  const { ranked, rankings } = stage({ config: configOf({ main: { ...main, upstreams } }) });
  await subscribed(nodes);
  const [telling, ...others] = nodes;
  if (telling) telling.head = 2000;
  await waitFor(() => rankings.some(says('a', 'suspect')), { what: 'a head that was told' });
  await ranked('what it answers', says('a', null));
  for (const node of others) node.head = 2000;
  await ranked('the lag', says('a', 'lagging'));
  const before = rankings.length;
  for (let number = 2001; number <= 2020; number++) {
    for (const node of nodes) node.head = number;
    await ranked(`the head ${number}`, atHead(number));
  }
  const reasons = rankings.slice(before).map((ranking) => reasonsIn(ranking).a);
  expect(reasons.filter((reason) => reason !== 'lagging' && reason !== 'stalled')).toEqual([]);
});

test('what is no head is passed over: text, a huge message, heights that are none', async () => {
  const { nodes, ranked, rankings } = await startPushed();
  const before = rankings.length;
  const notified = (result: unknown) =>
    JSON.stringify({ jsonrpc: '2.0', method: 'eth_subscription', params: { subscription: '0x1', result } });
  const heights = ['0x10000000000000000', '-0x1', '0x', null, 7, {}].map((number) => notified({ number }));
  const huge = notified({ number: '0x3e9', extraData: 'f'.repeat(300_000) });
  for (const text of ['hello', '[]', 'null', notified(null), notified('0x3e9'), huge, ...heights]) {
    nodes[0]?.webSockets.send(text);
    nodes[1]?.webSockets.send(text);
  }
  for (const node of nodes) node.head = 1002;
  const { upstreams } = await ranked('the true head', atHead(1002));
  expect(upstreams.map(({ reason }) => reason)).toEqual([null, null, null]);
  expect(rankings.slice(before).map(({ head }) => head?.number)).not.toContain(1001);
});

test.each([
  ['offers no WebSocket', 'off'],
  ['does not know the subscription', 'refuse'],
  ['agrees and never tells', 'silent'],
] as const)('nothing speaks against an upstream that %s; it is polled', async (_, pushMode) => {
  const nodes = await startNodes({ pushMode }, { pushMode }, { pushMode });
  const { ranked, rankings, sidecar } = stage({ config: configOf({ main: network(nodes) }) });
  await ranked('the first head', atHead(1000));
  for (const node of nodes) node.head = 1001;
  await ranked('the next head', atHead(1001));
  expect(rankings.flatMap(({ upstreams }) => upstreams.map(({ reason }) => reason))).not.toContain(
    'unreachable',
  );
  expect(sidecar.status().networks[0]?.upstreams.map(({ pushedAt }) => pushedAt)).toEqual([null, null, null]);
});

test('an upstream that refused the subscription is not asked again soon', async () => {
  const [node] = await startNodes({ pushMode: 'refuse' });
  if (!node) throw new TypeError('a node was started');
  const { ranked } = stage({ config: configOf({ main: network([node]) }) });
  await ranked('some rounds', ({ seq }) => seq >= 20);
  expect(node.webSockets.asked).toBe(1);
});

test('a subscription that stays behind what polls see is opened anew', async () => {
  const [node] = await startNodes(PUSHING);
  if (!node) throw new TypeError('a node was started');
  stage({ config: configOf({ main: network([node]) }) });
  await subscribed([node]);
  node.head = 1001;
  await waitFor(() => node.webSockets.toldAt.has(1001), { what: 'a head that is told' });
  node.pushMode = 'silent';
  node.head = 1002;
  await waitFor(() => node.webSockets.asked === 2, { what: 'another subscription' });
});

test('a node that was restarted is subscribed to again', async () => {
  const [node] = await startNodes(PUSHING);
  if (!node) throw new TypeError('a node was started');
  const { ranked } = stage({ config: configOf({ main: network([node], { probe: PROBE }) }) });
  await subscribed([node]);
  node.head = 1001;
  await ranked('a head that was told', atHead(1001));
  await node.restart();
  await subscribed([node]);
  node.head = 1002;
  await ranked('a head after the restart', atHead(1002));
});

test('the WebSocket has its own URL and the headers of the upstream', async () => {
  const [polled, pushing] = await startNodes({}, PUSHING);
  if (!polled || !pushing) throw new TypeError('two nodes were started');
  const wsUrl = `${pushing.url.replace('http', 'ws')}/?key=1`;
  const upstreams = [{ id: 'a', url: polled.url, wsUrl, headers: { 'x-api-key': 'planted' } }];
  const { ranked } = stage({ config: configOf({ main: { ...network([]), probe: PROBE, upstreams } }) });
  await subscribed([pushing]);
  expect(pushing.webSockets.headers).toMatchObject({ 'x-api-key': 'planted' });
  pushing.head = 1001;
  await ranked('the head of the WebSocket', atHead(1001));
});

test('a sidecar that stops, or is told of other upstreams, leaves no subscription behind', async () => {
  const { nodes, sidecar } = await startPushed();
  sidecar.reload(configOf({ main: network(nodes.slice(0, 2), { probe: PROBE }) }));
  await waitFor(() => nodes[2]?.webSockets.subscribed === 0, { what: 'the end of one subscription' });
  await subscribed(nodes.slice(0, 2));
  await sidecar.stop();
  const open = () => nodes.filter(({ webSockets }) => webSockets.subscribed > 0);
  await waitFor(() => open().length === 0, { what: 'the end of all' });
});

describe('heads are told, too, by', () => {
  test('Substrate', async () => {
    const node = await startFakeSubstrate({ ...PUSHING, head: 1000 });
    onTestFinished(() => node.stop());
    const main = network([node], { protocol: 'substrate', probe: PROBE });
    const { ranked } = stage({ config: configOf({ main }) });
    await subscribed([node]);
    node.head = 1001;
    expect((await ranked('the new head', atHead(1001))).upstreams[0]?.head).toEqual({
      ...{ number: 1001, hash: null, headerAt: null },
    });
  });

  test('CometBFT', async () => {
    const node = await startFakeComet({ ...PUSHING, head: 1000 });
    onTestFinished(() => node.stop());
    const main = network([node], { protocol: 'cometbft', probe: PROBE });
    const { ranked } = stage({ config: configOf({ main }) });
    await waitFor(() => node.webSockets.subscribed === 1, { what: 'the subscription' });
    node.chain.head = 1001;
    expect((await ranked('the new head', atHead(1001))).upstreams[0]?.head).toEqual({
      ...{ number: 1001, hash: null, headerAt: Date.parse('2026-01-02T03:04:05.123Z') },
    });
  });
});
