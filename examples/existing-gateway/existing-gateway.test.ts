// Starts the example as a process, and checks that host and guest each keep what is theirs.
import { FetchRequest, JsonRpcProvider } from 'ethers';
import { createPublicClient, http } from 'viem';
import { beforeAll, describe, expect, test } from 'vitest';
import { type FakeNode, startFakeNode } from '../../test/kit/fake-node.ts';
import { inRepo } from '../../test/kit/paths.ts';
import { startProcess } from '../../test/kit/process.ts';
import { type Json, type Program, programOf } from '../../test/kit/program.ts';
import { waitFor } from '../../test/kit/wait.ts';

const TOKEN = 'a-token-of-the-host';
const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` };
const START_TIMEOUT_MS = 20_000;

let app: Program;
let nodes: readonly [FakeNode, FakeNode];

const get = (path: string, headers: Record<string, string> = AUTHORIZATION) =>
  fetch(`${app.url}${path}`, { headers });

async function getJson(path: string): Promise<Json> {
  return (await get(path)).json();
}

function post(path: string, headers: Record<string, string>): Promise<Response> {
  const body = '{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice"}';
  return fetch(`${app.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

beforeAll(async () => {
  nodes = await Promise.all([startFakeNode({ head: 100 }), startFakeNode({ head: 100 })]);
  const [a, b] = nodes;
  const started = startProcess({
    command: process.execPath,
    args: ['app.ts'],
    cwd: inRepo('examples', 'existing-gateway'),
    env: { API_TOKEN: TOKEN, PORT: '0', NODE_A_URL: a.url, NODE_B_URL: b.url },
  });
  app = await programOf(started, START_TIMEOUT_MS);
  await waitFor(async () => (await getJson('/-/rpc/status')).networks.mainnet.head === 100, {
    what: 'the first probes',
  });
  return async () => {
    await app.stop();
    await Promise.all(nodes.map((node) => node.stop()));
  };
});

describe('an API gateway with the balancer in it', () => {
  test('answers a request without its token with its own 401, and no node hears of it', async () => {
    const [a, b] = nodes;
    const before = a.reads + b.reads;
    for (const headers of [{}, { authorization: 'Bearer another' }] as Record<string, string>[]) {
      const response = await post('/rpc/mainnet', headers);
      expect(response.status).toBe(401);
      expect(await response.json()).toEqual({ error: 'our gateway wants a token' });
    }
    expect((await get('/-/rpc/status', {})).status).toBe(401);
    expect((await get('/metrics', {})).status).toBe(401);
    expect(a.reads + b.reads).toBe(before);
    expect((await post('/rpc/mainnet', AUTHORIZATION)).status).toBe(200);
    expect(a.reads + b.reads).toBe(before + 1);
  });

  test('serves viem and ethers that send the token', async () => {
    const url = `${app.url}/rpc/mainnet`;
    const transport = http(url, { retryCount: 0, fetchOptions: { headers: AUTHORIZATION } });
    const viem = createPublicClient({ transport });
    expect(await viem.getBlockNumber()).toBe(100n);
    expect(await viem.getChainId()).toBe(1);

    const request = new FetchRequest(url);
    request.setHeader('authorization', AUTHORIZATION.authorization);
    const ethers = new JsonRpcProvider(request, 1, { staticNetwork: true });
    expect(await ethers.getBlockNumber()).toBe(100);
    ethers.destroy();
  });

  test('keeps its own health, open to all', async () => {
    const response = await get('/health', {});
    expect(await response.json()).toEqual({ ours: 'fine' });
    expect(await getJson('/-/rpc/health')).toMatchObject({ status: 'ok' });
  });

  test('keeps its own metrics and finds those of the balancer among them', async () => {
    await post('/rpc/mainnet', AUTHORIZATION);
    const text = await (await get('/metrics')).text();
    expect(text).toMatch(/^our_requests_total\{status="200"\} \d+$/m);
    expect(text).toMatch(/^rpc_balancer_requests_total\{network="mainnet",code="ok"\} \d+$/m);
    expect(text).toMatch(/^rpc_balancer_network_head_blocks\{network="mainnet"\} 100$/m);
  });

  test('answers an unknown path with its own 404, below the prefix too', async () => {
    const responses = await Promise.all([
      get('/nowhere'),
      get('/mainnet'),
      get('/ready'),
      post('/rpc/unknown', AUTHORIZATION),
    ]);
    for (const response of responses) {
      expect(response.status, response.url).toBe(404);
      expect(await response.json()).toEqual({ error: 'our gateway has no such route' });
    }
  });

  test('shows the state of the nodes below the path that it gave to the balancer', async () => {
    const status = await getJson('/-/rpc/status');
    expect(status.mode).toBe('embedded');
    expect(status.networks.mainnet.upstreams).toHaveLength(2);
  });

  test('uses the balancer in a route of its own, also when a node has died', async () => {
    expect(await getJson('/v1/head')).toEqual({ head: 100 });
    const [dying] = nodes;
    await dying.stop();
    for (let reads = 0; reads < 4; reads++) expect(await getJson('/v1/head')).toEqual({ head: 100 });
    await dying.restart();
  });

  test('ends by itself when its own signal handler closes it', async () => {
    expect(await app.stop()).toEqual({ code: 0, signal: null });
  });
});
