import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { type Front, type FrontOptions, startFront, startNodes } from './front.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}';

async function startBench(options: FrontOptions = {}): Promise<{ front: Front; node: FakeNode }> {
  const [node] = (await startNodes({})) as [FakeNode];
  return { front: await startFront([node], options), node };
}

interface Expected {
  readonly status: number;
  readonly code: number;
  readonly name: string;
  readonly message: RegExp;
}

/** Body, headers and what comes back; none of them reaches a node. */
const REFUSED: readonly (readonly [
  what: string,
  body: string | Buffer | null,
  headers: Record<string, string>,
  expected: Expected,
])[] = [
  ['a cut body', '{"jsonrpc":"2.0",', {}, parse(/bracket/)],
  ['text', 'hello', {}, parse(/quote/)],
  ['two values', `${CALL}${CALL}`, {}, parse(/quote|bracket/)],
  ['an empty body', '', {}, parse(/empty/)],
  ['no body', null, {}, parse(/empty/)],
  [
    'deep nesting',
    `{"id":1,"method":"eth_call","params":${'['.repeat(5000)}${']'.repeat(5000)}}`,
    {},
    parse(/deeper/),
  ],
  ['bytes that are no UTF-8', Buffer.from('{"id":1,"method":"\xe9"}', 'latin1'), {}, parse(/UTF-8/)],
  ['a number', '7', {}, invalid(/object/)],
  ['an empty batch', '[]', {}, invalid(/empty/)],
  ['no method', '{"jsonrpc":"2.0","id":1}', {}, invalid(/"method"/)],
  [
    'a member twice',
    CALL.replace('"id":1', '"id":1,"METHOD":"eth_sendRawTransaction"'),
    {},
    invalid(/twice/),
  ],
  ['text as content type', CALL, { 'content-type': 'text/plain' }, contentType(/content-type/)],
  ['a form', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, contentType(/content-type/)],
  ['no content type', CALL, { 'content-type': '' }, contentType(/content-type/)],
  ['a compressed body', gzipSync(CALL), { 'content-encoding': 'gzip' }, contentType(/uncompressed/)],
];

function parse(message: RegExp): Expected {
  return { status: 400, code: -32700, name: 'RPCB_PARSE', message };
}
function invalid(message: RegExp): Expected {
  return { status: 400, code: -32600, name: 'RPCB_INVALID_REQUEST', message };
}
function contentType(message: RegExp): Expected {
  return { status: 415, code: -32600, name: 'RPCB_CONTENT_TYPE', message };
}

describe('a body that cannot be forwarded', () => {
  test.each(REFUSED)(
    '%s is refused with a clear error and reaches no node',
    async (_, body, headers, expected) => {
      const { front, node } = await startBench();
      const {
        status,
        json,
        headers: answered,
      } = await front.send('/net', body, {
        headers: { 'content-type': 'application/json', ...headers },
      });
      expect(status).toBe(expected.status);
      expect(answered['content-type']).toMatch(/^application\/json/);
      expect(json).toMatchObject({
        jsonrpc: '2.0',
        error: {
          code: expected.code,
          message: expect.stringMatching(expected.message),
          data: { code: expected.name, requestId: answered['x-request-id'] },
        },
      });
      expect(node.requests).toEqual([]);
    },
  );

  test('a request that can be read but not forwarded is refused under its own id', async () => {
    const { front } = await startBench();
    expect((await front.send('/net', '{"id":"mine","method":""}')).json.id).toBe('mine');
    expect((await front.send('/net', '{"method":""}')).json.id).toBeNull();
  });

  test('a body up to the limit is taken, one byte more is refused, announced or not', async () => {
    const { front, node } = await startBench({ gateway: { bodyLimit: CALL.length } });
    expect((await front.send('/net', CALL)).status).toBe(200);
    const { status, json } = await front.send('/net', `${CALL} `);
    expect(status).toBe(413);
    expect(json).toMatchObject({ error: { code: -32600, data: { code: 'RPCB_TOO_LARGE' } } });
    expect(json.error.message).toContain('bodyLimit');
    const unannounced = await front.send('/net', Readable.from([Buffer.from(CALL), Buffer.from(' ')]));
    expect(unannounced.status).toBe(413);
    expect(node.hits()).toBe(1);
  });

  test('every JSON type that clients use is taken', async () => {
    const { front } = await startBench();
    for (const type of ['application/json; charset=utf-8', 'application/json-rpc', 'APPLICATION/JSON']) {
      const { status } = await front.send('/net', CALL, { headers: { 'content-type': type } });
      expect(status, type).toBe(200);
    }
  });
});

describe('a path that leads nowhere', () => {
  test('an unknown network is not found', async () => {
    const { front, node } = await startBench();
    for (const path of ['/other', '/', '/NET', '/net2/x']) {
      expect((await front.send(path, CALL)).status, path).toBe(404);
    }
    expect(node.requests).toEqual([]);
  });

  test('other verbs than POST find no route in a network', async () => {
    const { front, node } = await startBench();
    for (const path of ['/net', '/net/', '/net/v1']) {
      const { status, json } = await front.send(path, null, { verb: 'GET', headers: {} });
      expect(status, path).toBe(404);
      expect(json).toMatchObject({ id: null, error: { code: -32600, data: { code: 'RPCB_NOT_FOUND' } } });
    }
    for (const verb of ['PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const) {
      const { status } = await front.send('/net', null, { verb, headers: {} });
      expect(status, verb).toBe(404);
    }
    expect(node.requests).toEqual([]);
  });

  test('a trailing slash is ignored', async () => {
    const { front } = await startBench();
    expect((await front.send('/net/', CALL)).status).toBe(200);
  });

  test('a path that climbs out of the upstream is not found and reaches no node', async () => {
    const { front, node } = await startBench();
    for (const path of ['/net/../admin', '/net/%2e%2e/admin', '/net/a/..%2f..%2fadmin', '/net/..%5cadmin']) {
      expect((await front.send(path, CALL)).status, path).toBe(404);
    }
    expect(node.requests).toEqual([]);
  });

  test('the network of the root answers at the root as well', async () => {
    const { front } = await startBench({ gateway: { root: 'net' } });
    expect((await front.send('/', CALL)).json.result).toBe('0x3b9aca00');
    expect((await front.send('/net', CALL)).json.result).toBe('0x3b9aca00');
  });
});
