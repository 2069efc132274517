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
import { answering, ask, FAULTS, type HttpNode, startHttpBench, startHttpNode } from './http-nodes.ts';

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

/** More than is held, and more than fits between two sockets: it ends when nobody wants the rest. */
function large(status: number, onClose: () => void): HttpNode['respond'] {
  return (_request, response) => {
    response
      .once('close', onClose)
      .writeHead(status)
      .write(Buffer.alloc(32 * 1024 * 1024, 'x'));
  };
}

test.each([
  ['a large 500 that is not the last word', 500, {}],
  ['a large answer with a status that there is not', 999, {}],
  ['a large 500 with compat nginx', 500, { compat: 'nginx', maxFails: 3 }],
] as const)('%s is not read any further while the next is asked', async (_what, status, network) => {
  const bench = await startHttpBench({ network });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  bench.nodes[0].respond = large(status, resolve);
  bench.nodes[1].respond = (_request, response) => void closed.then(() => response.end('b'));
  expect(await bench.ask('GET', '/net/x')).toMatchObject({ status: 200, text: 'b' });
});

test.each([
  ['says something', answering(500), 500, undefined],
  ['says nothing', FAULTS.reset, 502, ['b', 'a', 'c'].map((upstream) => ({ upstream, outcome: 'failed' }))],
])(
  'of two nodes that are asked the same, one that fails and %s is not asked again',
  async (_what, respond, status, attempts) => {
    const network = { hedge: { after: 20 }, strategy: 'least_conn' } as const;
    const bench = await startHttpBench({ network, upstreams: [{}, {}, { tier: 'fallback' }] });
    const [a, b, c] = bench.nodes;
    const { promise: failed, resolve: fail } = Promise.withResolvers<void>();
    a.respond = (_request, { socket }) => void failed.then(() => socket?.resetAndDestroy());
    b.respond = (request, response) => {
      // After a turn of the event loop, in which the gateway reads it: it runs in this process.
      response.once('close', () => setTimeout(() => setImmediate(fail), 20));
      respond?.(request, response);
    };
    c.respond = FAULTS.reset ?? c.respond;
    const answer = await bench.ask('GET', '/net/x');
    expect([answer.status, answer.error?.attempts]).toEqual([status, attempts]);
    expect(hits(bench)).toEqual([1, 1, 1]);
  },
);

test('of two nodes that are asked the same, the slower is let go as soon as the answer of the other begins', async () => {
  const bench = await startHttpBench({ network: { hedge: { after: 20 } } });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  bench.nodes[0].respond = (_request, response) => void response.once('close', resolve);
  bench.nodes[1].respond = (_request, response) => {
    response.write('x'.repeat(400_000));
    void closed.then(() => response.end('end'));
  };
  expect((await bench.ask('GET', '/net/x')).text).toHaveLength(400_003);
  expect(bench.front.upstream('a')).toMatchObject({ fails: 0, inFlight: 0 });
});

test('a slow GET that names its upstream is asked of no other', async () => {
  const bench = await startHttpBench({ network: { hedge: { after: 5 } }, gateway: { pinHeader: 'on' } });
  bench.nodes[0].respond = (_request, response) => void setTimeout(() => response.end('late'), 100);
  const headers = { 'x-rpcb-use': 'a' };
  expect((await bench.ask('GET', '/net/x', { headers })).text).toBe('late');
  expect(hits(bench)).toEqual([1, 0, 0]);
});

test.each([
  ['small', 1],
  ['large', 400_000],
])('a network that is taken away closes its connections after its last %s answer', async (_size, bytes) => {
  const node = await startHttpNode('a');
  const networkOf = () => ({ protocol: 'http', probe: 'off', upstreams: [{ id: 'a', url: node.url }] });
  const file = configFile({ networks: { net: networkOf(), other: networkOf() } });
  const app = fastify();
  await app.register(rpcBalancer, { config: file });
  const origin = await listen(app);
  const sockets: Socket[] = [];
  node.respond = ({ socket }, response) => {
    sockets.push(socket);
    response.end('x'.repeat(bytes));
  };
  expect((await ask(origin, 'GET', '/net/x')).text).toHaveLength(bytes);
  writeFileSync(file, JSON.stringify({ networks: { other: networkOf() } }));
  expect(app.rpcBalancer.reload()).toBe('applied');
  await waitFor(() => sockets.length === 1 && sockets[0]?.destroyed, { what: 'its connection to be closed' });
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
