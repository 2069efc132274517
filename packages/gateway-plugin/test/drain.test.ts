// An upstream that an operator drains gets nothing new, and what it has is finished.
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { runLoad } from '../../../test/kit/load.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Front, type FrontOptions, startFront, startNodes } from './front.ts';

async function startTwo(options: FrontOptions = {}): Promise<{ front: Front; a: FakeNode; b: FakeNode }> {
  const [a, b] = (await startNodes({}, {})) as [FakeNode, FakeNode];
  return { front: await startFront([a, b], { plugin: { ops: '/-/rpc' }, ...options }), a, b };
}

async function answers(front: Front, count: number): Promise<void> {
  for (let index = 0; index < count; index++) expect((await front.call('eth_gasPrice')).status).toBe(200);
}

describe('draining through the decorator', () => {
  test('a drain under load leaves the node no new request and fails none', async () => {
    const { front, a } = await startTwo();
    const load = runLoad({
      url: `${front.origin}/net`,
      ratePerS: 200,
      durationMs: 1500,
      makeCall: (id) => ({ body: `{"jsonrpc":"2.0","id":${id},"method":"eth_gasPrice","params":[]}` }),
    });
    await waitFor(() => a.hits() > 50, { what: 'the load to reach the node' });
    const draining = front.app.rpcBalancer.drain('net', 'a');
    const { requests } = front.upstream('a');
    await draining;
    expect(await load).toMatchObject({ failed: 0, wrong: 0 });
    expect(front.upstream('a')).toMatchObject({ requests, inFlight: 0 });
    expect(a.hits()).toBe(requests);
  });

  test('what is in flight on a drained upstream completes there', async () => {
    const { front, a, b } = await startTwo({ upstreams: [{}, { tier: 'fallback' }] });
    const { promise: until, resolve: answer } = Promise.withResolvers<void>();
    a.answer = () => ({ result: 'slow', until });
    const held = front.call('eth_gasPrice');
    await waitFor(() => a.hits() === 1, { what: 'the call to reach the node' });
    await front.app.rpcBalancer.drain('net', 'a');
    await answers(front, 3);
    answer();
    expect((await held).json.result).toBe('slow');
    expect([a.hits(), b.hits()]).toEqual([1, 3]);
  });

  test('a drain is shown as a reason, with who said so and why, until it is lifted', async () => {
    const { front } = await startTwo();
    const { rpcBalancer } = front.app;
    const { since } = await rpcBalancer.drain('net', 'a', { by: 'anna', reason: 'disk' });
    expect(front.upstream('a')).toMatchObject({
      state: 'excluded',
      reason: 'drained',
      drained: { since, by: 'anna', reason: 'disk' },
    });
    const get = async (path: string) => (await front.send(`/-/rpc${path}`, null, { verb: 'GET' })).text;
    const metric =
      'rpc_balancer_upstream_excluded{network="net",upstream="a",reason="drained",kind="hard"} 1';
    expect(JSON.parse(await get('/ready')).networks.net).toMatchObject({
      state: 'ok',
      reasons: { a: 'drained' },
    });
    expect(await get('/metrics')).toContain(metric);
    expect(await rpcBalancer.undrain('net', 'a')).toMatchObject({ drained: false, warning: null });
    expect(front.upstream('a')).toMatchObject({ state: 'eligible', reason: null, drained: null });
    expect(await get('/metrics')).not.toContain(metric);
  });

  test('draining the last eligible upstream is done and said, and clients are told why nobody serves them', async () => {
    const { front, a, b } = await startTwo();
    expect((await front.app.rpcBalancer.drain('net', 'a')).warning).toBeNull();
    const { drained, warning } = await front.app.rpcBalancer.drain('net', 'b');
    expect({ drained, warning }).toEqual({
      drained: true,
      warning: 'no other upstream of "net" is eligible: its requests fail until one is',
    });
    const { status, json } = await front.call('eth_gasPrice');
    expect({ status, reasons: json.error.data.reasons, code: json.error.data.code }).toEqual({
      status: 503,
      reasons: { a: 'drained', b: 'drained' },
      code: 'RPCB_NO_UPSTREAM',
    });
    expect([a.hits(), b.hits()]).toEqual([0, 0]);
    await front.app.rpcBalancer.undrain('net', 'b');
    await answers(front, 2);
    expect([a.hits(), b.hits()]).toEqual([0, 2]);
  });

  test('a network whose other upstreams are at their limit is overloaded, whoever is drained', async () => {
    const { front, b } = await startTwo({ upstreams: [{}, { maxConns: 1 }] });
    b.mode = 'hang';
    await front.app.rpcBalancer.drain('net', 'a');
    front.call('eth_gasPrice').catch(() => {}); // Ends with the test.
    await front.reason('b', 'full');
    expect((await front.call('eth_gasPrice')).json.error.data.code).toBe('RPCB_OVERLOADED');
  });

  test.each([
    ['a network that is none', 'RPCB_UNKNOWN_NETWORK', 'nte', 'a', {}],
    ['an upstream that is none', 'RPCB_UNKNOWN_UPSTREAM', 'net', 'geth', {}],
    ['an endless name', 'RPCB_INVALID_COMMAND', 'net', 'a', { by: 'x'.repeat(129) }],
    ['an endless reason', 'RPCB_INVALID_COMMAND', 'net', 'a', { reason: 'x'.repeat(301) }],
  ])('%s is refused and nothing is drained', async (_, code, network, upstream, note) => {
    const { front } = await startTwo();
    const { rpcBalancer } = front.app;
    await expect(rpcBalancer.drain(network, upstream, note)).rejects.toMatchObject({ code });
    await expect(rpcBalancer.undrain(network, upstream, note)).rejects.toMatchObject({ code });
    expect([front.upstream('a').reason, front.upstream('b').reason]).toEqual([null, null]);
  });
});

describe('draining through the admin routes', () => {
  const TOKEN = 'token-of-the-operators';
  const BODY = { network: 'net', upstream: 'a', by: 'anna', reason: 'disk' };

  async function startAdmin() {
    const logged: string[] = [];
    const server = { logger: { stream: { write: (line: string) => void logged.push(line) } } };
    const { front } = await startTwo({ gateway: { admin: { token: TOKEN } }, server });
    const post = (verb: string, body: unknown, authorization = `Bearer ${TOKEN}`) =>
      front.send(`/-/rpc/admin/${verb}`, typeof body === 'string' ? body : JSON.stringify(body), {
        headers: { authorization, 'content-type': 'text/plain' },
      });
    onTestFinished(() => expect(logged.join('')).not.toContain(TOKEN));
    return { front, post };
  }

  test('an operator with the token drains and undrains', async () => {
    const { front, post } = await startAdmin();
    const { status, json } = await post('drain', BODY);
    expect({ status, json }).toEqual({
      status: 200,
      json: { ...BODY, drained: true, since: expect.any(Number), warning: null },
    });
    expect(front.upstream('a').reason).toBe('drained');
    expect((await post('undrain', { network: 'net', upstream: 'a' })).json.drained).toBe(false);
    expect(front.upstream('a').reason).toBeNull();
  });

  test.each(['', 'Bearer ', `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`, TOKEN, `Basic ${TOKEN}`])(
    'nobody drains with the authorization "%s"',
    async (authorization) => {
      const { front, post } = await startAdmin();
      const { status, json, text } = await post('drain', BODY, authorization);
      expect({ status, code: json.code }).toEqual({ status: 401, code: 'RPCB_UNAUTHORIZED' });
      expect(text).not.toContain(TOKEN);
      expect(front.upstream('a').reason).toBeNull();
    },
  );

  test.each([
    ['no JSON', 400, 'RPCB_PARSE', 'drain a'],
    ['nothing', 400, 'RPCB_PARSE', ''],
    ['no upstream', 400, 'RPCB_INVALID_COMMAND', { network: 'net' }],
    ['an unknown key', 400, 'RPCB_INVALID_COMMAND', { ...BODY, force: true }],
    ['an unknown network', 404, 'RPCB_UNKNOWN_NETWORK', { ...BODY, network: 'nte' }],
    ['an unknown upstream', 404, 'RPCB_UNKNOWN_UPSTREAM', { ...BODY, upstream: 'geth' }],
    ['far too much', 413, 'FST_ERR_CTP_BODY_TOO_LARGE', 'x'.repeat(70_000)],
  ])('a command with %s is refused by its name', async (_, status, code, body) => {
    const { post } = await startAdmin();
    const answer = await post('drain', body);
    expect({ status: answer.status, code: answer.json.code }).toEqual({ status, code });
  });

  test('without a token there are no admin routes, and without ops neither', async () => {
    const { front } = await startTwo();
    expect((await front.send('/-/rpc/admin/drain', '{}')).status).toBe(404);
    const quiet = await startTwo({ gateway: { admin: { token: TOKEN } }, plugin: {} });
    expect((await quiet.front.send('/admin/drain', '{}')).status).toBe(404);
  });
});
