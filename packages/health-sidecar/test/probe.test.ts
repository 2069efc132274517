// Decides: whether one probe of one upstream finds the right sample, over real sockets.
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type FakeNode,
  type FakeNodeOptions,
  type Mode,
  startFakeNode,
} from '../../../test/kit/fake-node.ts';
import { freePort } from '../../../test/kit/ports.ts';
import { IMPATIENT_MS, probe, SINGLY } from './probing.ts';

async function startNode(options: FakeNodeOptions = {}): Promise<FakeNode> {
  const node = await startFakeNode({ head: 100, ...options });
  onTestFinished(() => node.stop());
  return node;
}

test('SQ-06: a healthy upstream gives its identity, head, finality and latency', async () => {
  const node = await startNode({ chainId: 31_337, head: 20_000 });
  const sample = await probe(node);
  expect(sample).toMatchObject({ failure: null, identity: '31337', syncing: false, finalized: 20_000 - 64 });
  expect(sample).toHaveProperty('head.number', 20_000);
  expect(sample).toHaveProperty('head.hash', node.chain.hashOf(20_000));
  expect(sample).toHaveProperty('latencyMs', expect.any(Number));
});

test('the latency of an upstream that is asked singly is the time until its head is known, as in a batch', async () => {
  const afterMs = 100;
  const slow = await startNode({
    answer: ({ method, paramsText }) =>
      method === 'eth_getBlockByNumber' && paramsText.includes('latest')
        ? { result: { number: '0x64' }, afterMs }
        : undefined,
  });
  for (const probing of [{}, { batches: SINGLY }]) {
    const sample = await probe(slow, probing);
    if (sample.failure !== null) throw new TypeError(sample.detail);
    expect(sample.latencyMs).toBeGreaterThan(afterMs - 5); // Timers may be early.
  }
});

describe('a failed probe', () => {
  const rows: { mode: Mode; failure: string }[] = [
    { mode: 'hang', failure: 'probe_timeout' },
    { mode: 'stall', failure: 'probe_timeout' },
    { mode: 'late', failure: 'probe_timeout' },
    { mode: 'reset', failure: 'probe_failed' },
    { mode: 'cut', failure: 'probe_failed' },
    { mode: 'html', failure: 'probe_failed' },
    { mode: 'garbage', failure: 'probe_failed' },
    { mode: 'null', failure: 'probe_failed' },
    { mode: 'http500', failure: 'probe_failed' },
    { mode: 'http503', failure: 'probe_failed' },
    { mode: 'http401', failure: 'unauthorized' },
    { mode: 'http429', failure: 'throttled' },
  ];

  test.each(rows)('is $failure when the node does: $mode', async ({ mode, failure }) => {
    const probing = failure === 'probe_timeout' ? { timeoutMs: IMPATIENT_MS } : {};
    const sample = await probe(await startNode({ mode }), probing);
    expect(sample).toMatchObject({ failure, detail: expect.any(String) });
  });

  test('is unreachable when nobody listens', async () => {
    expect(await probe({ url: `http://127.0.0.1:${await freePort()}` })).toMatchObject({
      failure: 'unreachable',
    });
  });

  test('is unreachable when the name is unknown', async () => {
    expect(await probe({ url: 'http://no-such-host.invalid' })).toMatchObject({ failure: 'unreachable' });
  });

  test('is throttled when a limit is told inside a 200', async () => {
    const node = await startNode({ answer: () => ({ error: { code: -32_005, message: 'limit exceeded' } }) });
    expect(await probe(node)).toMatchObject({ failure: 'throttled' });
  });

  test('is unauthorized on a 403, and a redirect is not followed', async () => {
    const forbidden = await startNode({ answer: () => ({ status: 403 }) });
    expect(await probe(forbidden)).toMatchObject({ failure: 'unauthorized' });
    const target = await startNode();
    const moved = await startNode({ answer: () => ({ status: 307, headers: { location: target.url } }) });
    expect(await probe(moved)).toMatchObject({ failure: 'probe_failed' });
    expect(target.hits()).toBe(0);
  });

  test('tells no secret of its URL', async () => {
    const port = await freePort();
    const sample = await probe({
      url: `http://user:password1@127.0.0.1:${port}/v3/0123456789abcdef?key=hidden99`,
    });
    expect(JSON.stringify(sample)).not.toMatch(/password1|0123456789abcdef|hidden99/);
  });
});

describe('what a node does not support', () => {
  const without = (...methods: string[]) =>
    startNode({
      answer: ({ method, paramsText }) =>
        methods.some((name) => method === name || paramsText.includes(name))
          ? { error: { code: -32_601, message: 'the method does not exist' } }
          : undefined,
    });

  test.each([
    { missing: 'finalized', sample: { failure: null, finalized: null } },
    { missing: 'eth_syncing', sample: { failure: null, syncing: false } },
    { missing: 'eth_chainId', sample: { failure: null, identity: null } },
    { missing: 'eth_blockNumber', sample: { failure: null, head: { number: 100 } } },
    { missing: 'latest', sample: { failure: null, head: { number: 100, hash: null, headerAt: null } } },
  ])('is tolerated: $missing', async ({ missing, sample }) => {
    expect(await probe(await without(missing))).toMatchObject(sample);
  });

  test('is a failure where it leaves no head', async () => {
    expect(await probe(await without('eth_blockNumber', 'latest'))).toMatchObject({
      failure: 'probe_failed',
    });
  });
});

describe('an answer', () => {
  const answering = (method: string, result: unknown) =>
    startNode({ answer: (call) => (call.method === method ? { result } : undefined) });

  test.each([
    { method: 'eth_chainId', result: 'mainnet' },
    { method: 'eth_chainId', result: 1 },
    { method: 'eth_blockNumber', result: '100' },
    { method: 'eth_blockNumber', result: '0xffffffffffffffffffff' },
    { method: 'eth_syncing', result: null },
    { method: 'eth_getBlockByNumber', result: [] },
    { method: 'eth_getBlockByNumber', result: {} },
  ])('that is none is a failure: $method $result', async ({ method, result }) => {
    expect(await probe(await answering(method, result))).toMatchObject({ failure: 'probe_failed' });
  });

  test('that says it syncs makes it syncing', async () => {
    const node = await startNode({ syncing: { currentBlock: '0x1', highestBlock: '0x64' } });
    expect(await probe(node)).toMatchObject({ failure: null, syncing: true });
  });

  test('of a node that contradicts itself claims the higher number and no time', async () => {
    const head = { number: 1_000_100, hash: null, headerAt: null };
    expect(await probe(await answering('eth_blockNumber', '0xf42a4'))).toMatchObject({ failure: null, head });
    const header = { number: '0xf42a4', hash: '0xab', timestamp: '0x65' };
    expect(await probe(await answering('eth_getBlockByNumber', header))).toMatchObject({
      failure: null,
      head,
    });
  });

  test('a block later than the header is the header', async () => {
    const sample = await probe(await answering('eth_blockNumber', '0x65'));
    expect(sample).toMatchObject({
      failure: null,
      head: { number: 100, hash: expect.stringMatching(/^0x/) },
    });
  });

  test('of more than a megabyte is not read, and the number alone is believed', async () => {
    const huge = { number: '0x64', transactions: 'x'.repeat(1_100_000) };
    const sample = await probe(await answering('eth_getBlockByNumber', huge));
    expect(sample).toMatchObject({ failure: null, head: { number: 100, hash: null }, finalized: null });
  });
});

describe('attempts', () => {
  test('go on after a failure and end with the first success', async () => {
    let asked = 0;
    const node = await startNode({
      answer: ({ method }) => (method === 'eth_chainId' && ++asked < 3 ? { status: 500 } : undefined),
    });
    expect(await probe(node, { attempts: 3 })).toMatchObject({ failure: null });
    expect(node.hits('eth_chainId')).toBe(3);
  });

  test('SQ-05: end each with its timeout, and go on as often as was allowed', async () => {
    const node = await startNode({ mode: 'hang' });
    const beganAt = performance.now();
    expect(await probe(node, { attempts: 2, timeoutMs: 100 })).toMatchObject({ failure: 'probe_timeout' });
    expect(performance.now() - beganAt).toBeGreaterThan(190);
    expect(node.hits('eth_blockNumber')).toBe(2);
  });

  test('end when they are used up', async () => {
    const node = await startNode({ mode: 'http500' });
    await probe(node, { attempts: 3, batches: SINGLY });
    expect(node.hits('eth_chainId')).toBe(3);
  });

  test.each<{ mode: Mode }>([{ mode: 'http401' }, { mode: 'http429' }])(
    'are not repeated after a definite answer: $mode',
    async ({ mode }) => {
      const node = await startNode({ mode });
      await probe(node, { attempts: 3, batches: SINGLY });
      expect(node.hits('eth_chainId')).toBe(1);
    },
  );
});

test('a probe sends the configured headers, the credentials of the URL and its query', async () => {
  const node = await startNode();
  const url = `${node.url.replace('//', '//user:pass%20word@')}/v1/rpc/?key=abc`;
  await probe({ url, headers: { 'X-Tenant': 'mine' } });
  const [request] = node.requests;
  expect(request?.path).toBe('/v1/rpc?key=abc');
  expect(request?.headers).toMatchObject({
    'x-tenant': 'mine',
    authorization: `Basic ${Buffer.from('user:pass word').toString('base64')}`,
    host: `127.0.0.1:${node.port}`,
    'content-type': 'application/json',
    'accept-encoding': 'identity',
  });
});
