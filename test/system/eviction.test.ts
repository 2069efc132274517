// A Redis that may evict control keys is said so, and traffic goes on.
import { expect, test } from 'vitest';
import type { Program } from '../kit/program.ts';
import type { RedisServer } from '../kit/redis.ts';
import { waitFor } from '../kit/wait.ts';
import { callText, fakeNode, gateway, PROBE, post, redisServer, sidecar } from './programs.ts';

const RISK =
  'Redis may evict leases and epochs: its maxmemory-policy is allkeys-lru; set it to noeviction or volatile-*';

/** A gateway and a sidecar that have asked Redis for its policy over their first and over a second connection. */
async function clusterOver(policy: string) {
  const args = ['--maxmemory', '64mb', '--maxmemory-policy', policy];
  const [node, redis] = await Promise.all([fakeNode(), redisServer({ args })]);
  const config = {
    redis: { url: redis.url },
    sidecar: { leaseTtl: '1s' },
    networks: { main: { probe: PROBE, upstreams: [{ id: 'geth-a', url: node.url }] } },
  };
  const looked = looksAt(redis);
  const [front, side] = await Promise.all([gateway({ config }), sidecar({ config })]);
  await looked(2);
  await redis.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
  await looked(4);
  const reached = async () => {
    const stores = await Promise.all([front.status(), side.status()]);
    return stores.every(({ store }) => store.connected && store.problem === null);
  };
  await waitFor(reached, { what: 'both connections of both' });
  const ranked = async () => (await front.ready()).body.networks.main.problems.length === 0;
  await waitFor(ranked, { what: 'a ranking' });
  return { front, side };
}

/** Waits until programs have asked for INFO so many times; our own questions are taken off. */
function looksAt(redis: RedisServer): (count: number) => Promise<unknown> {
  let own = 0;
  return (count) =>
    waitFor(
      async () => {
        const stats = String(await redis.cli('info', 'commandstats'));
        return Number(/cmdstat_info:calls=(\d+)/.exec(stats)?.[1] ?? 0) - own++ >= count;
      },
      { what: `${count} questions for the policy` },
    );
}

async function gaugeOf(program: Program, name: string): Promise<string | undefined> {
  return new RegExp(`^${name} (\\d)$`, 'm').exec(await program.metrics())?.[1];
}

async function told({ front, side }: { readonly front: Program; readonly side: Program }) {
  const [ofGateway, ofSidecar] = await Promise.all([front.ready(), side.ready()]);
  return {
    logged: [front, side].map(({ output }) => output.split('maxmemory-policy').length - 1),
    gauges: [
      await gaugeOf(front, 'rpc_balancer_store_eviction_risk'),
      await gaugeOf(side, 'rpc_balancer_sidecar_store_eviction_risk'),
    ],
    ready: [ofGateway, ofSidecar].map(({ statusCode, body }) => [statusCode, body.status, body.problems]),
  };
}

/** Whether a hundred reads, ten at a time, were all answered with the node's own bytes. */
async function serves(front: Program): Promise<boolean> {
  for (let round = 0; round < 10; round++) {
    const calls = Array.from({ length: 10 }, () => post(`${front.url}/main`, callText('test_echo', [round])));
    const answers = await Promise.all(calls);
    const right = `{"jsonrpc":"2.0","id":1,"result":[${round}]}`;
    if (!answers.every(({ statusCode, text }) => statusCode === 200 && text === right)) return false;
  }
  return true;
}

test('a Redis with an allkeys policy is warned of once, in metrics and readiness, and traffic goes on', async () => {
  const cluster = await clusterOver('allkeys-lru');
  expect(await told(cluster)).toEqual({
    logged: [1, 1],
    gauges: ['1', '1'],
    ready: [
      [200, 'degraded', [RISK]],
      [200, 'degraded', [RISK]],
    ],
  });
  expect(await serves(cluster.front)).toBe(true);
});

test('of a Redis that evicts nothing nobody says a word', async () => {
  const cluster = await clusterOver('noeviction');
  expect(await told(cluster)).toEqual({
    logged: [0, 0],
    gauges: ['0', '0'],
    ready: [
      [200, 'ready', []],
      [200, 'ok', []],
    ],
  });
  expect(await serves(cluster.front)).toBe(true);
});
