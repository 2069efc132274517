import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { type Gateway, startGateway } from '../../../test/kit/gateway.ts';
import { configFile, inRepo, temporaryDirectory } from '../../../test/kit/paths.ts';
import { freePort } from '../../../test/kit/ports.ts';
import { type StartedProcess, startProcess } from '../../../test/kit/process.ts';
import { startRedis } from '../../../test/kit/redis.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { clientOf, configOf, startNodes } from './front.ts';

const SECRET = 'hunter2-of-the-test';

async function startNode(script: object = {}): Promise<FakeNode> {
  const [node] = (await startNodes(script)) as [FakeNode];
  return node;
}

async function startProgram(config: object): Promise<Gateway> {
  const gateway = await startGateway({ config });
  onTestFinished(() => gateway.process.kill());
  return gateway;
}

/** The program with these arguments, to its end. */
function run(...args: readonly string[]): StartedProcess {
  const program = inRepo('packages', 'gateway-plugin', 'src', 'bin.ts');
  const started = startProcess({ command: process.execPath, args: [program, ...args] });
  onTestFinished(() => started.kill());
  return started;
}

/** A gateway with one call that its node has not answered yet. */
async function startBusy(gatewayOptions: object = {}) {
  const node = await startNode();
  node.mode = 'hang';
  // By itself the call would not end within a test.
  const network = { readTimeout: '5m', deadline: '10m', silence: 'off' } as const;
  const gateway = await startProgram(configOf([node], { gateway: gatewayOptions, network }));
  const call = clientOf(gateway.url).call('eth_gasPrice');
  call.catch(() => {}); // Whoever awaits it hears of it.
  await waitFor(() => node.hits() === 1, { what: 'the call to reach the node' });
  return { gateway, call };
}

describe('stopping', () => {
  test('the first signal finishes what is in flight, takes nothing new and ends well', async () => {
    const node = await startNode();
    const { promise: until, resolve: answer } = Promise.withResolvers<void>();
    node.answer = () => ({ result: 'late', until });
    const gateway = await startProgram(configOf([node]));
    const call = clientOf(gateway.url).call('eth_gasPrice');
    await waitFor(() => node.hits() === 1, { what: 'the call to reach the node' });
    gateway.process.kill('SIGTERM');
    await gateway.process.waitForOutput(/finishing what is in flight/);
    const isRefused = () =>
      fetch(`${gateway.url}/health`).then(
        () => false,
        () => true,
      );
    await waitFor(isRefused, { what: 'new connections to be refused' });
    answer();
    const { json, headers } = await call;
    expect({ result: json.result, connection: headers.connection }).toEqual({
      result: 'late',
      connection: 'close',
    });
    expect(await gateway.process.exited).toEqual({ code: 0, signal: null });
    expect(node.hits()).toBe(1);
  });

  test('a request whose connection was there before the stop is answered, and the connection ends with that', async () => {
    const node = await startNode();
    const gateway = await startProgram(configOf([node]));
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    const body = '{"jsonrpc":"2.0","id":7,"method":"eth_chainId","params":[]}';
    socket.write(`POST /net HTTP/1.1\r\nhost: gateway\r\ncontent-length: ${body.length}\r\n`);
    await clientOf(gateway.url).call('eth_chainId'); // What was sent before has come, too.
    gateway.process.kill('SIGTERM');
    await gateway.process.waitForOutput(/finishing what is in flight/);
    socket.write(`content-type: application/json\r\n\r\n${body}`);
    const answer = (await socket.setEncoding('utf8').toArray()).join('');
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
    expect(answer).toContain('{"jsonrpc":"2.0","id":7,"result":"0x1"}');
    expect(await gateway.process.exited).toEqual({ code: 0, signal: null });
  });

  test('an answer that streams during a stop arrives whole, and its kept connection holds nothing up', async () => {
    const node = await startNode();
    node.answer = () => ({ stream: 64 * 1024 ** 2 });
    const gateway = await startProgram(configOf([node], { gateway: { drainTimeout: '5m' } }));
    const response = await fetch(`${gateway.url}/net`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{}]}',
    });
    gateway.process.kill('SIGTERM');
    await gateway.process.waitForOutput(/finishing what is in flight/);
    const body = await response.arrayBuffer();
    expect(body.byteLength).toBe(node.streams[0]?.bytes);
    expect(await gateway.process.exited).toEqual({ code: 0, signal: null }); // Long before the drain timeout.
  });

  test('a second signal ends at once', async () => {
    const { gateway, call } = await startBusy();
    gateway.process.kill('SIGTERM');
    await gateway.process.waitForOutput(/a second signal ends at once/);
    gateway.process.kill('SIGINT');
    expect(await gateway.process.exited).toEqual({ code: 1, signal: null });
    await expect(call).rejects.toThrow();
  });

  test('requests that do not end are given up when the drain timeout is over', async () => {
    const { gateway, call } = await startBusy({ drainTimeout: 300 });
    gateway.process.kill('SIGTERM');
    const { status, json } = await call;
    expect({ status, code: json.error.data.code }).toEqual({ status: 502, code: 'RPCB_ATTEMPTS_FAILED' });
    expect(await gateway.process.exited).toEqual({ code: 0, signal: null });
  });

  test('an idle gateway with kept connections ends at once', async () => {
    const node = await startNode();
    const gateway = await startProgram(configOf([node], { gateway: { drainTimeout: '5m' } }));
    await clientOf(gateway.url).call('eth_gasPrice');
    expect(await gateway.stop()).toEqual({ code: 0, signal: null }); // Long before the drain timeout.
  });

  test('a host that closes ends by itself, since nothing of ours is left', async () => {
    const node = await startNode();
    const { networks } = configOf([node], { network: { probe: { interval: 100 } } });
    const script = `
      import fastify from 'fastify';
      import { rpcBalancer } from './src/index.ts';
      const app = fastify();
      await app.register(rpcBalancer, { config: ${JSON.stringify({ networks })} });
      await app.listen({ port: 0, host: '127.0.0.1' });
      await app.rpcBalancer.call('net', 'eth_gasPrice');
      await app.close();
      console.log('closed');
    `;
    const child = startProcess({
      command: process.execPath,
      args: ['--input-type=module', '--eval', script],
      cwd: inRepo('packages', 'gateway-plugin'),
    });
    onTestFinished(() => child.kill());
    await child.waitForOutput(/closed/);
    expect(await child.exited).toEqual({ code: 0, signal: null });
  });
});

describe('starting', () => {
  test('a gateway starts while nodes and Redis are down, says so, and recovers without a restart', async () => {
    const node = await startNode();
    await node.kill();
    const port = await freePort();
    const config = {
      ...configOf([node], { network: { maxFails: 1, failTimeout: 200 } }),
      redis: { url: `redis://127.0.0.1:${port}` },
    };
    const gateway = await startProgram(config);
    const client = clientOf(gateway.url);
    expect((await client.call('eth_gasPrice')).status).toBe(502);
    await waitFor(async () => (await gateway.ready()).body.status === 'degraded', {
      what: 'the loss of Redis to be told',
    });
    expect((await gateway.ready()).body.problems.join()).toContain(String(port));

    await node.restart();
    await waitFor(async () => (await client.call('eth_gasPrice')).status === 200, { what: 'an answer' });
    const redis = await startRedis({ port });
    onTestFinished(() => redis.stop());
    await waitFor(async () => (await gateway.status()).store.connected, {
      what: 'Redis to be reached',
      timeoutMs: 20_000,
    });
    expect((await gateway.ready()).body.problems).toEqual([]);
  });

  test('a gateway of its own probes its nodes and serves operators at the root', async () => {
    const [one, two] = await startNodes({ head: 100 }, { head: 90 });
    if (!one || !two) throw new Error('both were started');
    const gateway = await startProgram(configOf([one, two], { network: { probe: { interval: 100 } } }));
    const upstreams = async () => (await gateway.status()).networks.net.upstreams;
    await waitFor(async () => (await upstreams())[0].head === 100, { what: 'the first ranking' });
    expect((await gateway.ready()).statusCode).toBe(200);
    expect(await gateway.metrics()).toContain('rpc_balancer_requests_total');
    const health = await clientOf(gateway.url).send('/health', null, { verb: 'GET', headers: {} });
    expect(health.json).toMatchObject({ status: 'ok', version: expect.any(String) });
  });

  test('an unknown path is answered with the networks that there are', async () => {
    const gateway = await startProgram(configOf([await startNode()]));
    const client = clientOf(gateway.url);
    const { status, json } = await client.send('/', '{}');
    expect(status).toBe(404);
    expect(json.error).toMatchObject({ data: { code: 'RPCB_UNKNOWN_NETWORK', networks: ['net'] } });
    expect((await client.send('/other', null, { verb: 'PUT', headers: {} })).status).toBe(404);
  });

  test('a request id that is safe is kept, another is replaced', async () => {
    const node = await startNode();
    const { send } = clientOf((await startProgram(configOf([node]))).url);
    const ask = async (id: string) => {
      const headers = { 'content-type': 'application/json', 'x-request-id': id };
      return (await send('/net', '{"id":1,"method":"eth_gasPrice"}', { headers })).headers['x-request-id'];
    };
    expect(await ask('trace:1/a-b')).toBe('trace:1/a-b');
    expect(node.requests[0]?.headers['x-request-id']).toBe('trace:1/a-b');
    expect(await ask('no spaces, please')).toMatch(/^[0-9a-f-]{18}-[0-9a-z]+$/);
    expect(await ask('x'.repeat(129))).toMatch(/^[0-9a-f-]{18}-[0-9a-z]+$/);
  });
});

describe('checking', () => {
  const networks = { net: { upstreams: [{ id: 'a', url: `http://user:${SECRET}@127.0.0.1:1/key` }] } };

  test('a check prints the resolved configuration without its secrets and ends well', async () => {
    const checked = run('--config', configFile({ networks }), '--check');
    expect(await checked.exited).toEqual({ code: 0, signal: null });
    expect(JSON.parse(checked.stdout).networks.net).toMatchObject({ tries: 3, readTimeout: 10_000 });
    expect(checked.output).not.toContain(SECRET);
  });

  test('a bad configuration ends before anything is started, with every problem at once', async () => {
    const config = {
      gateway: { bodyLimt: '1mb' },
      networks: { net: { ...networks.net, tries: 0 }, health: networks.net },
    };
    const refused = run('--config', configFile(config));
    expect(await refused.exited).toEqual({ code: 2, signal: null });
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toMatch(/did you mean "bodyLimit"/);
    expect(refused.stderr).toMatch(/networks\.net\.tries/);
    expect(refused.stderr).toMatch(/networks\.health/);
    expect(refused.stderr).not.toContain(SECRET);
    expect(refused.stderr).not.toMatch(/ at .*\.ts:\d/);
  });

  test('wrong arguments end like a bad configuration and show the usage', async () => {
    const file = configFile({ networks });
    const text = join(temporaryDirectory(), 'config.yaml');
    writeFileSync(text, 'networks: [unclosed');
    const cases = [
      [],
      ['--config', join(temporaryDirectory(), 'missing.yaml')],
      ['--config', text],
      ['--config', file, '--port', '70000'],
      ['--config', file, '--port', 'x'],
      ['--config', file, '--verbose'],
    ];
    for (const args of cases) {
      const { exited, stderr } = await ended(run(...args));
      expect(exited.code, args.join(' ')).toBe(2);
      expect(stderr, args.join(' ')).toMatch(/usage:|cannot read|YAML/);
    }
  });

  async function ended(started: StartedProcess) {
    return { exited: await started.exited, stderr: started.stderr };
  }

  test('a port that is taken ends with its number', async () => {
    const node = await startNode();
    const taken = run('--config', configFile(configOf([node])), '--port', String(node.port));
    expect(await taken.exited).toEqual({ code: 1, signal: null });
    expect(taken.stderr).toContain(String(node.port));
  });
});
