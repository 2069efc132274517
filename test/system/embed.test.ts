// Which gateways run the sidecar's cycle themselves, and how they share the leases with each other and with sidecars.
import { writeFileSync } from 'node:fs';
import type { ConfigInput } from '@rpc-balancer/shared';
import fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { rpcBalancer } from '../../packages/gateway-plugin/src/index.ts';
import { networkKeys } from '../../packages/shared/src/wire/keys.ts';
import type { FakeNode } from '../kit/fake-node.ts';
import type { Gateway } from '../kit/gateway.ts';
import type { Program } from '../kit/program.ts';
import type { RedisServer } from '../kit/redis.ts';
import { waitFor } from '../kit/wait.ts';
import { callText, fakeNode, gateway, PROBE, post, redisServer, sidecar } from './programs.ts';

type Embed = NonNullable<ConfigInput['sidecar']>['embed'];

function configOf(embed: Embed, node: FakeNode, redis?: RedisServer): ConfigInput {
  return {
    ...(redis && { redis: { url: redis.url } }),
    sidecar: { embed, leaseTtl: '1s' },
    networks: { main: { probe: PROBE, upstreams: [{ id: 'geth-a', url: node.url }] } },
  };
}

const instanceOf = async (program: Program): Promise<string> => (await program.status()).instance;

/** Waits until a gateway goes by a ranking that this program has made. */
async function publishedBy(front: Gateway, program: Program): Promise<void> {
  const instance = await instanceOf(program);
  await waitFor(async () => (await front.status()).networks.main.ranking?.publisher === instance, {
    ...{ what: `${instance} to publish`, timeoutMs: 20_000, everyMs: 25 },
  });
}

test('gateways that embed the cycle take over from each other and from a sidecar, and it from them', async () => {
  const [node, redis] = await Promise.all([fakeNode(), redisServer()]);
  const config = configOf('always', node, redis);
  const first = await gateway({ config });
  await publishedBy(first, first);
  const second = await gateway({ config });
  await publishedBy(second, first);
  expect((await second.ready()).body).toMatchObject({ status: 'ready', problems: [] });

  await first.kill();
  await publishedBy(second, second);
  const { epoch } = (await second.status()).networks.main.ranking;

  const beside = await sidecar({ config });
  const network = async () => (await beside.status()).networks[0];
  expect((await network()).state).toBe('waiting');
  expect(await second.stop()).toEqual({ code: 0, signal: null });
  await waitFor(async () => (await network()).state === 'holder', { what: 'the lease to be handed over' });
  expect((await network()).epoch).toBeGreaterThan(epoch);

  const third = await gateway({ config });
  await publishedBy(third, beside);
  await beside.kill();
  await publishedBy(third, third);
});

test('a gateway that may embed the cycle follows the file: over Redis it begins to publish, and stops', async () => {
  const [node, redis] = await Promise.all([fakeNode(), redisServer()]);
  const front = await gateway({ config: configOf('auto', node, redis) });
  await front.process.waitForOutput(/no fresh ranking: start a sidecar or set sidecar\.embed: always/);
  expect(node.hits('eth_chainId')).toBe(0);

  writeFileSync(front.configPath, JSON.stringify(configOf('always', node, redis)));
  await publishedBy(front, front);
  await front.process.waitForOutput(/rankings arrive again/);

  writeFileSync(front.configPath, JSON.stringify(configOf('never', node, redis)));
  await front.process.waitForOutput(/holds the lease no more/);
  const { lease } = networkKeys({ prefix: 'rpcb', clusterId: 'default' }, 'main');
  await waitFor(async () => (await redis.cli('exists', lease)) === 0, { what: 'the lease to be free' });
  expect(front.output).not.toMatch(/take effect after a restart/);
});

test('a gateway without Redis that embeds nothing probes nothing, misses nothing and serves', async () => {
  const node = await fakeNode();
  const front = await gateway({ config: configOf('never', node) });
  await front.process.waitForOutput(/sidecar\.embed is never[^"]*passive health decides/);
  expect((await post(`${front.url}/main`, callText('test_echo', [7]))).text).toContain('[7]');
  expect((await front.ready()).body).toEqual({
    status: 'ready',
    problems: [],
    store: { connectionsLost: 0, lastLostAt: null, slotsMoved: 0 },
    networks: { main: { state: 'ok', required: false, reasons: {}, problems: [], epoch: null } },
  });
  expect(node.hits()).toBe(1);

  writeFileSync(front.configPath, JSON.stringify(configOf('auto', node)));
  await publishedBy(front, front);
  writeFileSync(front.configPath, JSON.stringify(configOf('never', node)));
  await front.process.waitForOutput(/holds the lease no more/);
  await waitFor(async () => (await front.ready()).body.status === 'ready', { what: 'nothing to be missing' });
});

test('a guest that embeds the cycle over Redis opens no port, listens to no signal and gives its leases back', async () => {
  const [node, redis] = await Promise.all([fakeNode(), redisServer()]);
  const app = fastify();
  onTestFinished(() => app.close());
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  const opened = () => ({
    listeners: signals.map((signal) => process.listenerCount(signal)),
    ports: process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length,
  });
  const before = opened();
  await app.register(rpcBalancer, { config: configOf('always', node, redis) });
  await app.ready();
  const { lease } = networkKeys({ prefix: 'rpcb', clusterId: 'default' }, 'main');
  await waitFor(() => app.rpcBalancer.readiness().networks.main?.problems.length === 0, {
    what: 'its own ranking',
  });
  expect(await redis.cli('exists', lease)).toBe(1);
  expect(opened()).toEqual(before);
  await app.close();
  expect(await redis.cli('exists', lease)).toBe(0);
});
