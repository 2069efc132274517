import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { type Front, startFront, startNodes } from './front.ts';

async function startBench(network: object): Promise<{ front: Front; first: FakeNode; second: FakeNode }> {
  const [first, second] = (await startNodes({}, {})) as [FakeNode, FakeNode];
  const front = await startFront([first, second], { network: { connectTimeout: 100, ...network } });
  return { front, first, second };
}

test('a read whose deadline passes is answered with its code, and frees its attempt', async () => {
  const { front, first } = await startBench({ readTimeout: 200, deadline: 301 });
  first.mode = 'hang';
  const read = await front.call('eth_gasPrice');
  expect(read.status).toBe(504);
  expect(read.json).toMatchObject({ id: 1, error: { code: -32603, data: { code: 'RPCB_DEADLINE' } } });
  expect(front.upstream('a')).toMatchObject({ inFlight: 0 });
});

test('a write whose deadline passes has an unknown fate and an error that clients do not repeat', async () => {
  const { front, first, second } = await startBench({ readTimeout: 200, deadline: 301 });
  first.mode = 'hang';
  const { status, json } = await front.call('eth_sendRawTransaction', ['0x01']);
  expect(status).toBe(502);
  expect(json.error).toMatchObject({ code: -32000, data: { code: 'RPCB_FATE_UNKNOWN' } });
  expect(second.hits()).toBe(0);
});

test('a deadline does not count against the upstream, a read timeout does', async () => {
  const { front, first, second } = await startBench({ readTimeout: 200, deadline: 301 });
  first.mode = 'hang';
  second.mode = 'hang';
  await front.call('eth_gasPrice');
  expect(front.upstream('a').fails).toBe(0);

  const patient = await startBench({ readTimeout: 200, deadline: '10s' });
  patient.first.mode = 'hang';
  const { status } = await patient.front.call('eth_gasPrice');
  expect(status).toBe(200);
  expect(patient.front.upstream('a').fails).toBe(1);
});

test('an answer that stops half-way is read elsewhere after the read timeout', async () => {
  const { front, first } = await startBench({ readTimeout: 200, deadline: '10s' });
  first.mode = 'stall';
  expect((await front.call('eth_gasPrice')).json.result).toBe('0x3b9aca00');
  expect(front.upstream('a').fails).toBe(1);
});

test('the deadline covers the last byte of an answer that comes in drops', async () => {
  const { front, first } = await startBench({ readTimeout: 200, deadline: 301 });
  first.mode = 'stall';
  expect((await front.call('eth_gasPrice')).status).toBe(504);
});

test('a method with a deadline of its own may take longer than the read timeout', async () => {
  const { front, first } = await startBench({
    readTimeout: 100,
    deadline: 400,
    deadlines: { 'eth_get*': '5s' },
  });
  first.answer = () => ({ result: 'late', afterMs: 1500 });
  const { json } = await front.call('eth_getLogs', [{}]);
  expect(json.result).toBe('late');
});

test('a method with a shorter deadline ends sooner, and in a batch the longest deadline holds', async () => {
  const { front, first, second } = await startBench({
    readTimeout: '3s',
    deadline: '5s',
    deadlines: { eth_gasPrice: 150 },
  });
  for (const node of [first, second]) {
    node.answer = ({ method }) => ({ result: method, ...(method !== 'x' && { afterMs: 400 }) });
  }
  const alone = await front.call('eth_gasPrice');
  expect(alone.json.error.data.code).toBe('RPCB_DEADLINE');
  const batch = await front.send(
    '/net',
    '[{"id":1,"method":"eth_gasPrice"},{"id":2,"method":"eth_blockNumber"}]',
  );
  expect(batch.json.map(({ result }: { result: string }) => result)).toEqual([
    'eth_gasPrice',
    'eth_blockNumber',
  ]);
});

/** A port that takes connections and never says a word, so that no TLS handshake ends. */
async function startSilentPort(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port; // A TCP server's address is an object.
}

test('a connection that does not come about is left after the connect timeout, and even a write moves on', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  const port = await startSilentPort();
  const front = await startFront([node, node], {
    network: { connectTimeout: 300, readTimeout: '2m', deadline: '5m', maxFails: 1 },
    upstreams: [{ url: `https://127.0.0.1:${port}` }],
  });
  const { status, json } = await front.call('eth_sendRawTransaction', ['0x01']);
  expect(status).toBe(200);
  expect(json.result).toMatch(/^0x/);
  expect(front.upstream('a').reason).toBe('ejected');
});
