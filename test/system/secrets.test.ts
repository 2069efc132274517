// Nothing that our programs emit holds a secret of the configuration, whatever nodes and clients do.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { parseConfig } from '@rpc-balancer/shared';
import { expect, onTestFinished, test } from 'vitest';
import { configFile, temporaryDirectory } from '../kit/paths.ts';
import { startProcess } from '../kit/process.ts';
import type { Program } from '../kit/program.ts';
import type { RedisServer } from '../kit/redis.ts';
import { waitFor } from '../kit/wait.ts';
import { callText, gateway, MAINS, run, sidecar } from './programs.ts';
import { MARK, plant } from './secret-plants.ts';

/** What was emitted, by where. */
type Emitted = [where: string, text: string][];

/** Where a secret stands, with what stands around it. */
function leaksIn(emitted: Emitted, furtherSecrets: readonly string[]): string[] {
  const wanted = [MARK, encodeURIComponent(MARK), ...furtherSecrets];
  return emitted.flatMap(([where, text]) =>
    wanted.flatMap((secret) => {
      const at = text.toLowerCase().indexOf(secret.toLowerCase());
      return at === -1 ? [] : [`${where}: …${text.slice(Math.max(0, at - 120), at + 60)}…`];
    }),
  );
}

const BODIES = {
  read: callText('eth_getBalance', ['0x00000000000000000000000000000000000000aa', 'latest']),
  write: callText('eth_sendRawTransaction', ['0x01']),
  unknown: callText('custom_method'),
  batch: `[${callText('eth_gasPrice')},${callText('eth_sendRawTransaction', ['0x02'])},7]`,
  'no JSON': '{"jsonrpc":"2.0","method":',
  'no request': '{"jsonrpc":"2.0","id":1}',
  'an empty batch': '[]',
} as const;

async function emittedTo(url: string, init: RequestInit): Promise<string> {
  const response = await fetch(url, init);
  const headers = JSON.stringify([...response.headers]);
  return `${response.status} ${headers} ${await response.text()}`;
}

async function answersOf(front: Program): Promise<Emitted> {
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${MARK}ofclient`,
    cookie: `session=${MARK}ofclient`,
  };
  const asked = ['main', 'dark', 'main/sub', `nowhere/${MARK}ofclient`].flatMap((path) =>
    Object.entries(BODIES).map(async ([what, body]): Promise<[string, string]> => {
      const text = await emittedTo(`${front.url}/${path}`, { method: 'POST', headers, body });
      return [`the answer to ${what} at ${path}`, text];
    }),
  );
  const others: [string, RequestInit][] = [
    ['main', { method: 'POST', headers: { ...headers, 'content-type': 'text/plain' }, body: '{}' }],
    ['main', { headers }],
    [`main/..%2f${MARK}ofclient`, { method: 'POST', headers, body: BODIES.read }],
    [`ready/${MARK}ofclient`, { headers }],
    ['main', { method: 'PUT', headers, body: '{}' }],
  ];
  const more = others.map(async ([path, init]): Promise<[string, string]> => {
    return [`the answer to ${init.method ?? 'GET'} ${path}`, await emittedTo(`${front.url}/${path}`, init)];
  });
  // What a client gives away itself may be named in the answer to it, as an unknown network is.
  return (await Promise.all([...asked, ...more])).map(([where, text]) => [
    where.replaceAll(MARK, ''),
    text.replaceAll(`${MARK}ofclient`, 'ofclient'),
  ]);
}

async function pagesOf(name: string, program: Program): Promise<Emitted> {
  const paths = ['health', 'ready', 'status', 'metrics', 'ready/main', 'ready/dark'];
  return Promise.all(
    paths.map(async (path) => [`${name} /${path}`, await emittedTo(`${program.url}/${path}`, {})]),
  );
}

/** How what is not a text is read, by its type in Redis. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  hash: ['hgetall'],
  zset: ['zrange', '0', '-1'],
  stream: ['xrange', '-', '+'],
};

async function keptIn(redis: RedisServer): Promise<Emitted> {
  const keys = (await redis.cli('keys', '*')) as string[]; // KEYS answers a list of texts.
  const values = keys.map(async (key): Promise<[string, string]> => {
    const type = String(await redis.cli('type', key));
    const [command = 'get', ...range] = COMMANDS[type] ?? [];
    const value = await redis.cli(command, key, ...range);
    return [`Redis ${type} ${key}`, JSON.stringify([key, value, await redis.cli('dump', key)])];
  });
  return Promise.all(values);
}

/** What the sidecar that publishes says of the upstreams of both networks, once each has been found wanting. */
async function detailsOf(one: Program): Promise<string> {
  return waitFor(
    async () => {
      const { networks } = await one.status();
      const upstreams = networks.flatMap((network: { upstreams: object[] }) => network.upstreams);
      const found = upstreams.filter((each: { id: string; detail: unknown }) => each.detail !== null);
      return found.length >= 14 && JSON.stringify(found);
    },
    { what: 'details of failed probes', timeoutMs: 20_000 },
  );
}

test('no secret of the configuration is in logs, metrics, status, answers or Redis', {
  timeout: 120_000,
}, async () => {
  const { redis, configs, env, well, echoes, badKey, wrongPassword, wrongTls, furtherSecrets } =
    await plant();
  const [first, second] = await Promise.all(configs.map((config) => gateway({ config, env })));
  const one = await sidecar({ config: configs[0], env });
  const emitted: Emitted = [];
  const gateways = { 'gateway 1': first, 'gateway 2': second } as Record<string, Program>; // Two were started.

  emitted.push(['sidecar 1 details', await detailsOf(one)]);
  const two = await sidecar({ config: configs[1], env, runtime: 'bun' });
  const look = async (name: string, program: Program) => emitted.push(...(await pagesOf(name, program)));
  for (const [name, program] of Object.entries(gateways)) {
    await waitFor(async () => (await program.status()).networks.dark.ranking !== null, { what: 'a ranking' });
    emitted.push(...(await answersOf(program)));
    await look(name, program);
  }
  await look('sidecar 1', one);
  await one.stop();
  emitted.push(['sidecar 2 details', await detailsOf(two)]);
  await look('sidecar 2', two);
  emitted.push(...(await keptIn(redis)));

  const refused = await gateway({ config: wrongPassword, env });
  await refused.process.waitForOutput(/refuses the credentials/);
  await look('the gateway with a wrong password', refused);
  const strange = await sidecar({ config: wrongTls, env });
  await strange.process.waitForOutput(/the store has a problem/);
  await look('the sidecar with TLS where there is none', strange);

  // Whether such a gateway starts is not the question here.
  const args = [MAINS.gateway, '--config', configFile(badKey), '--port', '0'];
  const unreadable = startProcess({ command: process.execPath, args, env });
  onTestFinished(() => unreadable.kill());
  await unreadable.waitForOutput(/listening|not valid/);
  await unreadable.stop();
  emitted.push(['the output of a gateway with a bad key', unreadable.output]);
  const reading = await sidecar({ config: badKey, env });
  const hasProbed = async () => JSON.stringify(await reading.status()).includes('"pem"');
  await waitFor(hasProbed, { what: 'a probe with a bad key' });
  await look('the sidecar with a bad key', reading);

  const programs = { ...gateways, 'sidecar 1': one, 'sidecar 2': two, refused, strange, reading };
  for (const program of Object.values(programs)) await program.stop();
  for (const [name, { output }] of Object.entries(programs)) emitted.push([`the output of ${name}`, output]);

  // The secrets did travel to where they belong, and came back from there.
  const authorization = well.requests.map(({ headers }) => headers.authorization);
  expect(authorization).toContain(`Basic ${Buffer.from(`${MARK}user:${MARK}info@pw`).toString('base64')}`);
  for (const { requests } of echoes) {
    const asked = requests.filter(({ methods }) => methods.includes('eth_getBalance'));
    expect(JSON.stringify(asked)).toMatch(new RegExp(`${MARK}|Basic `));
  }
  const keys = emitted.filter(([where]) => where.startsWith('Redis')).map(([where]) => where);
  expect(keys.length).toBeGreaterThanOrEqual(6);
  const answered = emitted.find(([where]) => where === 'the answer to read at main')?.[1];
  expect(answered).toMatch(/^200 .*"result":"0x/);
  expect(emitted.find(([where]) => where === 'the answer to read at dark')?.[1]).toMatch(/^50[23] /);

  expect(leaksIn([['control', `a ${MARK}x b`]], [])).toHaveLength(2);
  expect(leaksIn(emitted, furtherSecrets)).toEqual([]);
});

const UPSTREAM = (rest: string) => `networks: { main: { upstreams: [{ id: a, ${rest} }] } }\n`;
const GOOD = UPSTREAM('url: "http://127.0.0.1:1"');

/** Files with a mistake at or beside a secret. */
const MISTAKES: Readonly<Record<string, string>> = {
  'a wrong scheme': UPSTREAM(`url: "ftp://u:${MARK}x@127.0.0.1/${MARK}y"`),
  'no scheme': UPSTREAM(`url: "${MARK}x"`),
  'a URL with a fragment': UPSTREAM(`url: "http://u:${MARK}x@127.0.0.1/#${MARK}y"`),
  'a URL as a list': UPSTREAM(`url: ["http://${MARK}x@127.0.0.1"]`),
  'a URL as a key': UPSTREAM(`"http://u:${MARK}x@127.0.0.1/${MARK}y"`),
  'a URL as the id': `networks: { main: { upstreams: [{ id: "http://${MARK}x@a", url: "http://a" }] } }\n`,
  'a URL as the network': `networks: { "http://${MARK}x@a/": { upstreams: [] } }\n`,
  'a header of two lines': UPSTREAM(`url: "http://a", headers: { a: "Bearer ${MARK}x\\ny" }`),
  'headers as a text': UPSTREAM(`url: "http://a", headers: "authorization: Bearer ${MARK}x"`),
  'a header without its colon': UPSTREAM(`url: "http://a", headers: { "authorization Bearer ${MARK}x" }`),
  'a key that is no PEM': UPSTREAM(`url: "http://a", tls: { cert: "${MARK}x", key: "${MARK}y" }`),
  'an unknown key beside it': UPSTREAM(`url: "http://${MARK}x@a/", token: "${MARK}y"`),
  'a list as the password': `redis: { url: "redis://a", password: ["${MARK}x"] }\n${GOOD}`,
  'a slash in the password': `redis: { url: "redis://:${MARK}x/y@a:1" }\n${GOOD}`,
  'a Redis as a text': `redis: "redis://:${MARK}x@a"\n${GOOD}`,
  'a broken quote': `redis: { url: "redis://:${MARK}x@a }\n${GOOD}`,
  'a tab and a bad alias': `redis:\n\turl: *${MARK}x\n${GOOD}`,
  'a variable as the host': `gateway: { port: "\${PLANTED}" }\n${GOOD}`,
  'a variable as the prefix': `redis: { url: "redis://a", prefix: "\${PLANTED}!" }\n${GOOD}`,
  'a variable as the id': `networks: { main: { upstreams: [{ id: "\${PLANTED}!", url: "http://a" }] } }\n`,
  'a default that is not used': UPSTREAM(`url: "\${PLANTED:-http://${MARK}x@a}"`),
};

test('no message about a bad configuration repeats a secret', () => {
  const env = { PLANTED: `${MARK}planted-value` };
  const told = Object.entries(MISTAKES).map(([what, text]): [string, string] => {
    try {
      parseConfig(text, { env, readFile: () => '' });
    } catch (error) {
      return [what, inspect(error, { depth: 10, showHidden: true })];
    }
    throw new Error(`${what} is taken for a good configuration`);
  });
  expect(leaksIn(told, [])).toEqual([]);
});

test('both programs tell all mistakes of a file without its secrets, and end', {
  timeout: 60_000,
}, async () => {
  const mistakes = [
    'an unknown key beside it',
    'a URL as a key',
    'a key that is no PEM',
    'a header of two lines',
  ];
  const networks = mistakes.map((what, at) => `n${at}: ${/main: (.*) }\n$/.exec(MISTAKES[what] ?? '')?.[1]}`);
  const file = join(temporaryDirectory(), 'bad.yaml');
  writeFileSync(file, `networks: { ${networks.join(', ')} }\n`);
  const runs = (['gateway', 'sidecar'] as const).flatMap((program) =>
    [['--check'], []].map((more) => run(program, ['--config', file, ...more])),
  );
  for (const { code, output } of await Promise.all(runs)) {
    expect(code).toBe(2);
    for (const at of mistakes.keys()) expect(output).toContain(`networks.n${at}.upstreams[0]`);
    expect(leaksIn([['output', output]], [])).toEqual([]);
  }
});

test('what --check prints of a good configuration has no secrets', { timeout: 60_000 }, async () => {
  const { configs, wrongTls, env, furtherSecrets } = await plant();
  const files = [...configs, wrongTls].map(configFile);
  const runs = files.flatMap((file) =>
    (['gateway', 'sidecar'] as const).map(async (program): Promise<[string, string]> => {
      const { code, output } = await run(program, ['--config', file, '--check'], env);
      expect(code).toBe(0);
      return [program, output];
    }),
  );
  const emitted = await Promise.all(runs);
  for (const [, output] of emitted) expect(output).toContain('***');
  expect(leaksIn(emitted, furtherSecrets)).toEqual([]);
});
