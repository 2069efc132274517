import { describe, expect, test } from 'vitest';
import { startFront, startNodes } from './front.ts';

const NGINX = { compat: 'nginx' } as const;

describe('with compat nginx', () => {
  test('status, body, type and Retry-After of a node go out as they are', async () => {
    const [node, other] = await startNodes({ mode: 'http429', retryAfter: 7 }, {});
    const front = await startFront(
      [node, other].filter((one) => one !== undefined),
      { network: NGINX },
    );
    const { status, text, headers } = await front.call('eth_gasPrice');
    expect({ status, text }).toEqual({ status: 429, text: 'scripted http429' });
    expect(headers).toMatchObject({
      'content-type': 'text/plain',
      'retry-after': '7',
      'content-length': '16',
    });
    expect(front.upstream('a')).toMatchObject({ fails: 0, inFlight: 0, reason: null });
    expect(other?.hits()).toBe(0);
  });

  test('an answer without a body and one to a notification go out as they are', async () => {
    const nodes = await startNodes({ answer: () => ({ status: 404, body: '' }) });
    const front = await startFront(nodes, { network: NGINX });
    expect(await front.call('eth_gasPrice')).toMatchObject({ status: 404, text: '' });
    for (const node of nodes) node.answer = undefined;
    const notification = '{"jsonrpc":"2.0","method":"eth_gasPrice","params":[]}';
    expect(await front.send('/net', notification)).toMatchObject({ status: 200, text: '' });
  });

  test('a batch travels as it was written, transactions included, and so does its answer', async () => {
    const [node, other] = await startNodes({}, {});
    const front = await startFront(
      [node, other].filter((one) => one !== undefined),
      { network: NGINX },
    );
    const batch =
      '[ {"jsonrpc":"2.0","id":7,"method":"eth_gasPrice"},{"jsonrpc":"2.0","id":"x","method":"eth_sendRawTransaction","params":["0x01"]},1 ]';
    const { status, json } = await front.send('/net', batch);
    expect(status).toBe(200);
    expect(json.map(({ id }: { id: unknown }) => id)).toEqual([7, 'x', null]);
    expect(node?.requests.map(({ body }) => body)).toEqual([batch]);
    expect(other?.hits()).toBe(0);
  });

  test('a batch without an answer gets one error, under the status that nginx gives', async () => {
    const nodes = await startNodes({ mode: 'hang' }, { mode: 'hang' });
    const network = { ...NGINX, readTimeout: 150 };
    const front = await startFront(nodes, { network });
    const batch = '[{"id":7,"method":"eth_gasPrice"},{"id":8,"method":"eth_chainId"}]';
    const { status, json } = await front.send('/net', batch);
    expect(status).toBe(504);
    expect(json).toMatchObject({ id: null, error: { data: { code: 'RPCB_DEADLINE' } } });
  });

  test('no live upstream is 502 with the reasons', async () => {
    const nodes = await startNodes({ mode: 'reset' }, { mode: 'reset' });
    const front = await startFront(nodes, { network: { ...NGINX, retryOn: ['error', 'non_idempotent'] } });
    await front.call('eth_gasPrice');
    const { status, json, headers } = await front.call('eth_gasPrice', [], 9);
    expect(status).toBe(502);
    expect(json.error.data).toMatchObject({ reasons: { a: 'ejected', b: 'ejected' }, attempts: [] });
    expect(json.id).toBe(9);
    expect(headers).not.toHaveProperty('retry-after');
  });

  test("a host's own call gets the result, the node's error, or that there is no JSON-RPC answer", async () => {
    const nodes = await startNodes({});
    const front = await startFront(nodes, { network: NGINX });
    const call = () => front.app.rpcBalancer.call('net', 'eth_chainId');
    expect((await call()).json()).toBe('0x1');
    for (const node of nodes) node.answer = () => ({ error: { code: 3, message: 'no' } });
    await expect(call()).rejects.toMatchObject({ code: 'RPCB_NODE_ERROR' });
    for (const node of nodes) node.mode = 'html';
    await expect(call()).rejects.toMatchObject({ code: 'RPCB_ATTEMPTS_FAILED' });
  });

  test('a request that is no JSON-RPC is refused before any node sees it', async () => {
    const nodes = await startNodes({});
    const front = await startFront(nodes, { network: NGINX });
    expect((await front.send('/net', '{')).json.error.data.code).toBe('RPCB_PARSE');
    expect((await front.send('/net', '{"id":1}')).json.error.data.code).toBe('RPCB_INVALID_REQUEST');
    expect(nodes.map((node) => node.hits())).toEqual([0]);
  });
});
