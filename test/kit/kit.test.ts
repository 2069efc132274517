import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startAnvil } from './anvil.ts';
import { createClock, createRandom, shuffled } from './clock.ts';
import { balanceOf, type FakeNode, type FakeNodeOptions, type Mode, startFakeNode } from './fake-node.ts';
import { runLoad } from './load.ts';
import { ROOT } from './paths.ts';
import { freePort } from './ports.ts';
import { startProcess } from './process.ts';
import type { Json } from './program.ts';
import { waitFor } from './wait.ts';

async function nodeWith(options: FakeNodeOptions = {}): Promise<FakeNode> {
  const node = await startFakeNode(options);
  onTestFinished(() => node.stop());
  return node;
}

function post(node: FakeNode, body: string, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(node.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal });
}

const call = (method: string, params = '[]', id = '1') =>
  `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`;

async function postBatch(node: FakeNode, body: string): Promise<Json> {
  return (await post(node, body)).json();
}

async function ask(node: FakeNode, method: string, params?: string): Promise<Json> {
  return (await post(node, call(method, params))).json();
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The error code beneath a failed fetch. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(error);
}

describe('a FakeNode that is well', () => {
  test('answers chain facts that belong together', async () => {
    const node = await nodeWith({ head: 1000 });
    expect(await ask(node, 'eth_chainId')).toEqual({ jsonrpc: '2.0', id: 1, result: '0x1' });
    expect((await ask(node, 'net_version')).result).toBe('1');
    expect((await ask(node, 'eth_blockNumber')).result).toBe('0x3e8');
    const latest = (await ask(node, 'eth_getBlockByNumber', '["latest",false]')).result;
    const before = (await ask(node, 'eth_getBlockByNumber', '["0x3e7",false]')).result;
    expect(latest).toMatchObject({ number: '0x3e8', parentHash: before.hash });
    expect(Math.abs(Number(latest.timestamp) * 1000 - Date.now())).toBeLessThan(5000);
    expect((await ask(node, 'eth_getBlockByNumber', '["finalized",false]')).result.number).toBe('0x3a8');
    expect((await ask(node, 'eth_getBlockByNumber', '["0x3e9",false]')).result).toBeNull();
    expect((await ask(node, 'eth_getBalance', '["0xAbC","latest"]')).result).toBe(balanceOf('0xabc'));
    expect((await ask(node, 'no_such')).error.code).toBe(-32601);
    expect((await ask(node, 'test_revert')).error).toMatchObject({ code: 3, data: '0x08c379a0' });
  });

  test('echoes ids and params byte for byte', async () => {
    const node = await nodeWith();
    const id = '12345678901234567890123456789012345678901234567890';
    const response = await post(
      node,
      call('test_echo', '[1.0, 1e2,  "\\u00e9é", 2000000000000000000000001]', id),
    );
    expect(await response.text()).toBe(
      `{"jsonrpc":"2.0","id":${id},"result":[1.0, 1e2,  "\\u00e9é", 2000000000000000000000001]}`,
    );
  });

  test('answers a batch without its notifications, shuffled and with one missing when told so', async () => {
    const node = await nodeWith();
    const batch = `[${call('eth_chainId', '[]', '"a"')},{"jsonrpc":"2.0","method":"eth_chainId"},7,${call('x', '[]', '"b"')}]`;
    const answers: Json[] = await postBatch(node, batch);
    expect(answers.map(({ id }) => id)).toEqual(['a', null, 'b']);
    node.dropFromBatch = (index) => index === 0;
    expect((await postBatch(node, batch)).map(({ id }: Json) => id)).toEqual([null, 'b']);
    node.dropFromBatch = undefined;
    node.shuffleBatch = true;
    const many = Array.from({ length: 20 }, (_, at) => call('eth_chainId', '[]', String(at)));
    const ids = (await postBatch(node, `[${many.join()}]`)).map(({ id }: Json) => id);
    expect(ids).not.toEqual(many.map((_, at) => at));
    expect(ids.toSorted((a: number, b: number) => a - b)).toEqual(many.map((_, at) => at));
    expect(await (await post(node, '{"jsonrpc":"2.0","method":"eth_chainId"}')).text()).toBe('');
  });

  test('records what it was asked and tells probes from reads', async () => {
    const node = await nodeWith();
    await post(node, `[${call('eth_chainId')},${call('eth_getBalance')},${call('eth_getBalance')}]`);
    await ask(node, 'eth_sendRawTransaction', '["0x01"]');
    expect(node.hits()).toBe(2);
    expect(node.hits('eth_getBalance')).toBe(2);
    expect(node.reads).toBe(3);
    expect(node.executions).toEqual(['["0x01"]']);
    expect(node.requests[1]).toMatchObject({ verb: 'POST', path: '/', methods: ['eth_sendRawTransaction'] });
    expect(node.sockets).toBeGreaterThan(0);
    await waitFor(() => node.inFlight === 0, { what: 'the answers to be taken' });
    node.clear();
    expect([node.hits(), node.reads, node.executions]).toEqual([0, 0, []]);
  });

  test('moves its head with its clock and stands still while frozen', async () => {
    const clock = createClock();
    const node = await nodeWith({ head: 10, blockTimeMs: 1000, now: clock.now });
    clock.advance(3500);
    expect(node.head).toBe(13);
    node.mode = 'frozen';
    clock.advance(2000);
    expect(node.head).toBe(13);
    node.mode = 'ok';
    expect(node.head).toBe(15);
    expect((await ask(node, 'eth_getBlockByNumber', '["latest",false]')).result).toMatchObject({
      number: '0xf',
      timestamp: `0x${((clock.now() - 500) / 1000).toString(16)}`,
    });
  });

  test('streams a huge answer unchanged', async () => {
    const node = await nodeWith({ answer: () => ({ stream: 64 * 1024 ** 2 }) });
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of (await post(node, call('test_big'))).body ?? []) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    const streamed = await waitFor(() => node.streams[0], { what: 'the stream to end' });
    expect(streamed).toEqual({ bytes, sha256: hash.digest('hex'), complete: true });
    expect(bytes).toBeGreaterThan(64 * 1024 ** 2);
  });

  test('follows a hook for results, errors, raw envelopes and statuses', async () => {
    const node = await nodeWith();
    node.answer = ({ method }) => (method === 'a' ? { resultText: '1.00' } : { raw: '{"odd":1}' });
    expect(await (await post(node, call('a'))).text()).toContain('"result":1.00}');
    expect(await (await post(node, call('b'))).text()).toBe('{"odd":1}');
    node.answer = () => ({ status: 418, body: 'tea', headers: { 'x-a': 'b' } });
    const response = await post(node, call('c'));
    expect([response.status, response.headers.get('x-a'), await response.text()]).toEqual([418, 'b', 'tea']);
    node.answer = () => ({ error: { code: -32005, message: 'limit' } });
    expect((await ask(node, 'd')).error).toEqual({ code: -32005, message: 'limit' });
  });
});

describe('a FakeNode with a fault', () => {
  test.each<[Mode, number, string]>([
    ['http500', 500, 'text/plain'],
    ['http503', 503, 'text/plain'],
    ['http429', 429, 'text/plain'],
    ['http401', 401, 'text/plain'],
    ['html', 200, 'text/html'],
    ['garbage', 200, 'application/json'],
  ])('answers %s with its status and type', async (mode, status, type) => {
    const node = await nodeWith({ mode, retryAfter: 7 });
    const response = await post(node, call('eth_chainId'));
    expect([response.status, response.headers.get('content-type')]).toEqual([status, type]);
    expect(response.headers.get('retry-after')).toBe(mode === 'http429' ? '7' : null);
    await expect(response.json()).rejects.toThrow();
  });

  test('resets the socket on each request', async () => {
    const node = await nodeWith({ mode: 'reset' });
    expect(causeOf(await post(node, call('eth_chainId')).catch((error) => error))).toBe('ECONNRESET');
    expect(node.hits('eth_chainId')).toBe(1);
  });

  test('cuts a body that its headers promised whole', async () => {
    const node = await nodeWith({ mode: 'cut' });
    const response = await post(node, call('eth_chainId'));
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(30);
    await expect(response.text()).rejects.toThrow();
  });

  test('falls silent after half a body when it stalls, and before any byte when it hangs', async () => {
    const node = await nodeWith({ mode: 'stall' });
    const stop = new AbortController();
    const response = await post(node, call('eth_chainId'), stop.signal);
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value?.length).toBeGreaterThan(10);
    node.mode = 'hang';
    const hanging = post(node, call('eth_chainId'), stop.signal);
    await waitFor(() => node.hits() === 2, { what: 'the second request to arrive' });
    expect(node.inFlight).toBe(2);
    stop.abort();
    await expect(hanging).rejects.toThrow();
    await waitFor(() => node.inFlight === 0, { what: 'both to be given up' });
  });

  test('carries a write out although its answer is lost', async () => {
    const node = await nodeWith({ mode: 'executeThenReset' });
    const lost = await post(node, call('eth_sendRawTransaction', '["0x02"]')).catch((error) => error);
    expect(causeOf(lost)).toBe('ECONNRESET');
    expect(node.executions).toEqual(['["0x02"]']);
    expect((await ask(node, 'eth_chainId')).result).toBe('0x1');
  });

  test('answers probes but no reads', async () => {
    const node = await nodeWith({ mode: 'reads500' });
    expect((await post(node, call('eth_blockNumber'))).status).toBe(200);
    expect((await post(node, call('eth_getBalance'))).status).toBe(500);
  });

  test('lies about its head only', async () => {
    const node = await nodeWith({ mode: 'lie', head: 100, lieBy: 1000 });
    expect((await ask(node, 'eth_blockNumber')).result).toBe('0x44c');
    expect((await ask(node, 'eth_getBlockByNumber', '["latest",false]')).result.number).toBe('0x44c');
    expect((await ask(node, 'eth_getBlockByNumber', '["0x44c",false]')).result).toBeNull();
    node.mode = 'ok';
    expect((await ask(node, 'eth_blockNumber')).result).toBe('0x64');
  });

  test('says null to everything, and answers late', async () => {
    const node = await nodeWith({ mode: 'null' });
    expect(await ask(node, 'eth_chainId')).toEqual({ jsonrpc: '2.0', id: 1, result: null });
    node.mode = 'late';
    node.lateMs = 80;
    const startAt = performance.now();
    expect((await ask(node, 'eth_chainId')).result).toBe('0x1');
    expect(performance.now() - startAt).toBeGreaterThan(75);
  });

  test('closes its port when killed and comes back on the same one', async () => {
    const node = await nodeWith();
    const { url } = node;
    await ask(node, 'eth_chainId');
    await node.kill();
    expect(causeOf(await post(node, call('eth_chainId')).catch((error) => error))).toBe('ECONNREFUSED');
    await node.restart();
    expect(node.url).toBe(url);
    expect((await ask(node, 'eth_chainId')).result).toBe('0x1');
  });
});

describe('the rest of the kit', () => {
  test('starts a real anvil that mines, pauses and dies', async () => {
    const anvil = await startAnvil({ chainId: 31_337 });
    onTestFinished(() => anvil.kill());
    expect(await anvil.rpc('eth_chainId')).toBe('0x7a69');
    await anvil.mine(3);
    expect(await anvil.rpc('eth_blockNumber')).toBe('0x3');
    anvil.pause();
    const waiting = anvil.rpc('eth_blockNumber');
    anvil.resume();
    expect(await waiting).toBe('0x3');
    await anvil.kill();
    await expect(anvil.rpc('eth_chainId')).rejects.toThrow();
  });

  test('captures the output of a process and tells when it ended too early', async () => {
    const started = startProcess({ command: process.execPath, args: ['-e', 'console.log("up 42")'] });
    expect((await started.waitForOutput(/up (\d+)/))[1]).toBe('42');
    expect(await started.exited).toEqual({ code: 0, signal: null });
    await expect(started.waitForOutput(/never/)).rejects.toThrow(/ended before .*never.*up 42/s);
  });

  test('ends the children and removes the directories of a test process that is killed', async () => {
    const program = `
      import { startProcess } from './test/kit/process.ts';
      import { temporaryDirectory } from './test/kit/paths.ts';
      const child = startProcess({ command: process.execPath, args: ['-e', 'setInterval(() => {}, 1e6)'] });
      console.log('child', child.pid, temporaryDirectory(), '.');`;
    const args = ['--input-type=module-typescript', '-e', program];
    const parent = startProcess({ command: process.execPath, args, cwd: ROOT });
    const [, pid, directory = ''] = await parent.waitForOutput(/child (\d+) (\S+) \./);
    expect(existsSync(directory)).toBe(true);
    parent.kill('SIGKILL');
    await waitFor(() => !isRunning(Number(pid)), { what: 'the child to be ended' });
    await waitFor(() => !existsSync(directory), { what: 'the directory to be removed' });
  });

  test('sends a steady load and counts failed and wrong answers apart', async () => {
    const node = await nodeWith();
    const options = { url: `${node.url}/net`, ratePerS: 200, durationMs: 250, maxConnections: 8 };
    const good = await runLoad({
      ...options,
      makeCall: (at) => ({ body: call('eth_chainId', '[]', String(at)) }),
    });
    expect(good).toMatchObject({ sent: 50, failed: 0, wrong: 0, notes: [] });
    expect(node.requests[0]?.path).toBe('/net');
    node.mode = 'http500';
    expect((await runLoad({ ...options, makeCall: () => ({ body: '{}' }) })).failed).toBe(50);
    node.mode = 'html';
    expect((await runLoad({ ...options, makeCall: () => ({ body: '{}' }) })).wrong).toBe(50);
  });

  test('says what was waited for, and hands out ports and numbers', async () => {
    await expect(waitFor(() => false, { what: 'the moon', timeoutMs: 20 })).rejects.toThrow(
      '20 ms for the moon',
    );
    expect(new Set(await Promise.all([freePort(), freePort(), freePort()])).size).toBe(3);
    const [a, b] = [createRandom(7), createRandom(7)];
    expect([a(), a()]).toEqual([b(), b()]);
    expect(shuffled([1, 2, 3, 4], createRandom(1)).toSorted()).toEqual([1, 2, 3, 4]);
  });
});
