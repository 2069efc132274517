// A hook of the host may put something else in the place of a request's body.
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { describe, expect, test } from 'vitest';
import { startFront, startNodes } from './front.ts';
import { ask, startHttpNode } from './http-nodes.ts';

/** One node behind a host whose hook does this to each request. */
async function start(rewrite: (request: FastifyRequest) => void, network: object = { protocol: 'http' }) {
  const node = await startHttpNode('a');
  const front = await startFront([node], {
    network,
    prepare: (app) => app.addHook('preHandler', async (request) => rewrite(request)),
  });
  return { node, front, ask: ask.bind(null, front.origin) };
}

const put = (body: unknown, headers: object = {}) =>
  start((request) => {
    request.body = body;
    Object.assign(request.headers, headers);
  });

const JSON_TYPE = 'application/json';
const GIVEN = { body: '{"from":"the client"}', headers: { 'content-type': JSON_TYPE } };

describe('a body that a hook of the host has rewritten', () => {
  test.each([
    ['a text', '{ "a": 1 }', '{ "a": 1 }'],
    ['a Buffer', Buffer.from('ü'), 'ü'],
    ['bytes', new Uint8Array(Buffer.from('_ü_').buffer, Buffer.from('_ü_').byteOffset + 1, 2), 'ü'],
    ['an object', { a: [1, 'ü'] }, '{"a":[1,"ü"]}'],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    ['a list', [1], '[1]'],
    ['a number', 0, '0'],
    ['a boolean', false, 'false'],
    ['an empty text', '', ''],
    ['null', null, ''],
    ['nothing', undefined, ''],
  ])(
    'as %s reaches the node with its own length and the type of the client',
    async (_what, body, arrived) => {
      const { node, ask } = await put(body);
      expect((await ask('POST', '/net/x', GIVEN)).status).toBe(200);
      expect(node.seen.map((seen) => seen.body)).toEqual([arrived]);
      expect(node.seen[0]?.headers).toMatchObject({
        'content-type': JSON_TYPE,
        'content-length': String(Buffer.byteLength(arrived)),
      });
    },
  );

  test.each([
    [undefined, JSON_TYPE],
    ['application/json; charset=utf-8', 'application/json; charset=utf-8'],
    ['Application/Vnd.Api+JSON', 'Application/Vnd.Api+JSON'],
    ['application/json-rpc', 'application/json-rpc'],
  ])('as an object under the type %s goes out as %s, and is not compressed', async (type, arrived) => {
    const { node, ask } = await put({ a: 1 }, { 'content-type': type, 'content-encoding': 'gzip' });
    expect((await ask('PUT', '/net/x', GIVEN)).status).toBe(200);
    expect(node.seen[0]).toMatchObject({ body: '{"a":1}', headers: { 'content-type': arrived } });
    expect(node.seen[0]?.headers).not.toHaveProperty('content-encoding');
  });

  test('as bytes stays compressed if the host says so', async () => {
    const { node, ask } = await put(Buffer.from('zipped'), { 'content-encoding': 'gzip' });
    await ask('POST', '/net/x', GIVEN);
    expect(node.seen[0]).toMatchObject({ body: 'zipped', headers: { 'content-encoding': 'gzip' } });
  });

  const loop: { self?: object } = {};
  loop.self = loop;
  test.each([
    [
      'an object under another type',
      { a: 1 },
      'text/plain',
      'an object (Object) in place of a body of type text/plain',
    ],
    ['a stream', Readable.from(['x']), JSON_TYPE, 'Readable'],
    ['a map', new Map(), JSON_TYPE, 'Map'],
    ['a form', new URLSearchParams('a=1'), JSON_TYPE, 'URLSearchParams'],
    ['a function', () => 1, JSON_TYPE, 'a function'],
    ['a large integer', 1n, JSON_TYPE, 'a bigint'],
    ['an object that contains itself', loop, JSON_TYPE, 'an object'],
    ['an object that is written as nothing', { toJSON: () => undefined }, JSON_TYPE, 'an object'],
  ])('as %s is refused with what to change, and no node is asked', async (_what, body, type, said) => {
    const { node, ask, front } = await put(body, { 'content-type': type });
    const { status, error } = await ask('POST', '/net/x', GIVEN);
    expect([status, error]).toMatchObject([
      500,
      { code: 'RPCB_HOST_BODY', message: expect.stringContaining('a string or a Buffer') },
    ]);
    expect(error?.message).toContain(said);
    expect(node.seen).toEqual([]);
    expect(front.upstream('a').requests).toBe(0);
  });

  test('is left out of a GET as any other', async () => {
    const { node, ask } = await put(new Map());
    expect((await ask('GET', '/net/x')).status).toBe(200);
    expect(node.seen[0]?.body).toBe('');
  });

  test('is JSON-RPC where that is spoken', async () => {
    const [node] = await startNodes({});
    if (!node) throw new Error('it was started');
    const front = await startFront([node], {
      prepare: (app) =>
        app.addHook('preHandler', async (request) => {
          request.body = { jsonrpc: '2.0', id: 7, method: 'eth_chainId', params: [] };
        }),
    });
    expect((await front.call('eth_gasPrice')).json).toEqual({ jsonrpc: '2.0', id: 7, result: '0x1' });
    expect(node.requests[0]?.methods).toEqual(['eth_chainId']);
  });
});
