import { once } from 'node:events';
import { METHODS } from 'node:http';
import { connect } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { PASSED_VERBS } from '@rpc-balancer/shared';
import fastify, { type FastifyInstance } from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { rpcBalancer } from '../src/index.ts';
import { configOf, startFront } from './front.ts';
import { answering, ask, startHttpBench, startHttpNode } from './http-nodes.ts';

/** Whom the node is asked by, and not the test. */
const one = async (options: Parameters<typeof startHttpBench>[0] = {}) => {
  const node = await startHttpNode('a');
  const front = await startFront([node], { ...options, network: { protocol: 'http', ...options.network } });
  return { node, front, ask: ask.bind(null, front.origin) };
};

describe('what goes to a node of an http network', () => {
  test('are all verbs that a server hears, but CONNECT and TRACE', () => {
    expect(new Set([...PASSED_VERBS, 'CONNECT', 'TRACE'])).toEqual(new Set(METHODS));
    expect(new Set(PASSED_VERBS).size).toBe(METHODS.length - 2);
  });

  test('every verb goes along with its body, and comes back with the answer of the node', async () => {
    const { node, ask } = await one();
    const bodyless = new Set(['GET', 'HEAD']);
    for (const verb of PASSED_VERBS) {
      const body = bodyless.has(verb) ? undefined : 'some bytes';
      const headers = { 'content-type': 'text/plain' };
      const { status, text } = await ask(verb, '/net/x', { ...(body && { body, headers }) });
      expect([verb, status, text]).toEqual([verb, 200, verb === 'HEAD' ? '' : 'a']);
      expect(node.seen.at(-1)).toMatchObject({ verb, url: '/x', body: body ?? '' });
    }
    expect(node.seen).toHaveLength(PASSED_VERBS.length);
  });

  test('TRACE is not passed on, since a node would repeat the secrets that it was sent', async () => {
    const { node, ask } = await one();
    expect((await ask('TRACE', '/net/x')).status).toBe(404);
    expect(node.seen).toEqual([]);
  });

  test.each([
    ['/net/', '/'],
    ['/net/a/b/', '/a/b/'],
    ['/net/a?x=1&x=%20&y', '/a?x=1&x=%20&y'],
    ['/net/a%2Fb%20c', '/a%2Fb%20c'],
    ['/net//twice//', '//twice//'],
    ['/net/a..b/c...', '/a..b/c...'],
    ['/net/?q=../..', '/?q=../..'],
    ['/net/{a}|b^c', '/{a}|b^c'],
    ['http://api.example/net/a?b', '/a?b'],
  ])('the path %s arrives as %s', async (asked, arrived) => {
    const { node, ask } = await one();
    expect((await ask('GET', asked)).status).toBe(200);
    expect(node.seen.map(({ url }) => url)).toEqual([arrived]);
  });

  test.each([
    '/net/../secret',
    '/net/a/%2e%2e/b',
    '/net/a%2f..%2fb',
    '/net/a\\..\\b',
    '/net/..b',
    '/net/a../b',
  ])('the path %s is refused before any node sees it', async (asked) => {
    const { node, ask } = await one();
    const { status, error } = await ask('GET', asked);
    expect([status, error?.code]).toEqual([404, 'RPCB_NOT_FOUND']);
    expect(node.seen).toEqual([]);
  });

  test.each(['/net/%zz', '/net/%ff'])(
    'the path %s, which is no text, is refused by the router',
    async (asked) => {
      const { node, ask } = await one();
      expect((await ask('GET', asked)).status).toBe(400);
      expect(node.seen).toEqual([]);
    },
  );

  test("path, query and credentials of the upstream's own address stay, and the client's follow", async () => {
    const node = await startHttpNode('a');
    const url = `${node.url.replace('://', '://user:pa%73s@')}/base/v1/?key=secret`;
    const front = await startFront([{ url }], { network: { protocol: 'http' } });
    await ask(front.origin, 'GET', '/net/x?y=2', { headers: { authorization: 'Bearer mine' } });
    await ask(front.origin, 'GET', '/net/');
    expect(node.seen.map((seen) => seen.url)).toEqual(['/base/v1/x?key=secret&y=2', '/base/v1/?key=secret']);
    expect(node.seen[0]?.headers.authorization).toBe(`Basic ${btoa('user:pass')}`);
  });

  test("a client's headers go along, but for those of the connection and those that the configuration sets", async () => {
    const { node, ask } = await one({ upstreams: [{ headers: { 'X-Key': 'ours' } }] });
    const headers = {
      ...{ authorization: 'Bearer mine', cookie: 'a=1; b=2', 'accept-encoding': 'br', 'x-key': 'theirs' },
      ...{ connection: 'close, x-hop, x-forwarded-for', 'x-hop': '1', te: 'trailers', 'keep-alive': 'x' },
      ...{
        'proxy-authorization': 'Basic x',
        'x-real-ip': '6.6.6.6',
        'x-rpcb-use': 'a',
        expect: '100-continue',
      },
      ...{ 'proxy-connection': 'keep-alive', 'http2-settings': 'AAA' },
      ...{ upgrade: 'h2c', 'x-forwarded-for': '203.0.113.5', host: 'api.example' },
    };
    await ask('GET', '/net/x', { headers });
    const seen = node.seen[0]?.headers ?? {};
    expect(seen).toMatchObject({
      ...{ authorization: 'Bearer mine', cookie: 'a=1; b=2', 'accept-encoding': 'br', 'x-key': 'ours' },
      ...{ host: new URL(node.url).host, 'x-forwarded-host': 'api.example', 'x-forwarded-proto': 'http' },
      ...{ 'x-real-ip': '127.0.0.1', 'x-forwarded-for': '203.0.113.5, 127.0.0.1' },
    });
    for (const name of [
      'x-hop',
      'te',
      'http2-settings',
      'proxy-connection',
      'proxy-authorization',
      'x-rpcb-use',
      'expect',
      'upgrade',
      'content-type',
    ])
      expect(seen, name).not.toHaveProperty(name);
    expect(seen.connection).toBe('keep-alive');
  });

  test('a node sees the host name that the network says', async () => {
    const { node, ask } = await one({ network: { hostHeader: 'client' } });
    await ask('GET', '/net/x', { headers: { host: 'api.example' } });
    expect(node.seen[0]?.headers.host).toBe('api.example');
  });

  test('a body has the type that the client gave it, or none', async () => {
    const { node, ask } = await one();
    const json = '{ "big": 9007199254740993 }';
    await ask('POST', '/net/x', {
      body: json,
      headers: { 'content-type': 'application/json; charset=utf-8' },
    });
    await ask('POST', '/net/x', { body: 'raw' });
    await ask('POST', '/net/x');
    expect(
      node.seen.map(({ body, headers }) => [body, headers['content-type'], headers['content-length']]),
    ).toEqual([
      [json, 'application/json; charset=utf-8', '27'],
      ['raw', undefined, '3'],
      ['', undefined, '0'],
    ]);
  });

  test.each([
    ['leaves it unread', () => {}],
    [
      'reads it',
      (app: FastifyInstance) => app.addHttpMethod('GET', { hasBody: true, overrideExisting: true }),
    ],
  ])('a body of GET is left out, as it has no meaning there, whether the host %s', async (_how, prepare) => {
    const { node, ask, front } = await one({ prepare });
    const given = { body: 'x', headers: { 'content-type': 'text/plain' } };
    expect((await ask('GET', '/net/x', given)).status).toBe(200);
    expect(node.seen[0]).toMatchObject({ verb: 'GET', body: '' });
    expect(node.seen[0]?.headers).not.toHaveProperty('content-length');
    expect(front.upstream('a').inFlight).toBe(0);
  });

  test('a body above the limit is refused, and one at the limit is not', async () => {
    const { node, ask } = await one({ gateway: { bodyLimit: 1000 } });
    const { status, error } = await ask('PUT', '/net/x', { body: 'x'.repeat(1001) });
    expect([status, error]).toMatchObject([413, { code: 'RPCB_TOO_LARGE', requestId: expect.any(String) }]);
    expect((await ask('PUT', '/net/x', { body: 'x'.repeat(1000) })).status).toBe(200);
    expect(node.seen).toHaveLength(1);
  });
});

describe('what comes back from a node of an http network', () => {
  test('status, headers and bytes are those of the node, but for the headers of its connection', async () => {
    const { node, ask } = await one();
    node.respond = (_request, response) => {
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.writeHead(418, {
        ...{ 'content-type': 'image/x-teapot', 'content-encoding': 'br', etag: '"1"', 'x-hop': '1' },
        ...{ connection: 'keep-alive, X-Hop', 'keep-alive': 'timeout=9', 'proxy-authenticate': 'Basic' },
      });
      response.end(Buffer.from([0, 255, 128]));
    };
    const { status, headers, text } = await ask('GET', '/net/x');
    expect([status, text]).toEqual([418, Buffer.from([0, 255, 128]).toString()]);
    expect(headers).toMatchObject({
      'content-type': 'image/x-teapot',
      'content-encoding': 'br',
      etag: '"1"',
    });
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2']);
    for (const name of ['x-hop', 'proxy-authenticate']) expect(headers, name).not.toHaveProperty(name);
    expect(headers['keep-alive']).not.toBe('timeout=9');
  });

  test.each([
    ['/base/x/?key=secret&y=2#z', '/rpc/net/x/?y=2#z'],
    ['NODE/base/x/?y=2&key=secret', '/rpc/net/x/?y=2'],
    ['NODE/base', '/rpc/net'],
    ['other?key=secret', '/rpc/net/a/other'],
    ['/basement?key=secret', '/basement'],
    ['NODE/basement?key=secret', 'NODE/basement'],
    ['https://elsewhere.example/base/x?key=theirs', 'https://elsewhere.example/base/x?key=theirs'],
    ['http://[', 'http://['],
  ])('a redirect to %s goes to the client as %s, and is not followed', async (said, told) => {
    const node = await startHttpNode('a');
    const at = (text: string) => text.replace('NODE', node.url);
    const { origin } = await startFront([{ url: `${node.url}/base?key=secret` }], {
      ...{ network: { protocol: 'http' }, plugin: { prefix: '/rpc' } },
    });
    node.respond = answering(302, { location: at(said), 'content-location': at(said) });
    const { status, headers } = await ask(origin, 'GET', '/rpc/net/a/b?y');
    expect([status, headers.location, headers['content-location']]).toEqual([302, at(told), at(told)]);
    expect(node.seen).toHaveLength(1);
  });

  test('the answer to HEAD has the length of what is not sent', async () => {
    const { node, ask } = await one();
    node.respond = (_request, response) => response.writeHead(200, { 'content-length': '1234' }).end();
    const { status, headers, text } = await ask('HEAD', '/net/x');
    expect([status, headers['content-length'], text]).toEqual([200, '1234', '']);
  });

  test('the connection is good for a next request after HEAD as well', async () => {
    const { node, ask } = await one();
    const sockets = new Set<unknown>();
    node.respond = (request, response) => {
      sockets.add(request.socket);
      response.end('a');
    };
    for (const verb of ['GET', 'HEAD', 'HEAD', 'GET']) await ask(verb, '/net/x');
    expect(sockets.size).toBe(1);
  });

  test.each([204, 304])('%i has no body', async (status) => {
    const { node, ask } = await one();
    node.respond = (_request, response) => response.writeHead(status, { etag: '"1"' }).end();
    const answer = await ask('GET', '/net/x');
    expect([answer.status, answer.text, answer.headers.etag]).toEqual([status, '', '"1"']);
  });

  test('an answer larger than what is held comes through in order, and a node that is faster than its client waits', async () => {
    const { node, ask, front } = await one();
    const block = Buffer.alloc(1024 * 1024, 'x');
    node.respond = (_request, response) => {
      let left = 100;
      const write = () => {
        while (left-- > 0) if (!response.write(block)) return response.once('drain', write);
        return response.end();
      };
      write();
    };
    const { status, text } = await ask('GET', '/net/x');
    expect([status, text.length]).toEqual([200, 100 * block.length]);
    expect(front.upstream('a')).toMatchObject({ inFlight: 0, fails: 0 });
  });

  test('the upstream is told where the gateway exposes it, and a request can be pinned to one', async () => {
    const { ask } = await startHttpBench({ gateway: { exposeHeaders: 'on', pinHeader: 'on' } });
    for (const use of ['b', 'b', 'c']) {
      const { headers, text } = await ask('GET', '/net/x', { headers: { 'x-rpcb-use': use } });
      expect([text, headers['x-rpcb-upstream'], headers['x-rpcb-attempts']]).toEqual([use, use, '1']);
    }
    const { status, error } = await ask('GET', '/net/x', { headers: { 'x-rpcb-use': 'd' } });
    expect([status, error?.code]).toEqual([404, 'RPCB_UNKNOWN_UPSTREAM']);
  });
});

describe('the routes of an http network', () => {
  test.each(['GET', 'POST', 'PROPFIND', 'OPTIONS'])(
    '%s to the network without a slash is sent to it with one, query included',
    async (verb) => {
      const { node, ask } = await one({ plugin: { prefix: '/rpc' }, gateway: { root: 'net' } });
      for (const path of ['/rpc/net', '/rpc/']) {
        const { status, headers } = await ask(verb, `${path}?a=1&b`);
        expect([path, status, headers.location]).toEqual([path, 308, '/rpc/net/?a=1&b']);
      }
      expect(node.seen).toEqual([]);
      expect((await ask(verb, '/rpc/net/?a=1&b')).status).toBe(200);
      expect(node.seen[0]?.url).toBe('/?a=1&b');
    },
  );

  test.each([
    [{ ignoreTrailingSlash: true }, ['/rpc/net/', '/rpc/net/x/'], ['/', '/x/']],
    [{ ignoreDuplicateSlashes: true }, ['/rpc//net/', '//rpc/net//x'], ['/', '//x']],
  ])('stand in a host with %j as in any other', async (routerOptions, asked, arrived) => {
    const plugin = { prefix: '/rpc' };
    const { node, ask, front } = await one({ server: { routerOptions }, plugin });
    for (const path of ['/rpc/net', '/rpc/net?x'])
      expect((await ask('PUT', path)).headers.location).toBe(path.replace('net', 'net/'));
    for (const path of asked) expect([path, (await ask('PUT', path)).status]).toEqual([path, 200]);
    expect(node.seen.map(({ url }) => url)).toEqual(arrived);
    expect((await ask('PUT', '/rpc/other')).text).toContain('Route PUT:/rpc/other not found');
    expect(front.upstream('a').requests).toBe(arrived.length);

    const evm = await one({ server: { routerOptions }, plugin, network: { protocol: 'evm' } });
    const call = { body: '{"id":1,"method":"x"}', headers: { 'content-type': 'application/json' } };
    for (const path of ['/rpc/net', ...asked]) await evm.ask('POST', path, call);
    expect(evm.node.seen.map(({ url }) => url)).toEqual(['/', ...arrived]);
  });

  test('a WebSocket is refused in plain words', async () => {
    const { node, ask } = await one();
    const headers = { connection: 'upgrade', upgrade: 'WebSocket' };
    const { status, error } = await ask('GET', '/net/x', { headers });
    expect([status, error]).toMatchObject([
      404,
      { code: 'RPCB_NOT_FOUND', message: expect.stringContaining('WebSocket') },
    ]);
    expect(node.seen).toEqual([]);
  });

  test('verbs other than POST stay without an answer in a network that speaks JSON-RPC', async () => {
    const { node, ask } = await one({ network: { protocol: 'evm' } });
    for (const verb of ['GET', 'PUT', 'PROPFIND']) {
      const { status, text } = await ask(verb, '/net/x');
      expect([verb, status, JSON.parse(text).error.data.code]).toEqual([verb, 404, 'RPCB_NOT_FOUND']);
    }
    expect((await ask('OPTIONS', '/net/x')).text).toContain('Route OPTIONS:/net/x not found');
    expect(node.seen).toEqual([]);
  });

  test("a host's own authentication runs before anything is passed on", async () => {
    const node = await startHttpNode('a');
    const front = await startFront([node], {
      network: { protocol: 'http' },
      prepare: (app) => {
        app.addHook('onRequest', async ({ headers }, reply) => {
          if (headers.authorization !== 'Bearer ok') return reply.code(401).send('who are you');
          return undefined;
        });
      },
    });
    for (const verb of ['GET', 'PUT', 'PROPFIND'])
      expect(await ask(front.origin, verb, '/net/x')).toMatchObject({ status: 401, text: 'who are you' });
    expect(node.seen).toEqual([]);
    const headers = { authorization: 'Bearer ok' };
    expect((await ask(front.origin, 'PROPFIND', '/net/x', { headers })).status).toBe(200);
  });

  test('a host that speaks HTTP/2 passes through as well', async () => {
    const node = await startHttpNode('a');
    const app = fastify({ http2: true });
    onTestFinished(() => app.close());
    await app.register(rpcBalancer, { config: configOf([node], { network: { protocol: 'http' } }) });
    const client = connect(await app.listen({ port: 0, host: '127.0.0.1' }));
    onTestFinished(() => client.destroy());
    const stream = client.request({ ':method': 'PUT', ':path': '/net/x?y', 'content-type': 'text/plain' });
    stream.end('body');
    const [[headers], text] = await Promise.all([once(stream, 'response'), buffer(stream)]);
    expect([headers[':status'], text.toString()]).toEqual([200, 'a']);
    expect(node.seen).toMatchObject([{ verb: 'PUT', url: '/x?y', body: 'body' }]);
  });

  test("a host's own call has no method to call", async () => {
    const { front } = await one();
    await expect(front.app.rpcBalancer.call('net', 'x')).rejects.toMatchObject({ code: 'RPCB_NOT_FOUND' });
  });
});
