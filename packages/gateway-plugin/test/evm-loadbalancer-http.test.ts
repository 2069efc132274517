// What docs/evm-loadbalancer.md says of paths, statuses, headers and connections: each item by its id.
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { startGateway } from '../../../test/kit/gateway.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { clientOf, startFront, startNodes } from './front.ts';

const CALL = '{"jsonrpc":"2.0","id":7,"method":"web3_clientVersion","params":[]}';

async function startBench() {
  const [node] = (await startNodes({})) as [FakeNode];
  return { node, front: await startFront([node]) };
}

describe('paths', () => {
  test('SQ-01: many networks in one process have a path each, and every request its own suffix', async () => {
    const nodes = (await startNodes({}, {})) as [FakeNode, FakeNode];
    const [one, two] = nodes.map(({ url }) => ({
      probe: 'off' as const,
      upstreams: [{ id: 'a', url: `${url}/v1?apikey=k` }],
    }));
    if (!one || !two) throw new Error('two nodes were started');
    const front = await startFront([], { plugin: { config: { networks: { one, two } } } });
    for (const path of ['/one/x', '/one/y/z?q=1', '/one', '/two/x', '/one/x/', '/two'])
      expect((await front.send(path, CALL)).status, path).toBe(200);
    expect(nodes.map(({ requests }) => requests.map(({ path }) => path))).toEqual([
      ['/v1/x?apikey=k', '/v1/y/z?apikey=k&q=1', '/v1?apikey=k', '/v1/x/?apikey=k'],
      ['/v1/x?apikey=k', '/v1?apikey=k'],
    ]);
  });
});

describe('answers', () => {
  test('SQ-15: a network that does not exist is 404, nobody to ask 503, no answer 502, each as a JSON-RPC error without an address', async () => {
    const [node] = (await startNodes({})) as [FakeNode];
    const network = (disabled: boolean) => ({
      probe: 'off',
      upstreams: [{ id: 'a', url: node.url, disabled }],
    });
    const gateway = await startGateway({ config: { networks: { net: network(false), off: network(true) } } });
    onTestFinished(() => gateway.process.kill());
    const { send } = clientOf(gateway.url);
    const asked = async (path: string) => {
      const { status, text, json } = await send(path, CALL);
      expect(text).not.toContain(String(node.port));
      return [status, json.jsonrpc, json.error.code, json.error.data.code];
    };
    expect(await asked('/')).toEqual([404, '2.0', -32600, 'RPCB_UNKNOWN_NETWORK']);
    expect(await asked('/other')).toEqual([404, '2.0', -32600, 'RPCB_UNKNOWN_NETWORK']);
    expect(await asked('/off')).toEqual([503, '2.0', -32603, 'RPCB_NO_UPSTREAM']);
    await node.kill();
    expect(await asked('/net')).toEqual([502, '2.0', -32603, 'RPCB_ATTEMPTS_FAILED']);
  });

  test('SQ-16: what a node answers is passed on byte for byte, its errors included', async () => {
    const { front, node } = await startBench();
    const answers = [
      '{ "result":123456789012345678901234567890, "id":7,"jsonrpc":"2.0"}',
      '{"jsonrpc":"2.0","id":7,"error":{"code":3,"message":"execution reverted","data":"0x08"}, "x":1.0}',
    ];
    for (const raw of answers) {
      node.answer = () => ({ raw });
      expect(await front.send('/net', CALL)).toMatchObject({ status: 200, text: raw });
    }
  });
});

describe('connections', () => {
  test('SQ-16: headers that belong to one connection end with it', async () => {
    const { front, node } = await startBench();
    const outgoing = request(`${front.origin}/net`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        connection: 'close, x-private',
        'x-private': 'mine',
        'keep-alive': 'timeout=3',
        'proxy-connection': 'close',
        te: 'trailers',
      },
    });
    outgoing.end(CALL);
    // What `response` comes with.
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(200);
    expect(answer.headers.connection).toBe('close');
    const [seen] = node.requests;
    expect(seen?.headers).toMatchObject({ connection: 'keep-alive' });
    for (const name of ['x-private', 'keep-alive', 'proxy-connection', 'te'])
      expect(seen?.headers).not.toHaveProperty(name);
  });

  test('SQ-19: connections to a node are kept and used again, as many as there were requests at once', async () => {
    const { front, node } = await startBench();
    for (let at = 0; at < 20; at++) await front.send('/net', CALL);
    expect(node.sockets).toBe(1);
    const together = () => Promise.all(Array.from({ length: 10 }, () => front.send('/net', CALL)));
    node.answer = () => ({ result: 1, afterMs: 20 });
    for (let at = 0; at < 4; at++) await together();
    expect(node.sockets).toBeGreaterThan(1);
    expect(node.sockets).toBeLessThanOrEqual(10);
  });

  test('SQ-19: a connection without a request is given up before the node gives it up, as that has told', async () => {
    const { front, node } = await startBench();
    const headers = {
      'content-type': 'application/json',
      connection: 'keep-alive',
      'keep-alive': 'timeout=3',
    };
    node.answer = () => ({ status: 200, headers, body: '{"jsonrpc":"2.0","id":7,"result":1}' });
    expect((await front.send('/net', CALL)).status).toBe(200);
    expect(node.openSockets).toBe(1);
    await waitFor(() => node.openSockets === 0, { what: 'the connection to end' });
  });
});
