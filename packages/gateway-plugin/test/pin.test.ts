// With `gateway.pinHeader` a request may insist on one upstream, for debugging.
import { describe, expect, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { type FrontOptions, startFront, startNodes } from './front.ts';

async function startPinned(options: FrontOptions = {}) {
  const [a, b] = (await startNodes({}, {})) as [FakeNode, FakeNode];
  const front = await startFront([a, b], { gateway: { pinHeader: 'on' }, ...options });
  const call = (id: string, body = '{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}') =>
    front.send('/net', body, { headers: { 'content-type': 'application/json', 'x-rpcb-use': id } });
  const hits = () => [a.hits(), b.hits()];
  return { front, a, b, call, hits };
}

const STANDBY: FrontOptions = { upstreams: [{}, { tier: 'fallback' }] };

describe('a request that names its upstream', () => {
  test('goes to that upstream every time, whatever its tier', async () => {
    const { call, hits } = await startPinned(STANDBY);
    for (let count = 0; count < 4; count++) expect((await call('b')).status).toBe(200);
    expect(hits()).toEqual([0, 4]);
  });

  test('goes there as a batch, its writes included', async () => {
    const { call, hits, b } = await startPinned(STANDBY);
    const batch = ['eth_gasPrice', 'eth_sendRawTransaction', 'eth_chainId'].map((method, id) => ({
      ...{ jsonrpc: '2.0', id, method, params: ['0x01'] },
    }));
    expect((await call('b', JSON.stringify(batch))).json).toHaveLength(3);
    expect([hits()[0], b.executions]).toEqual([0, ['["0x01"]']]);
  });

  test('takes no part in failover: what its upstream does is what the client sees', async () => {
    const { call, hits, a } = await startPinned();
    a.mode = 'http503';
    const { status, json } = await call('a');
    expect({ status, code: json.error.data.code }).toEqual({ status: 502, code: 'RPCB_ATTEMPTS_FAILED' });
    expect(json.error.data.attempts).toEqual([{ upstream: 'a', outcome: 'failed' }]);
    expect(hits()).toEqual([1, 0]);
  });

  test('is not hedged, however late its upstream is', async () => {
    const hedge = { after: '5ms', max: 1 } as const;
    const { call, hits, a } = await startPinned({ network: { hedge } });
    a.answer = () => ({ result: 'late', afterMs: 100 });
    expect((await call('a')).json.result).toBe('late');
    expect(hits()).toEqual([1, 0]);
  });

  test('reaches an upstream that nobody else is given', async () => {
    const { call, front, a, hits } = await startPinned({ network: { maxFails: 1 } });
    a.mode = 'http503';
    await call('a');
    await front.reason('a', 'ejected');
    a.mode = 'ok';
    expect((await call('a')).status).toBe(200);
    expect(hits()).toEqual([2, 0]);
  });

  test('leaves an upstream alone that is drained, disabled or at its limit', async () => {
    const { call, front, hits, b } = await startPinned({ upstreams: [{}, { maxConns: 1 }] });
    await front.app.rpcBalancer.drain('net', 'a');
    const { status, json } = await call('a');
    expect({ status, code: json.error.data.code }).toEqual({ status: 503, code: 'RPCB_NO_UPSTREAM' });
    expect(json.error.data.reasons).toEqual({ a: 'drained' });
    b.mode = 'hang';
    front.call('eth_gasPrice').catch(() => {}); // Ends with the test.
    await front.reason('b', 'full');
    expect((await call('b')).json.error.data.reasons.b).toBe('full');
    const disabled = await startPinned({ upstreams: [{ disabled: true }] });
    expect((await disabled.call('a')).json.error.data.reasons.a).toBe('disabled');
    expect([hits(), disabled.hits()]).toEqual([
      [0, 1],
      [0, 0],
    ]);
  });

  test.each(['geth', '', 'a, b', 'A'])('is refused and sent nowhere when it names "%s"', async (id) => {
    const { call, hits } = await startPinned();
    const { status, json } = await call(id);
    expect({ status, code: json.error.data.code }).toEqual({ status: 404, code: 'RPCB_UNKNOWN_UPSTREAM' });
    expect(hits()).toEqual([0, 0]);
  });

  test('is a request like any other unless pinHeader is on', async () => {
    const { call, hits, a } = await startPinned({ ...STANDBY, gateway: {} });
    for (const id of ['b', 'geth']) expect((await call(id)).status).toBe(200);
    expect(hits()).toEqual([2, 0]);
    expect(a.requests[0]?.headers).not.toHaveProperty('x-rpcb-use');
  });
});

describe('a request that names its upstream under compat nginx', () => {
  const MOVING: FrontOptions['network'] = {
    compat: 'nginx',
    retryOn: ['error', 'timeout', 'http_503', 'non_idempotent'],
    readTimeout: 150,
  };

  test('goes there whole and every time, whatever its tier', async () => {
    const { call, hits, b } = await startPinned({ ...STANDBY, network: { compat: 'nginx' } });
    for (let count = 0; count < 3; count++) expect((await call('b')).status).toBe(200);
    const batch = '[ {"jsonrpc":"2.0","id":7,"method":"eth_gasPrice"} ]';
    expect((await call('b', batch)).json).toHaveLength(1);
    expect([hits(), b.requests.at(-1)?.body]).toEqual([[0, 4], batch]);
  });

  test.each([
    { mode: 'http503', status: 503, text: 'scripted http503' },
    { mode: 'hang', status: 504, text: 'RPCB_DEADLINE' },
    { mode: 'reset', status: 502, text: 'RPCB_ATTEMPTS_FAILED' },
  ] as const)(
    'gets what its upstream does, though others would move on: $mode',
    async ({ mode, ...seen }) => {
      const { call, hits, a } = await startPinned({ network: MOVING });
      a.mode = mode;
      const { status, text } = await call('a');
      expect({ status, text }).toEqual({ status: seen.status, text: expect.stringContaining(seen.text) });
      expect(hits()).toEqual([1, 0]);
      expect((await call('b')).status).toBe(200);
    },
  );

  test('reaches an upstream that is left out, but none that is drained', async () => {
    const { call, front, a, hits } = await startPinned({ network: MOVING });
    a.mode = 'reset';
    await call('a');
    await front.reason('a', 'ejected');
    a.mode = 'ok';
    expect((await call('a')).status).toBe(200);
    await front.app.rpcBalancer.drain('net', 'a');
    const { status, json } = await call('a');
    expect({ status, reasons: json.error.data.reasons }).toEqual({ status: 502, reasons: { a: 'drained' } });
    expect(hits()).toEqual([2, 0]);
  });
});
