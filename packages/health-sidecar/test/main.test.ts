// Decides: whether the program keeps its word to shells and supervisors, with real processes and a real Redis.

import { describe, expect, onTestFinished, test } from 'vitest';
import { type FakeNodeOptions, startFakeNode } from '../../../test/kit/fake-node.ts';
import { configFile, inRepo } from '../../../test/kit/paths.ts';
import { freePort } from '../../../test/kit/ports.ts';
import { startProcess } from '../../../test/kit/process.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import { type Sidecar, type SidecarOptions, startSidecarProcess } from '../../../test/kit/sidecar.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { networkKeys } from '../../shared/src/wire/keys.ts';

const RANKING = networkKeys({ prefix: 'rpcb', clusterId: 'default' }, 'main').ranking;

async function redisServer(options: RedisOptions = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  onTestFinished(async () => {
    await redis.resume();
    await redis.stop();
  });
  return redis;
}

async function nodeUrl(options: FakeNodeOptions = {}): Promise<string> {
  const node = await startFakeNode(options);
  onTestFinished(() => node.stop());
  return node.url;
}

async function sidecar(options: SidecarOptions): Promise<Sidecar> {
  const started = await startSidecarProcess(options);
  onTestFinished(async () => {
    if (!started.process.running) return;
    started.process.kill('SIGCONT');
    await started.kill();
  });
  return started;
}

function configOf(redis: object | undefined, url: string, leaseTtl: number | string = 1000): object {
  const probe = { interval: 200, timeout: 5000, attempts: 1 }; // With patience on a busy machine.
  const networks = { main: { probe, upstreams: [{ id: 'a', url }] } };
  return { ...(redis && { redis }), sidecar: { leaseTtl }, networks };
}

const holds = async (one: Sidecar): Promise<boolean> => (await one.status()).networks[0].state === 'holder';
const holding = (one: Sidecar) => waitFor(() => holds(one), { what: 'the lease' });

async function run(...args: string[]) {
  const main = inRepo('packages', 'health-sidecar', 'src', 'main.ts');
  const started = startProcess({ command: process.execPath, args: [main, ...args] });
  const { code } = await started.exited;
  return { code, stdout: started.stdout, stderr: started.stderr };
}

describe('the command line', () => {
  const secret = 'http://user:hunter22@127.0.0.1:1/v3/0123456789abcdef?key=hidden99';

  test('--check prints the resolved configuration without secrets', async () => {
    const redis = { url: 'redis://:hunter33@127.0.0.1:1' };
    const { code, stdout } = await run('--config', configFile(configOf(redis, secret)), '--check');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ sidecar: { leaseTtl: 1000, rankingMaxAge: 30_000 } });
    expect(stdout).not.toMatch(/hunter|0123456789abcdef|hidden99/);
  });

  test('SQ-28: a bad configuration ends with all its problems, each bad duration among them, before anything is started', async () => {
    const probe = { interval: '0s', timeout: 'soon', attempts: 0 };
    const main = { probs: {}, probe, failTimeout: '-5s', upstreams: [{ id: 'a', url: 'nowhere' }] };
    const { code, stderr, stdout } = await run('--config', configFile({ networks: { main } }));
    expect(code).toBe(2);
    expect(stderr).toMatch(/networks\.main\.probe\.interval: expected a duration from 100 ms .* got 0 ms/);
    expect(stderr).toMatch(/networks\.main\.probe\.timeout: expected a duration, got "soon"; write 500ms/);
    expect(stderr).toMatch(/networks\.main\.failTimeout: expected a duration, got "-5s"/);
    expect(stderr).toMatch(/networks\.main\.probe\.attempts: .* from 1 to 10/);
    expect(stderr).toMatch(/networks\.main\.upstreams\[0\]\.url/);
    expect(stderr).toMatch(/unknown key "probs"; did you mean "probe"/);
    expect(stdout).toBe('');
  });

  test('without redis it says that embedded mode needs no sidecar', async () => {
    const { code, stderr } = await run('--config', configFile(configOf(undefined, secret)));
    expect(code).toBe(2);
    expect(stderr).toMatch(/embedded mode/);
    expect(stderr).not.toMatch(/hunter|0123456789abcdef|hidden99/);
  });

  test.each([
    { name: 'no file', args: [], says: /--config is missing/ },
    {
      name: 'a file that is not there',
      args: ['--config', 'nothing.yaml'],
      says: /nothing\.yaml: cannot be read/,
    },
    { name: 'an unknown option', args: ['--confg', 'x'], says: /--confg/ },
    { name: 'a port that is none', args: ['--config', 'x', '--port', 'http'], says: /--port/ },
  ])('$name is refused with the usage', async ({ args, says }) => {
    const { code, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
  });

  test('a port that is taken is told, and the lease is not kept', async () => {
    const redis = await redisServer();
    const url = await nodeUrl();
    const one = await sidecar({ config: configOf({ url: redis.url }, url) });
    const { code, stdout } = await run('--config', one.configPath, '--port', String(one.port));
    expect(code).toBe(1);
    expect(stdout).toMatch(/cannot listen on 127\.0\.0\.1/);
  });
});

describe('Redis', () => {
  test('out of reach at the start is not fatal: degraded, until it is there', async () => {
    const port = await freePort();
    const one = await sidecar({ config: configOf({ url: `redis://127.0.0.1:${port}` }, await nodeUrl()) });
    const degraded = await waitFor(
      async () => {
        const ready = await one.ready();
        return ready.body.status === 'degraded' && ready.body.problems[0]?.includes(String(port)) && ready;
      },
      { what: 'the problem' },
    );
    expect(degraded.statusCode).toBe(200);
    await redisServer({ port });
    await holding(one);
    expect((await one.ready()).body).toMatchObject({ status: 'ok', problems: [] });
  });

  test('with another password is told without the password', async () => {
    const redis = await redisServer({ requirepass: 'the-right-one' });
    const url = redis.url.replace('//', '//:the-wrong-one@');
    const one = await sidecar({ config: configOf({ url }, await nodeUrl()) });
    await waitFor(async () => /password/i.test(JSON.stringify((await one.ready()).body)), {
      what: 'the problem',
    });
    await one.process.waitForOutput(/the store has a problem/);
    const shown = [one.output, JSON.stringify(await one.status()), await one.metrics()].join('\n');
    expect(shown).not.toMatch(/the-right-one|the-wrong-one/);
    expect(await one.metrics()).toContain('rpc_balancer_sidecar_store_connected 0');
  });

  test('that dies and comes back without its data gets a ranking with a higher epoch', async () => {
    const redis = await redisServer();
    const one = await sidecar({ config: configOf({ url: redis.url }, await nodeUrl()) });
    await holding(one);
    const before = (await one.status()).networks[0].epoch;
    await redis.kill();
    await waitFor(async () => !(await holds(one)), { what: 'the loss' });
    await redis.restart();
    await waitFor(async () => (await one.status()).networks[0].epoch > before, { what: 'the next epoch' });
    await waitFor(() => redis.cli('exists', RANKING), { what: 'the ranking' });
  });

  test('that was flushed gets its ranking back with a higher epoch', async () => {
    const redis = await redisServer();
    const one = await sidecar({ config: configOf({ url: redis.url }, await nodeUrl()) });
    await holding(one);
    const before = (await one.status()).networks[0].epoch;
    await redis.cli('flushall');
    await waitFor(async () => (await one.status()).networks[0].epoch > before, { what: 'the next epoch' });
    await waitFor(() => redis.cli('exists', RANKING), { what: 'the ranking' });
  });
});

describe('two sidecars', () => {
  test('hand over at once when one is told to stop, which ends with 0', async () => {
    const redis = await redisServer();
    // Far longer than is waited below, also for the next question by itself.
    const config = configOf({ url: redis.url }, await nodeUrl(), '5m');
    const one = await sidecar({ config });
    await holding(one);
    const two = await sidecar({ config });
    const before = (await one.status()).networks[0].epoch;
    const exit = one.stop();
    await holding(two);
    expect(await exit).toEqual({ code: 0, signal: null });
    expect((await two.status()).networks[0].epoch).toBeGreaterThan(before);
  });

  test('take over when one is killed', async () => {
    const redis = await redisServer();
    const config = configOf({ url: redis.url }, await nodeUrl());
    const one = await sidecar({ config });
    await holding(one);
    const two = await sidecar({ config });
    await one.kill();
    await holding(two);
  });

  test('never publish backwards when one was paused for longer than its lease', async () => {
    const redis = await redisServer();
    // Longer than a busy machine halts the one that takes over, which would lose its lease again.
    const config = configOf({ url: redis.url }, await nodeUrl(), '4s');
    const one = await sidecar({ config });
    await holding(one);
    const two = await sidecar({ config });
    one.process.kill('SIGSTOP');
    await holding(two);
    const { epoch } = (await two.status()).networks[0];
    one.process.kill('SIGCONT');
    await waitFor(async () => (await one.status()).networks[0].state === 'waiting', {
      what: 'the paused one to stop',
    });
    await waitFor(async () => (await two.status()).networks[0].seq > 10, { what: 'more rankings' });
    expect((await two.status()).networks[0]).toMatchObject({ state: 'holder', epoch });
  });
});

test('a second signal ends it at once with 1', async () => {
  const redis = await redisServer();
  const one = await sidecar({ config: configOf({ url: redis.url }, await nodeUrl()) });
  await holding(one);
  await redis.pause();
  one.process.kill('SIGTERM');
  await one.process.waitForOutput(/a second signal ends it/);
  one.process.kill('SIGTERM');
  expect(await one.process.exited).toEqual({ code: 1, signal: null });
});

test('the routes are those of design 4 and nothing is proxied', async () => {
  const redis = await redisServer();
  const one = await sidecar({ config: configOf({ url: redis.url }, await nodeUrl()) });
  await holding(one);
  const health = { status: 'ok', version: expect.any(String), instance: expect.any(String) };
  for (const path of ['/health', '/api/health']) {
    const body = await (await fetch(`${one.url}${path}`)).json();
    expect(body).toMatchObject({ ...health, timestamp: expect.any(String), uptime: expect.any(Number) });
  }
  for (const path of ['/', '/rpc', '/main']) {
    const init = { method: 'POST', body: '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}' };
    expect((await fetch(`${one.url}${path}`, init)).status).toBe(404);
    expect((await fetch(`${one.url}${path}`)).status).toBe(404);
  }
});
