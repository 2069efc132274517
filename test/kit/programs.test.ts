import { expect, onTestFinished, test } from 'vitest';
import { startFakeNode } from './fake-node.ts';
import { startGateway } from './gateway.ts';
import { startRedis } from './redis.ts';
import { startSidecarProcess } from './sidecar.ts';
import { waitFor } from './wait.ts';

async function oneNode() {
  const node = await startFakeNode();
  onTestFinished(() => node.stop());
  return { node, networks: { main: { upstreams: [{ id: 'geth-a', url: node.url }] } } };
}

test('the kit starts the gateway program, asks it, and sees its last line when it stops', async () => {
  const { node, networks } = await oneNode();
  const gateway = await startGateway({ config: { networks } });
  onTestFinished(async () => {
    await gateway.kill();
  });
  expect((await gateway.ready()).statusCode).toBe(200);
  expect(await gateway.status()).toHaveProperty('networks');
  expect(await gateway.metrics()).toContain('rpc_balancer_');
  const response = await fetch(`${gateway.url}/main`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"jsonrpc":"2.0","id":1,"method":"test_echo","params":[1.0]}',
  });
  expect(await response.text()).toBe('{"jsonrpc":"2.0","id":1,"result":[1.0]}');
  expect(node.reads).toBe(1);
  expect(await gateway.stop()).toEqual({ code: 0, signal: null });
});

test.each(['node', 'bun', 'deno'] as const)(
  'the kit starts the sidecar program on %s and stops it',
  async (runtime) => {
    const { node, networks } = await oneNode();
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const sidecar = await startSidecarProcess({ runtime, config: { redis: { url: redis.url }, networks } });
    onTestFinished(async () => {
      await sidecar.kill();
    });
    await waitFor(() => node.hits('eth_chainId'), { what: 'the first probe' });
    expect((await sidecar.ready()).statusCode).toBe(200);
    expect(await sidecar.metrics()).toContain('rpc_balancer_');
    expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
  },
);

test('a program that refuses its configuration is told with its own words', async () => {
  await expect(startGateway({ config: { networks: {} } })).rejects.toThrow('expected at least one network');
});
