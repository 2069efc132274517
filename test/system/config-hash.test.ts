// A gateway and its sidecar stand on different hosts: what may differ between their files, and what may not.
import { expect, test } from 'vitest';
import type { Gateway } from '../kit/gateway.ts';
import { freePort } from '../kit/ports.ts';
import { createAuthority } from '../kit/redis-tls.ts';
import { waitFor } from '../kit/wait.ts';
import { fakeNode, gateway, PROBE, redisServer, sidecar } from './programs.ts';

async function seenBy(one: Gateway) {
  const [status, ready, metrics] = await Promise.all([one.status(), one.ready(), one.metrics()]);
  return {
    configMatches: status.networks.main.configMatches,
    problems: ready.body.networks.main.problems as string[],
    status: ready.body.status,
    statusCode: ready.statusCode,
    metric: /^rpc_balancer_config_mismatch\{network="main"\} (\d)$/m.exec(metrics)?.[1],
  };
}

const rankedBy = (
  one: Gateway,
  what: string,
  wanted: (seen: Awaited<ReturnType<typeof seenBy>>) => boolean,
) =>
  waitFor(
    async () => {
      const seen = await seenBy(one);
      return wanted(seen) && seen;
    },
    { what },
  );

const WELL = { configMatches: true, problems: [], status: 'ready', statusCode: 200, metric: '0' };

test('files that differ in hosts, ports, urls, headers and certificates belong together; another network does not', async () => {
  const [node, redis, { cert }] = await Promise.all([fakeNode(), redisServer(), createAuthority()]);
  const network = { maxLagBlocks: 7, probe: PROBE, deadlines: { 'debug_*': '60s', 'eth_*': '25s' } };
  const front = await gateway({
    config: {
      redis: { url: redis.url },
      gateway: { host: '127.0.0.1', port: await freePort(), exposeHeaders: true, drainTimeout: '1s' },
      networks: {
        main: {
          ...network,
          upstreams: [{ id: 'geth-a', url: `${node.url}/of-the-gateway`, headers: { 'x-from': 'gateway' } }],
        },
      },
    },
  });
  const upstream = {
    id: 'geth-a',
    url: `${node.url}/?of=sidecar`,
    headers: { 'x-of': 'sidecar' },
    tls: { ca: cert },
  };
  // The same network with its keys in another order and its durations in another unit.
  const reordered = {
    deadlines: { 'eth_*': 25_000, 'debug_*': '1m' },
    probe: { attempts: 1, timeout: 3000, interval: 200 },
  };
  const redisHere = { url: `unix://${redis.socketPath}`, username: 'default', password: 'any' };
  const ofSidecar = (maxLagBlocks: number) => ({
    redis: redisHere,
    sidecar: { host: '127.0.0.1', port: 9, leaseTtl: '1s', rankingMaxAge: '20s' },
    networks: { main: { upstreams: [upstream], ...reordered, maxLagBlocks } },
  });

  const same = await sidecar({ config: ofSidecar(7) });
  const hash = (await same.status()).networks[0].configHash;
  expect((await front.status()).networks.main.configHash).toBe(hash);
  const first = await rankedBy(front, 'the first ranking', (seen) => seen.configMatches !== null);
  expect(first).toEqual(WELL);
  await same.stop();

  const other = await sidecar({ config: ofSidecar(8) });
  const { instance } = await other.status();
  const wrong = await rankedBy(
    front,
    'a ranking by another configuration',
    (seen) => seen.configMatches === false,
  );
  const problem = `config_mismatch: ${instance} was given another configuration of this network; give both the same file`;
  expect(wrong).toEqual({
    ...WELL,
    configMatches: false,
    problems: [problem],
    status: 'degraded',
    metric: '1',
  });
  await other.stop();

  await sidecar({ config: ofSidecar(7) });
  expect(
    await rankedBy(front, 'a ranking by the same configuration', (seen) => seen.configMatches === true),
  ).toEqual(WELL);
});
