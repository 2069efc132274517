// Decides: whether a probe of each other protocol finds the right sample, over real sockets.
import fastify, { type FastifyReply } from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FakeCometOptions, startFakeComet } from '../../../test/kit/fake-comet.ts';
import type { Mode } from '../../../test/kit/fake-node.ts';
import { FINALITY_BLOCKS, genesisOf, startFakeSubstrate } from '../../../test/kit/fake-substrate.ts';
import { IMPATIENT_MS, probe } from './probing.ts';

describe('a probe of Substrate', () => {
  async function start(options: Parameters<typeof startFakeSubstrate>[0] = {}) {
    const node = await startFakeSubstrate({ head: 20_000, ...options });
    onTestFinished(() => node.stop());
    const probing = {
      protocol: 'substrate',
      ...(options.mode === 'hang' && { timeoutMs: IMPATIENT_MS }),
    } as const;
    return { node, probe: (describe = false) => probe(node, { ...probing, describe }) };
  }
  const without = (...methods: string[]) =>
    start({
      answer: ({ method }) =>
        methods.includes(method) ? { error: { code: -32_601, message: 'Method not found' } } : undefined,
    });
  const answering = (method: string, result: unknown) =>
    start({ answer: (call) => (call.method === method ? { result } : undefined) });

  test('gives genesis hash, head with its hash, finality and latency of a healthy node', async () => {
    const { node, probe } = await start();
    expect(await probe()).toEqual({
      ...{ failure: null, identity: genesisOf('asset-hub'), syncing: false, lonely: false },
      head: { number: 20_000, hash: node.chain.hashOf(20_000), headerAt: null },
      finalized: 20_000 - FINALITY_BLOCKS,
      ...{ latencyMs: expect.any(Number), sampledAt: expect.any(Number) },
    });
    expect(node.hits('rpc_methods') + node.hits('state_getRuntimeVersion')).toBe(0);
  });

  test('asks for the runtime and the methods only when it is told to describe', async () => {
    const { probe } = await start();
    expect(await probe(true)).toHaveProperty('facts', {
      ...{ runtime: 'statemine', runtimeVersion: 1_003_000, methodCount: 2 },
    });
  });

  test('finds a node that syncs, and one that should have peers and has none', async () => {
    expect(await (await start({ isSyncing: true })).probe()).toMatchObject({ syncing: true, lonely: false });
    expect(await (await start({ peers: 0 })).probe()).toMatchObject({ syncing: false, lonely: true });
    expect(await (await start({ peers: 0, shouldHavePeers: false })).probe()).toMatchObject({
      lonely: false,
    });
  });

  test.each([
    { missing: 'system_health', sample: { failure: null, syncing: false, lonely: false } },
    { missing: 'chain_getFinalizedHead', sample: { failure: null, finalized: null } },
    { missing: 'rpc_methods', sample: { failure: null, facts: { runtime: 'statemine' } } },
    { missing: 'state_getRuntimeVersion', sample: { failure: null, facts: { methodCount: 2 } } },
    { missing: 'chain_getBlockHash', sample: { failure: null, identity: null, head: { hash: null } } },
    { missing: 'chain_getHeader', sample: { failure: 'probe_failed' } },
  ])('tolerates what a node does not support but its head: $missing', async ({ missing, sample }) => {
    expect(await (await without(missing)).probe(true)).toMatchObject(sample);
  });

  test.each([
    { method: 'system_health', result: 'fine' },
    { method: 'system_health', result: { isSyncing: 'no' } },
    { method: 'chain_getBlockHash', result: null },
    { method: 'chain_getHeader', result: null },
    { method: 'chain_getHeader', result: { number: '0x' } },
    { method: 'chain_getHeader', result: { number: '0x10000000000000000' } },
  ])('calls nonsense a failure: $method $result', async ({ method, result }) => {
    expect(await (await answering(method, result)).probe()).toMatchObject({ failure: 'probe_failed' });
  });

  test.each<{ mode: Mode; failure: string }>([
    { mode: 'hang', failure: 'probe_timeout' },
    { mode: 'reset', failure: 'probe_failed' },
    { mode: 'http401', failure: 'unauthorized' },
    { mode: 'http429', failure: 'throttled' },
  ])('is $failure when the node does so: $mode', async ({ mode, failure }) => {
    expect(await (await start({ mode })).probe()).toMatchObject({ failure });
  });
});

describe('a probe of CometBFT', () => {
  async function start(options: FakeCometOptions = {}) {
    const node = await startFakeComet({ head: 20_000, ...options });
    onTestFinished(() => node.stop());
    return { node, probe: (path = '') => probe({ url: `${node.url}${path}` }, { protocol: 'cometbft' }) };
  }

  test('gives chain id, head with hash and time, finality and version of a healthy node', async () => {
    const { node, probe } = await start({ network: 'cosmoshub-4' });
    const seconds = Number(node.chain.block('latest')?.timestamp);
    expect(await probe()).toEqual({
      ...{ failure: null, identity: 'cosmoshub-4', syncing: false, finalized: 20_000 },
      head: {
        number: 20_000,
        hash: node.chain.hashOf(20_000).slice(2).toUpperCase(),
        headerAt: seconds * 1000 + 123,
      },
      facts: { version: '0.38.19' },
      ...{ latencyMs: expect.any(Number), sampledAt: expect.any(Number) },
    });
    expect(node.asked).toEqual(['POST /']);
  });

  test.each([403, 405, 502])(
    'asks by URI behind what answers %i to a POST, below the path of the upstream and with its query',
    async (refusal) => {
      const { node, probe } = await start({ verbs: ['GET'], refusal });
      expect(await probe('/rpc/?key=abc')).toMatchObject({ failure: null, head: { number: 20_000 } });
      expect(node.asked).toEqual(['POST /rpc?key=abc', 'GET /rpc/status?key=abc']);
    },
  );

  test('is unauthorized where neither verb is let through for want of a key', async () => {
    const { probe } = await start({ verbs: [], refusal: 401 });
    expect(await probe()).toMatchObject({ failure: 'unauthorized' });
  });

  test('finds a node that catches up', async () => {
    const { node, probe } = await start();
    node.catchingUp = true;
    expect(await probe()).toMatchObject({ failure: null, syncing: true });
  });

  const status = (sync: object, node: object = { network: 'chain-a' }) => ({
    node_info: node,
    sync_info: { latest_block_height: '7', catching_up: false, ...sync },
  });

  test.each([
    ['no result', null],
    ['no sections', {}],
    ['a height that is a number', status({ latest_block_height: 7 })],
    ['a height below zero', status({ latest_block_height: '-1' })],
    ['a height beyond what is exact', status({ latest_block_height: '18446744073709551616' })],
    ['a height in hexadecimal', status({ latest_block_height: '0x7' })],
    ['a sync state that is a text', status({ catching_up: 'false' })],
    ['no chain id', status({}, {})],
    ['an empty chain id', status({}, { network: '' })],
    ['a chain id that is far too long', status({}, { network: 'x'.repeat(51) })],
  ])('calls nonsense a failure: %s', async (_, result) => {
    const { node, probe } = await start();
    node.result = result;
    expect(await probe()).toMatchObject({ failure: 'probe_failed' });
  });

  test('believes the height of a node whose hash and time are odd', async () => {
    const { node, probe } = await start();
    node.result = status({ latest_block_hash: '', latest_block_time: '0001-01-01T00:00:00Z' });
    expect(await probe()).toMatchObject({ failure: null, head: { number: 7, hash: null, headerAt: null } });
  });
});

describe('a probe of an http upstream', () => {
  type Answer = (reply: FastifyReply, url: string, headers: unknown) => unknown;

  async function start(answer: Answer) {
    const asked: string[] = [];
    const app = fastify();
    app.all('/*', async (request, reply) => {
      asked.push(request.method === 'GET' ? request.url : `${request.method} ${request.url}`);
      return answer(reply, request.url, request.headers);
    });
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    onTestFinished(() => app.close());
    return { url, asked };
  }
  const http = (url: string, keys: Readonly<Record<string, unknown>> = {}, headers = {}) =>
    probe({ url, headers }, { protocol: 'http', keys });
  const healthy = { status: 'ok', uptime: 12.5, version: '2.1.0', checks: [{ 'a/b': true }] };

  test('gives latency, uptime and version of a healthy one, and no head', async () => {
    const { url, asked } = await start(() => healthy);
    expect(await http(url)).toEqual({
      ...{ failure: null, identity: null, syncing: false, head: null, finalized: null },
      ...{ uptimeS: 12.5, facts: { version: '2.1.0' } },
      ...{ latencyMs: expect.any(Number), sampledAt: expect.any(Number) },
    });
    expect(asked).toEqual(['/health']);
  });

  test('needs no JSON where none is expected', async () => {
    const { url } = await start((reply) => reply.type('text/plain').send('fine'));
    expect(await http(url)).toMatchObject({ failure: null, facts: {} });
  });

  test('asks below the path of the upstream, with its query and headers', async () => {
    const { url, asked } = await start((_, __, headers) => {
      return { key: (headers as Record<string, string>)['x-key'] }; // As Fastify types them elsewhere.
    });
    const keys = { path: '/api/health?full=1', json: { '/key': 'mine' } };
    expect(await http(`${url}/base/?tenant=7`, keys, { 'X-Key': 'mine' })).toMatchObject({ failure: null });
    expect(asked).toEqual(['/base/api/health?full=1&tenant=7']);
  });

  test.each([
    { status: 204, expected: undefined, failure: null },
    { status: 302, expected: undefined, failure: 'probe_failed' },
    { status: 404, expected: '200-404', failure: null },
    { status: 200, expected: 204, failure: 'probe_failed' },
    { status: 503, expected: undefined, failure: 'probe_failed' },
    { status: 429, expected: undefined, failure: 'throttled' },
    { status: 401, expected: '200-499', failure: null },
  ])('judges $status by the range $expected', async ({ status, expected, failure }) => {
    const { url } = await start((reply) => reply.code(status).send());
    expect(await http(url, expected === undefined ? {} : { status: expected })).toMatchObject({ failure });
  });

  test.each([401, 403])('says that a %i is a mistake of configuration', async (status) => {
    const { url } = await start((reply) => reply.code(status).send());
    expect(await http(url)).toMatchObject({
      failure: 'unauthorized',
      detail: expect.stringMatching(/^GET \/health: HTTP 40[13]: the key of the probe is wrong or missing/),
    });
  });

  test.each([
    { json: { '/status': 'ok', '/checks/0/a~1b': true }, detail: null },
    { json: { '/status': 'degraded' }, detail: 'GET /health: /status is "ok", not "degraded"' },
    { json: { '/uptime': '12.5' }, detail: 'GET /health: /uptime is 12.5, not "12.5"' },
    { json: { '/checks': true }, detail: 'GET /health: /checks is no scalar, not true' },
    { json: { '/checks/1': null }, detail: 'GET /health: /checks/1 is missing, not null' },
    {
      json: { '/constructor/name': 'Object' },
      detail: 'GET /health: /constructor/name is missing, not "Object"',
    },
  ])('compares what stands at the pointers: $json', async ({ json, detail }) => {
    const { url } = await start(() => healthy);
    const sample = await http(url, { json });
    expect(sample).toMatchObject(detail === null ? { failure: null } : { failure: 'probe_failed', detail });
  });

  test.each(['HEAD', 'POST'])(
    'asks with %s where that is wanted, and for the head with GET',
    async (method) => {
      const { url, asked } = await start((reply, path) =>
        path === '/slot' ? { slot: 7 } : reply.code(method === 'POST' ? 202 : 200).send(),
      );
      const head = { path: '/slot', pointer: '/slot' };
      expect(await http(url, { method, head })).toMatchObject({ failure: null, head: { number: 7 } });
      expect(asked.toSorted()).toEqual(['/slot', `${method} /health`]);
      expect(await http(`${url}/gone`, { method, status: 404 })).toMatchObject({
        detail: expect.stringMatching(`^${method} /health: HTTP 20`),
      });
    },
  );

  test('reads at most a megabyte, and needs no more where nothing in it is expected', async () => {
    const { url } = await start(() => ({ status: 'ok', padding: 'x'.repeat(1_100_000) }));
    expect(await http(url)).toMatchObject({ failure: null, facts: {} });
    expect(await http(url, { json: { '/status': 'ok' } })).toMatchObject({
      ...{ failure: 'probe_failed', detail: 'GET /health: more than 1048576 bytes' },
    });
    expect(await http(url, { head: { pointer: '/height' } })).toMatchObject({ failure: 'probe_failed' });
  });

  test('reads the height where it is told to, in each way of writing it', async () => {
    const { url, asked } = await start((_, path) =>
      path === '/syncing' ? { data: { head_slot: '9000', hex: '0x10' } } : { ...healthy, height: 77 },
    );
    const headOf = async (head: object) => (await http(url, { head })) as unknown;
    expect(await headOf({ pointer: '/height' })).toMatchObject({ head: { number: 77 } });
    expect(asked).toEqual(['/health']);
    const at = { path: '/syncing' };
    expect(await headOf({ ...at, pointer: '/data/head_slot' })).toMatchObject({ head: { number: 9000 } });
    expect(await headOf({ ...at, pointer: '/data/hex' })).toMatchObject({ head: { number: 16 } });
    expect(await headOf({ ...at, pointer: '/data' })).toMatchObject({
      ...{ failure: 'probe_failed', detail: 'GET /syncing: no head at /data' },
    });
  });
});
