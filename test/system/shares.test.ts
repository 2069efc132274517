import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FakeNode } from '../kit/fake-node.ts';
import { type RedisServer, startRedis } from '../kit/redis.ts';
import { type Cluster, createCluster } from './cluster.ts';
import { balanceAnswer, balanceCall, post, startChain, upstreamsOf } from './upstreams.ts';

const REPLICAS_MAX = 5;
/** By chance a share of so many is off by 1 % (its standard deviation, as measured), so that 5 % is no accident. */
const READS = 4500;
/** Each sends its next read when it has its answer. */
const CLIENTS = 12;
const DEVIATION_MAX = 0.05;

describe('three equal nodes', () => {
  let nodes: FakeNode[] = [];
  let redis: RedisServer;
  let cluster: Cluster;

  beforeAll(async () => {
    nodes = await startChain({}, {}, {});
    redis = await startRedis();
    cluster = createCluster({
      redis: { url: redis.url },
      networks: { net: { probe: 'off', upstreams: upstreamsOf(nodes) } },
    });
  });

  afterAll(async () => {
    await cluster?.stop();
    await redis?.stop();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  // The reads are many, and a slow machine takes a while for them.
  test('get equal shares, however many replicas pick at once', { timeout: 180_000 }, async () => {
    for (let replicas = 1; replicas <= REPLICAS_MAX; replicas++) {
      await cluster.addGateway();
      const before = nodes.map(({ reads }) => reads);
      let next = 0;
      const client = async () => {
        for (let index = next++; index < READS; index = next++) {
          const { url } = cluster.gateways[index % replicas] ?? { url: '' };
          expect((await post(`${url}/net`, balanceCall(index))).text).toBe(balanceAnswer(index));
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, client));
      const shares = nodes.map(({ reads }, at) => (reads - (before[at] ?? 0)) / READS);
      for (const share of shares) {
        expect(Math.abs(share * nodes.length - 1), `${replicas} replicas: ${shares}`).toBeLessThan(
          DEVIATION_MAX,
        );
      }
    }
  });
});
