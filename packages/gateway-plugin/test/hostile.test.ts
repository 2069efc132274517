import { request } from 'node:http';
import fastify from 'fastify';
import { Registry } from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { balanceOf } from '../../../test/kit/fake-node.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { rpcBalancer } from '../src/index.ts';
import { clientOf, configOf, startFront, startNodes } from './front.ts';

const ADDRESS = `0x${'ab'.repeat(20)}`;
const READ = ['eth_getBalance', [ADDRESS, 'latest']] as const;

test('a wrong path, which every node refuses, ejects nobody', async () => {
  const nodes = await startNodes({}, {}, {});
  for (const node of nodes)
    node.answer = ({ method }) =>
      method === 'eth_gasPrice' ? { status: 404, body: 'no such path' } : undefined;
  const front = await startFront(nodes);
  for (let count = 0; count < 5; count++) {
    const refused = await front.send('/net/oops', '{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice"}');
    expect(refused.json.error.data.code).toBe('RPCB_ATTEMPTS_FAILED');
  }
  expect((await front.call(...READ)).json.result).toBe(balanceOf(ADDRESS));
  expect(['a', 'b', 'c'].map((id) => front.upstream(id).fails)).toEqual([0, 0, 0]);
});

test('a refusal of the request itself takes an ejected upstream back no more than it ejects', async () => {
  const [bad, good] = (await startNodes({}, {})) as [FakeNode, FakeNode];
  bad.mode = 'http500';
  const front = await startFront([bad, good], { network: { maxFails: 1, failTimeout: 300 } });
  await front.call(...READ);
  await front.call(...READ);
  expect(front.upstream('a')).toMatchObject({ reason: 'ejected', fails: 1 });
  bad.mode = 'ok';
  bad.answer = () => ({ status: 404, body: 'no such path' });
  await waitFor(() => front.upstream('a').reason === null, { what: 'the time of its trial' });
  const before = bad.requests.length;
  await waitFor(async () => (await front.call(...READ)) && bad.requests.length > before, {
    what: 'the trial',
  });
  expect(front.upstream('a').fails).toBe(1);
});

test('a batch whose answer is larger than what is held is told so and ejects nobody', async () => {
  const nodes = await startNodes({}, {}, {});
  for (const node of nodes)
    node.answer = ({ method }) => (method === 'eth_getLogs' ? { result: 'x'.repeat(100_000) } : undefined);
  const front = await startFront(nodes, { gateway: { batchAnswerLimit: 50_000 } });
  for (let count = 0; count < 4; count++) {
    const { json } = await front.send(
      '/net',
      '[{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{}]}]',
    );
    expect(json[0].error.data.code).toBe('RPCB_TOO_LARGE');
  }
  expect((await front.call(...READ)).status).toBe(200);
});

test('the answer to a failed batch of writes grows no faster than the batch', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  const front = await startFront([node]);
  await node.kill();
  const sizes = [];
  for (const count of [100, 200]) {
    const calls = Array.from({ length: count }, (_, id) => ({
      jsonrpc: '2.0',
      id,
      method: 'eth_sendRawTransaction',
      params: ['0x00'],
    }));
    const answer = await front.send('/net', JSON.stringify(calls));
    expect(answer.json).toHaveLength(count);
    sizes.push(answer.text.length / count);
  }
  expect(sizes[1]).toBeLessThan((sizes[0] ?? 0) * 1.2);
});

test('an error that is no usual one is passed on and frees the attempt', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  node.answer = () => ({ raw: '{"jsonrpc":"2.0","id":1,"error":{"code":7,"message":{"toString":1}}}' });
  const front = await startFront([node]);
  expect((await front.call(...READ)).json.error.code).toBe(7);
  expect(front.upstream('a').inFlight).toBe(0);
});

test('a host hook that throws over a large answer leaves no attempt and no crash behind', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  node.answer = () => ({ stream: 2_000_000 });
  const app = fastify();
  app.addHook('onSend', async () => {
    throw new Error('a mistake of the host');
  });
  await app.register(rpcBalancer, {
    config: configOf([node], { network: { deadline: 400, connectTimeout: 100, readTimeout: 200 } }),
  });
  onTestFinished(() => app.close());
  const client = clientOf(await app.listen({ port: 0, host: '127.0.0.1' }));
  expect((await client.call('eth_getLogs', [{}])).status).toBe(500);
  const inFlight = () => app.rpcBalancer.status().networks.net?.upstreams[0]?.inFlight;
  await waitFor(() => inFlight() === 0, { what: 'the attempt to end' });
});

test('a client that leaves while the host authenticates is not asked for', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  const app = fastify();
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: gone, resolve: leave } = Promise.withResolvers<void>();
  app.addHook('preHandler', async ({ raw }) => {
    arrive();
    await new Promise((resolve) => raw.socket.once('close', resolve));
    leave();
  });
  await app.register(rpcBalancer, { config: configOf([node]) });
  onTestFinished(() => app.close());
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const call = request(`${url}/net`, { method: 'POST', headers: { 'content-type': 'application/json' } });
  call.on('error', () => {}); // It is cut here, on purpose.
  call.end('{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}');
  await arrived;
  call.destroy();
  await gone;
  await new Promise((resolve) => setImmediate(resolve)); // The handler runs in the turn after the hook.
  expect(app.rpcBalancer.status().networks.net?.upstreams[0]?.requests).toBe(0);
  expect(node.requests).toEqual([]);
});

test('one try is enough where a kept connection was reset', async () => {
  const [node, other] = (await startNodes({}, {})) as [FakeNode, FakeNode];
  const front = await startFront([node, other], { network: { tries: 1 } });
  await front.call(...READ);
  node.mode = 'reset';
  other.mode = 'ok';
  expect((await front.call(...READ)).status).toBe(200);
  expect((await front.call(...READ)).status).toBe(200);
});

test('what is refused before the handler is counted too', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  const metrics = new Registry();
  const front = await startFront([node], { gateway: { bodyLimit: 100 }, plugin: { metrics } });
  expect((await front.send('/net', `"${'x'.repeat(200)}"`)).status).toBe(413);
  expect(await metrics.metrics()).toContain(
    'rpc_balancer_requests_total{network="net",code="RPCB_TOO_LARGE"} 1',
  );
});

test('another verb on a network is told to use POST', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  const front = await startFront([node], { gateway: { root: 'net' } });
  for (const path of ['/net', '/net/x', '/']) {
    for (const verb of ['GET', 'PUT', 'DELETE'] as const) {
      const { status, json } = await front.send(path, null, { verb });
      expect({ status, code: json.error.data.code }, `${verb} ${path}`).toEqual({
        status: 404,
        code: 'RPCB_NOT_FOUND',
      });
    }
  }
  expect(node.requests).toEqual([]);
});

test('a member in another case is refused, since nodes would not agree on it', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  const front = await startFront([node]);
  for (const text of [
    '{"ID":5,"method":"eth_chainId"}',
    '{"id":5,"Method":"eth_chainId"}',
    '{"id":5,"method":"eth_call","Params":[]}',
  ]) {
    expect((await front.send('/net', text)).json.error.data.code).toBe('RPCB_INVALID_REQUEST');
  }
  expect(node.requests).toEqual([]);
});

test('a certificate that cannot be read is a mistake at boot, not at each request', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  const ca = '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n';
  const app = fastify();
  onTestFinished(() => app.close());
  app.register(rpcBalancer, { config: configOf([node], { upstreams: [{ tls: { ca } }] }) });
  await expect(app.ready()).rejects.toThrow(/upstream "a": its tls cannot be used/);
});
