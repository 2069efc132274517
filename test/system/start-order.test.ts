import type { ConfigInput } from '@rpc-balancer/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../kit/fake-node.ts';
import { freePort } from '../kit/ports.ts';
import type { Program } from '../kit/program.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../kit/redis.ts';
import { agreed, type Cluster, createCluster, LEASE_TTL_MS, PATIENT_PROBE } from './cluster.ts';
import { balanceCall, post, readThrough, startChain, upstreamsOf } from './upstreams.ts';

const RIGHT = 'the-right-password';
const WRONG = 'another-password';

async function startNodes(): Promise<FakeNode[]> {
  const nodes = await startChain({}, {});
  onTestFinished(() => Promise.all(nodes.map((node) => node.stop())).then(() => {}));
  return nodes;
}

async function startServer(options: RedisOptions): Promise<RedisServer> {
  const redis = await startRedis(options);
  onTestFinished(() => redis.stop());
  return redis;
}

/** Nothing runs yet. */
function clusterOf(nodes: readonly FakeNode[], redis?: ConfigInput['redis']): Cluster {
  const cluster = createCluster({
    ...(redis && { redis, sidecar: { leaseTtl: LEASE_TTL_MS } }),
    networks: { net: { probe: PATIENT_PROBE, failTimeout: '1s', upstreams: upstreamsOf(nodes) } },
  });
  onTestFinished(() => cluster.stop());
  return cluster;
}

/** Waits until a program's /ready says this. */
async function isReady(program: Program, statusCode: number, status: string): Promise<void> {
  await agreed(`/ready to say ${statusCode} ${status}`, async () => {
    const { statusCode: said, body } = await program.ready();
    expect({ statusCode: said, status: body.status, body }).toMatchObject({ statusCode, status });
  });
}

/** The same processes as before serve. */
async function serves(cluster: Cluster): Promise<void> {
  await cluster.wellEverywhere();
  for (const gateway of cluster.gateways) await isReady(gateway, 200, 'ready');
  for (const sidecar of cluster.sidecars) await isReady(sidecar, 200, 'ok');
  expect(await readThrough(cluster.gateways, 'net', 10)).toEqual([]);
  for (const { process } of [...cluster.gateways, ...cluster.sidecars]) expect(process.running).toBe(true);
}

const killAll = (nodes: readonly FakeNode[]) => Promise.all(nodes.map((node) => node.kill()));
const restartAll = (nodes: readonly FakeNode[]) => Promise.all(nodes.map((node) => node.restart()));

describe('a start in the wrong order', () => {
  test('a gateway alone that starts before its nodes is not ready until they come, and needs no restart', async () => {
    const nodes = await startNodes();
    await killAll(nodes);
    const cluster = clusterOf(nodes);
    const gateway = await cluster.addGateway();

    await cluster.reason('net', 'a', 'unreachable');
    await cluster.reason('net', 'b', 'unreachable');
    await isReady(gateway, 503, 'unavailable');
    const refused = await post(`${gateway.url}/net`, balanceCall(1));
    expect(refused.status).toBe(502);
    expect(JSON.parse(refused.text).error.data.code).toBe('RPCB_ATTEMPTS_FAILED');

    await restartAll(nodes);
    await serves(cluster);
  });

  test('gateways and sidecars that start before Redis say so, serve, and use it when it comes', async () => {
    const nodes = await startNodes();
    const port = await freePort();
    const cluster = clusterOf(nodes, { url: `redis://127.0.0.1:${port}` });
    const [gateway, sidecar] = await Promise.all([cluster.addGateway(), cluster.addSidecar('bun')]);

    await isReady(gateway, 200, 'degraded');
    await isReady(sidecar, 200, 'degraded');
    for (const program of [gateway, sidecar]) {
      expect((await program.ready()).body.problems.join()).toMatch(
        /nothing can be reached at redis:.*redis\.url/,
      );
      await program.process.waitForOutput(/nothing can be reached at redis:/);
    }
    expect(await readThrough(cluster.gateways, 'net', 10)).toEqual([]);

    await startServer({ port });
    await serves(cluster);
  });

  test('gateways and sidecars that start before nodes and Redis are well when both have come', async () => {
    const nodes = await startNodes();
    await killAll(nodes);
    const port = await freePort();
    const cluster = clusterOf(nodes, { url: `redis://127.0.0.1:${port}` });
    const [gateway] = await Promise.all([cluster.addGateway(), cluster.addSidecar('node')]);

    await isReady(gateway, 200, 'degraded'); // Nobody has found out yet that no node answers.
    await agreed('the gateway to find out', async () => {
      const { status } = await post(`${gateway.url}/net`, balanceCall(1));
      expect(status).toBe(503);
    });
    await isReady(gateway, 503, 'unavailable');

    await startServer({ port });
    await isReady(gateway, 503, 'unavailable');
    await cluster.reason('net', 'a', 'unreachable', 'ejected');
    await restartAll(nodes);
    await serves(cluster);
  });

  test('a gateway that starts before any sidecar serves, says that nobody publishes, and believes the first that comes', async () => {
    const nodes = await startNodes();
    const redis = await startServer({});
    const cluster = clusterOf(nodes, { url: redis.url });
    const gateway = await cluster.addGateway();
    await isReady(gateway, 200, 'degraded');
    expect((await gateway.ready()).body.networks.net.problems.join()).toMatch(
      /publisher_missing.*start a sidecar/,
    );
    expect(await readThrough(cluster.gateways, 'net', 10)).toEqual([]);

    await cluster.addSidecar('node');
    await serves(cluster);
  });
});

test('a wrong Redis password is told in clear words, harms no read, and is no more once the server has it', async () => {
  const nodes = await startNodes();
  const redis = await startServer({ requirepass: RIGHT });
  const cluster = clusterOf(nodes, { url: redis.url, password: WRONG });
  const [gateway, sidecar] = await Promise.all([cluster.addGateway(), cluster.addSidecar('bun')]);

  for (const program of [gateway, sidecar]) {
    await isReady(program, 200, 'degraded');
    const [line] = await program.process.waitForOutput(/.*refuses the credentials; change redis\.password.*/);
    expect(line).toContain('"level":40');
    expect((await program.ready()).body.problems.join()).toContain('refuses the credentials');
  }
  expect(await readThrough(cluster.gateways, 'net', 10)).toEqual([]);

  await redis.cli('CONFIG', 'SET', 'requirepass', WRONG);
  await serves(cluster);
  for (const { output } of [gateway, sidecar]) {
    expect(output).not.toContain(WRONG);
    expect(output.match(/refuses the credentials/g)).toHaveLength(1); // Once, not with each attempt.
  }
});
