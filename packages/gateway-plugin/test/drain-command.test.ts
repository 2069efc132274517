// `rpc-balancer-gateway drain` and `undrain`, as an operator types them.
import { expect, onTestFinished, test } from 'vitest';
import { configFile } from '../../../test/kit/paths.ts';
import { freePort } from '../../../test/kit/ports.ts';
import { startRedis } from '../../../test/kit/redis.ts';
import { gateway, run } from '../../../test/system/programs.ts';
import { configOf, startFront, startNodes } from './front.ts';

const TOKEN = 'token-of-the-operators';

async function drain(...args: readonly string[]) {
  const { code, output } = await run('gateway', args, { USER: 'anna' });
  return { code, output, answer: output.startsWith('{') ? JSON.parse(output) : null };
}

async function startEmbedded(admin: object = { admin: { token: TOKEN } }) {
  const port = await freePort();
  const config = configOf(await startNodes({}, {}), { gateway: { port, ...admin } });
  const { status, output, configPath } = await gateway({ config, port });
  const reasonOf = async () => (await status()).networks.net.upstreams[0].reason;
  return { path: configPath, port, reasonOf, output };
}

test('with Redis the program drains for the whole cluster, whether or not a gateway runs', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const nodes = await startNodes({}, {});
  const config = { ...configOf(nodes), redis: { url: redis.url } };
  const path = configFile(config);
  const { code, answer } = await drain('drain', 'net', 'a', '--config', path, '--reason', 'disk');
  expect({ code, answer }).toEqual({
    code: 0,
    answer: {
      ...{ network: 'net', upstream: 'a', drained: true, since: expect.any(Number) },
      ...{ by: 'anna', reason: 'disk', warning: null },
    },
  });
  const front = await startFront(nodes, { plugin: { config } });
  expect(front.upstream('a').drained).toMatchObject({ by: 'anna', reason: 'disk' });
  const last = await drain('drain', 'net', 'b', '--config', path, '--by', 'bert');
  expect(last.answer).toMatchObject({
    by: 'bert',
    warning: expect.stringMatching(/every upstream of "net"/),
  });
  await front.reason('b', 'drained');
  expect((await drain('undrain', 'net', 'a', '--config', path)).answer.drained).toBe(false);
  await front.reason('a', null);
});

test('with a Redis that is away the program says so and ends with an error', async () => {
  const port = await freePort();
  const path = configFile({ ...configOf(await startNodes({})), redis: { url: `redis://127.0.0.1:${port}` } });
  const { code, output } = await drain('drain', 'net', 'a', '--config', path);
  expect({ code, output }).toEqual({
    code: 1,
    output: expect.stringMatching(/store cannot be used: \S/),
  });
});

test('without Redis the program asks the running gateway', async () => {
  const { path, reasonOf } = await startEmbedded();
  expect(await drain('drain', 'net', 'a', '--config', path)).toMatchObject({
    code: 0,
    answer: { by: 'anna' },
  });
  expect(await reasonOf()).toBe('drained');
  expect(await drain('undrain', 'net', 'a', '--config', path)).toMatchObject({ code: 0 });
  expect(await reasonOf()).toBeNull();
});

test('without Redis the program says what is missing: the gateway, its token, or the right one', async () => {
  const { path, port } = await startEmbedded();
  const upstreams = [{ id: 'a', url: 'http://127.0.0.1:1' }];
  const fileOf = (gatewayOptions: object) =>
    configFile({ gateway: gatewayOptions, networks: { net: { upstreams } } });
  const [away, without, wrong] = await Promise.all([
    drain('drain', 'net', 'a', '--config', path, '--port', String(await freePort())),
    drain('drain', 'net', 'a', '--config', fileOf({ port })),
    drain('drain', 'net', 'a', '--config', fileOf({ port, admin: { token: `${TOKEN}-of-old` } })),
  ]);
  expect(away).toMatchObject({ code: 2, output: expect.stringMatching(/no gateway answers at .*start it/) });
  expect(without).toMatchObject({ code: 2, output: expect.stringMatching(/no gateway\.admin\.token/) });
  expect(wrong).toMatchObject({ code: 1, output: expect.stringMatching(/token is missing or wrong/) });
  for (const { output } of [away, without, wrong]) expect(output).not.toContain(TOKEN);
});

test.each([
  ['a network that is none', 1, /no such network: "nte"; the file has net/, ['drain', 'nte', 'a']],
  ['an upstream that is none', 1, /no such upstream.*"c"; "net" has a, b/, ['drain', 'net', 'c']],
  ['no upstream', 2, /upstream: .*usage:/, ['drain', 'net']],
  ['a word too many', 2, /unknown argument "b".*usage:/, ['drain', 'net', 'a', 'b']],
  ['another verb', 2, /unknown argument "drian".*usage:/, ['drian', 'net', 'a']],
  ['a reason for nothing', 2, /--reason goes with drain/, ['--reason', 'disk']],
])('the program refuses %s', async (_, code, problem, args) => {
  const upstreams = ['a', 'b'].map((id) => ({ id, url: 'http://127.0.0.1:1' }));
  const path = configFile({ networks: { net: { upstreams } } });
  const ran = await drain(...args, '--config', path);
  expect({ code: ran.code, output: ran.output.replaceAll('\n', ' ') }).toEqual({
    code,
    output: expect.stringMatching(problem),
  });
});
