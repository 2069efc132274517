import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { type Front, type FrontOptions, type HttpAnswer, startFront, startNodes } from './front.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}';

interface Bench {
  readonly front: Front;
  readonly node: FakeNode;
  /** What a POST came back with, and what the node saw of it. */
  post(headers?: Record<string, string>, path?: string): Promise<Seen>;
}

interface Seen {
  readonly answer: HttpAnswer;
  readonly sent: IncomingHttpHeaders;
  readonly path: string;
}

async function startBench(options: (node: FakeNode) => FrontOptions = () => ({})): Promise<Bench> {
  const [node] = (await startNodes({})) as [FakeNode];
  const front = await startFront([node], options(node));
  return {
    front,
    node,
    async post(headers = {}, path = '/net') {
      node.clear();
      const answer = await front.send(path, CALL, {
        headers: { 'content-type': 'application/json', ...headers },
      });
      const [seen] = node.requests;
      if (!seen) throw new Error(`nothing reached the node: ${answer.text}`);
      return { answer, sent: seen.headers, path: seen.path };
    },
  };
}

describe('who asks', () => {
  test('SQ-16: the address of the client is appended to the chain that came', async () => {
    const { post } = await startBench();
    const plain = await post();
    expect(plain.sent['x-forwarded-for']).toBe('127.0.0.1');
    expect(plain.sent['x-real-ip']).toBe('127.0.0.1');
    const chained = await post({ 'x-forwarded-for': '203.0.113.5, 10.0.0.1' });
    expect(chained.sent['x-forwarded-for']).toBe('203.0.113.5, 10.0.0.1, 127.0.0.1');
    expect(chained.sent['x-real-ip']).toBe('127.0.0.1');
  });

  test('behind a trusted proxy the client is the one that the chain names', async () => {
    const { post } = await startBench(() => ({ server: { trustProxy: true } }));
    const { sent } = await post({ 'x-forwarded-for': '203.0.113.5', 'x-forwarded-proto': 'https' });
    expect(sent['x-real-ip']).toBe('203.0.113.5');
    expect(sent['x-forwarded-proto']).toBe('https');
  });

  test('scheme and host that the client used go along', async () => {
    const { post } = await startBench();
    const { sent } = await post({ host: 'rpc.example' });
    expect(sent['x-forwarded-proto']).toBe('http');
    expect(sent['x-forwarded-host']).toBe('rpc.example');
  });

  test('the request id of the server goes to the node and back to the client', async () => {
    const { post } = await startBench(() => ({ server: { requestIdHeader: 'x-request-id' } }));
    const given = await post({ 'x-request-id': 'mine-1' });
    expect(given.sent['x-request-id']).toBe('mine-1');
    expect(given.answer.headers['x-request-id']).toBe('mine-1');
    const made = await post();
    expect(made.sent['x-request-id']).toBe(made.answer.headers['x-request-id']);
  });
});

describe('the host header', () => {
  test('SQ-16: a node sees its own name', async () => {
    const { post, node } = await startBench();
    expect((await post({ host: 'rpc.example' })).sent.host).toBe(`127.0.0.1:${node.port}`);
  });

  test('a node sees the name that the client used where the network says so', async () => {
    const { post } = await startBench(() => ({ network: { hostHeader: 'client' } }));
    expect((await post({ host: 'rpc.example' })).sent.host).toBe('rpc.example');
  });

  test('a node sees a fixed name where the network gives one', async () => {
    const { post } = await startBench(() => ({ network: { hostHeader: 'node.internal:8545' } }));
    expect((await post({ host: 'rpc.example' })).sent.host).toBe('node.internal:8545');
  });
});

describe('credentials', () => {
  test('the headers of the configuration are sent', async () => {
    const { post } = await startBench(() => ({
      upstreams: [{ headers: { 'X-Api-Key': 'key', Authorization: 'Bearer token' } }],
    }));
    const { sent } = await post();
    expect(sent).toMatchObject({ 'x-api-key': 'key', authorization: 'Bearer token' });
  });

  test('SQ-17: user and password of the URL are sent as basic authentication, decoded', async () => {
    const { post } = await startBench((node) => ({
      upstreams: [{ url: `http://user:p%40ss%3Aword@127.0.0.1:${node.port}` }],
    }));
    const { sent } = await post();
    expect(sent.authorization).toBe(`Basic ${Buffer.from('user:p@ss:word').toString('base64')}`);
  });

  test('credentials, cookies and other headers of the client reach no node', async () => {
    const { post } = await startBench();
    const { sent } = await post({
      authorization: 'Bearer of-the-client',
      cookie: 'session=of-the-client',
      'proxy-authorization': 'Basic of-the-client',
      'x-api-key': 'of-the-client',
      origin: 'https://of-the-client.example',
      'user-agent': 'of-the-client',
    });
    expect(JSON.stringify(sent)).not.toContain('of-the-client');
  });
});

describe('the wire format', () => {
  test('a node is asked for JSON that is not compressed', async () => {
    const { post } = await startBench();
    const { sent } = await post({ 'accept-encoding': 'gzip, br', accept: 'text/html' });
    expect(sent).toMatchObject({
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      'content-length': String(CALL.length),
    });
    expect(sent.accept).not.toBe('text/html');
  });

  test('trace context goes along', async () => {
    const { post } = await startBench();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect((await post({ traceparent })).sent.traceparent).toBe(traceparent);
  });
});

describe('the path at the node', () => {
  test('SQ-17: path and query of the endpoint, its key included, are joined with those of the client', async () => {
    const { post } = await startBench((node) => ({ upstreams: [{ url: `${node.url}/v3/?key=1` }] }));
    const rows = [
      ['/net', '/v3?key=1'],
      ['/net/', '/v3?key=1'],
      ['/net/ext/bc/C', '/v3/ext/bc/C?key=1'],
      ['/net?x=2', '/v3?key=1&x=2'],
      ['/net/a%20b?x=2&y=/', '/v3/a%20b?key=1&x=2&y=/'],
    ] as const;
    for (const [asked, seen] of rows) expect((await post({}, asked)).path, asked).toBe(seen);
  });

  test('SQ-17: an endpoint without a path gets the suffix of the client alone', async () => {
    const { post } = await startBench();
    const rows = [
      ['/net', '/'],
      ['/net?x=2', '/?x=2'],
      ['/net/v1/', '/v1/'],
    ] as const;
    for (const [asked, seen] of rows) expect((await post({}, asked)).path, asked).toBe(seen);
  });
});

describe('headers of answers', () => {
  test('a client sees nothing of upstreams unless the configuration says so', async () => {
    const { post } = await startBench();
    const { headers } = (await post()).answer;
    expect(Object.keys(headers).filter((name) => name.startsWith('x-rpcb'))).toEqual([]);
  });

  test('exposed headers name the upstream, the attempts and the replica', async () => {
    const [bad, good] = (await startNodes({ mode: 'http500' }, {})) as [FakeNode, FakeNode];
    const front = await startFront([bad, good], { gateway: { exposeHeaders: true } });
    const { headers } = await front.call('eth_gasPrice');
    expect(headers).toMatchObject({
      'x-rpcb-upstream': 'b',
      'x-rpcb-attempts': '2',
      'x-rpcb-replica': front.app.rpcBalancer.status().instance,
    });
  });

  test('headers of the node do not reach the client', async () => {
    const { front, node } = await startBench();
    node.answer = () => ({
      status: 200,
      headers: { 'x-node': 'secret', 'set-cookie': 'a=b', 'content-type': 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"result":1}',
    });
    const { headers, json } = await front.call('eth_gasPrice');
    expect(json.result).toBe(1);
    expect(headers).not.toHaveProperty('x-node');
    expect(headers).not.toHaveProperty('set-cookie');
  });
});
