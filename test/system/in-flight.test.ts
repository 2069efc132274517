import { expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../kit/fake-node.ts';
import { waitFor } from '../kit/wait.ts';
import { gateway, redisServer } from './programs.ts';
import { type Replica, startReplica } from './replicas.ts';
import { balanceCall, post, startChain, upstreamsOf } from './upstreams.ts';

const SLOW = 'eth_call';

/** Nodes that answer slow calls only when the test ends. */
async function startNodes(): Promise<FakeNode[]> {
  const nodes = await startChain({}, {}, {});
  for (const node of nodes) node.answer = ({ method }) => (method === SLOW ? { hang: true } : undefined);
  onTestFinished(() => Promise.all(nodes.map((node) => node.stop())).then(() => {}));
  return nodes;
}

/** With only its first upstream in use, so that all its traffic is held there. */
function pinned(nodes: readonly FakeNode[]) {
  const upstreams = upstreamsOf(nodes).map((upstream, at) => ({ ...upstream, disabled: at > 0 }));
  return { probe: 'off', upstreams } as const;
}

const slowCall = (id: number) => JSON.stringify({ jsonrpc: '2.0', id, method: SLOW, params: [] });

async function elsewhere(replica: Replica): Promise<number> {
  const found = /in_flight_elsewhere\{network="net",upstream="a"\} (\d+)/.exec(await replica.metrics());
  return Number(found?.[1]);
}

const sees = (replica: Replica, count: number) =>
  waitFor(async () => (await elsewhere(replica)) === count, {
    what: `${count} attempts elsewhere to be seen`,
  });

test('slow traffic held on one replica makes another one avoid that node, until it is over', async () => {
  const [nodes, redis] = await Promise.all([startNodes(), redisServer()]);
  const first = await startReplica({ redis, net: pinned(nodes) });
  const second = await startReplica({ redis, net: { upstreams: upstreamsOf(nodes) } });
  const held = Array.from({ length: 12 }, () => first.balancer.call('net', SLOW).catch(() => null));
  await sees(second, 12);
  expect(await elsewhere(first)).toBe(0); // Own attempts are counted once.

  const before = nodes.map((node) => node.hits());
  for (let read = 0; read < 30; read++) await second.balancer.call('net', 'eth_chainId');
  expect(nodes.map((node, at) => node.hits() - (before[at] ?? 0))).toEqual([0, 15, 15]);

  await nodes[0]?.restart();
  await Promise.all(held);
  await sees(second, 0);
});

test('the attempts of a replica that is killed are forgotten by the others', async () => {
  const [nodes, redis] = await Promise.all([startNodes(), redisServer()]);
  const survivor = await startReplica({ redis, net: { upstreams: upstreamsOf(nodes) } });
  const victim = await gateway({ config: { redis: { url: redis.url }, networks: { net: pinned(nodes) } } });
  await post(`${victim.url}/net`, balanceCall(1));
  const held = Array.from({ length: 8 }, (_, id) =>
    post(`${victim.url}/net`, slowCall(id)).catch(() => null),
  );
  await sees(survivor, 8);

  await victim.kill();
  await sees(survivor, 0);
  await Promise.all(held);
});

test('what others have in flight is forgotten when Redis is out of reach', async () => {
  const [nodes, redis] = await Promise.all([startNodes(), redisServer()]);
  const first = await startReplica({ redis, net: pinned(nodes) });
  const second = await startReplica({ redis, net: { upstreams: upstreamsOf(nodes) } });
  const held = Array.from({ length: 5 }, () => first.balancer.call('net', SLOW).catch(() => null));
  await sees(second, 5);
  await redis.pause();
  await sees(second, 0);
  await redis.resume();
  await sees(second, 5);
  await nodes[0]?.kill();
  await Promise.all(held);
});
