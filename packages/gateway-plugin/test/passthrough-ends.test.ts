// How a passed-on request ends where it is easily counted, repeated or answered wrongly.
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import fastify from 'fastify';
import { expect, test } from 'vitest';
import { configFile } from '../../../test/kit/paths.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { rpcBalancer } from '../src/index.ts';
import { listen } from './front.ts';
import { answering, ask, FAULTS, startHttpBench, startHttpNode } from './http-nodes.ts';

const hits = ({ nodes }: Awaited<ReturnType<typeof startHttpBench>>) => nodes.map(({ seen }) => seen.length);

test('a kept connection that the node gave up costs a GET no try, and a POST is not sent again', async () => {
  const bench = await startHttpBench({
    network: { tries: 1 },
    upstreams: [{}, { disabled: true }, { disabled: true }],
  });
  const [node] = bench.nodes;
  const used = new WeakSet<Socket>();
  node.respond = (_request, response) => {
    const { socket } = response;
    if (socket && used.has(socket)) return socket.resetAndDestroy();
    if (socket) used.add(socket);
    return response.end('a');
  };
  for (const [verb, status, count] of [
    ['GET', 200, 1],
    ['GET', 200, 3],
    ['POST', 502, 4],
  ] as const) {
    expect([verb, (await bench.ask(verb, '/net/x')).status]).toEqual([verb, status]);
    expect(hits(bench)).toEqual([count, 0, 0]);
  }
});

test('a large answer that the node breaks off counts, and one that the client leaves does not', async () => {
  const bench = await startHttpBench();
  const [node] = bench.nodes;
  const isSettled = () =>
    waitFor(() => bench.front.upstream('a').inFlight === 0, { what: 'the end', everyMs: 5 });
  node.respond = (_request, response) => {
    response.writeHead(200, { 'content-length': '1000000' });
    response.write('x'.repeat(400_000), () => response.socket?.destroy());
  };
  await expect(bench.ask('GET', '/net/x')).rejects.toThrow();
  await isSettled();
  expect(bench.front.upstream('a').fails).toBe(1);

  const [, other] = bench.nodes;
  other.respond = (_request, response) => void response.writeHead(200).write('x'.repeat(400_000));
  const leaving = request(bench.front.origin, { path: '/net/x', agent: false }).on('error', () => {});
  leaving.on('response', () => leaving.destroy()).end();
  await waitFor(() => bench.front.upstream('b').requests === 1 && bench.front.upstream('b').inFlight === 0, {
    what: 'the client to be gone',
    everyMs: 5,
  });
  expect(bench.front.upstream('b').fails).toBe(0);
});

test('what another node says does not hide that one may have carried it out', async () => {
  const bench = await startHttpBench({ network: { retryOn: ['error', 'http_500', 'non_idempotent'] } });
  for (const node of bench.nodes) node.respond = answering(500);
  bench.nodes[0].respond = FAULTS.reset ?? bench.nodes[0].respond;
  expect((await bench.ask('POST', '/net/x')).error?.code).toBe('RPCB_FATE_UNKNOWN');
  expect(hits(bench)).toEqual([1, 1, 1]);
});

test('an internal error in answer to a URI call gets one second opinion, which goes out', async () => {
  const bench = await startHttpBench({ network: { protocol: 'cometbft' } });
  bench.nodes.forEach((node, at) => {
    const error = { code: -32603, message: `oops ${at}` };
    node.respond = (_request, response) => response.writeHead(500).end(JSON.stringify({ id: -1, error }));
  });
  expect(await bench.ask('GET', '/net/status')).toMatchObject({
    status: 500,
    text: expect.stringContaining('oops 1'),
  });
  expect(hits(bench)).toEqual([1, 1, 0]);
});

test('while every node is limited a client is told when the first may be asked again', async () => {
  const bench = await startHttpBench();
  for (const node of bench.nodes) node.respond = answering(429, { 'retry-after': '20' });
  expect(await bench.ask('POST', '/net/x')).toMatchObject({ status: 429, text: 'it says 429' });
  const { status, error, headers } = await bench.ask('POST', '/net/x');
  expect([status, error?.code]).toEqual([503, 'RPCB_OVERLOADED']);
  expect(Number(headers['retry-after'])).toBeGreaterThan(10);
});

test('with compat nginx a POST that times out is 504, as there, and its code says that its fate is unknown', async () => {
  const bench = await startHttpBench({ network: { compat: 'nginx', readTimeout: 100 } });
  bench.nodes[0].respond = FAULTS.hang ?? bench.nodes[0].respond;
  expect(await bench.ask('POST', '/net/x')).toMatchObject({
    status: 504,
    error: { code: 'RPCB_FATE_UNKNOWN' },
  });
  expect(hits(bench)).toEqual([1, 0, 0]);
});

test('a network that becomes one of JSON-RPC, and back, does what the new protocol says from the next request on', async () => {
  const node = await startHttpNode('{"jsonrpc":"2.0","id":1,"result":"0x1"}');
  const configOf = (protocol: string) => ({
    networks: { net: { protocol, probe: 'off', upstreams: [{ id: 'a', url: node.url }] } },
  });
  const file = configFile(configOf('http'));
  const app = fastify();
  await app.register(rpcBalancer, { config: file });
  const origin = await listen(app);
  const body = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}';
  const headers = { 'content-type': 'application/json', 'accept-encoding': 'br', cookie: 'a=1' };
  for (const [protocol, get, encoding, cookie] of [
    ['evm', 404, 'identity', undefined],
    ['http', 200, 'br', 'a=1'],
  ] as const) {
    writeFileSync(file, JSON.stringify(configOf(protocol)));
    expect(app.rpcBalancer.reload()).toBe('applied');
    expect((await ask(origin, 'GET', '/net/x')).status).toBe(get);
    expect((await ask(origin, 'POST', '/net/x', { body, headers })).status).toBe(200);
    expect(node.seen.at(-1)).toMatchObject({ url: '/x', body, headers: { 'accept-encoding': encoding } });
    expect(node.seen.at(-1)?.headers.cookie).toBe(cookie);
  }
});
