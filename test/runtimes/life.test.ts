// A sidecar's life on each runtime and as a binary: TLS to Redis, a file that changes, a second sidecar, a stop.
import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeRanking, type Ranking } from '../../packages/shared/src/index.ts';
import { networkKeys } from '../../packages/shared/src/wire/keys.ts';
import { configFile } from '../kit/paths.ts';
import { startProcess } from '../kit/process.ts';
import type { RedisServer } from '../kit/redis.ts';
import { createAuthority } from '../kit/redis-tls.ts';
import type { Sidecar } from '../kit/sidecar.ts';
import { waitFor } from '../kit/wait.ts';
import { fakeNode, redisServer, sidecar } from '../system/programs.ts';
import { buildBinary, commandOf, FORMS } from './programs.ts';

const KEYS = networkKeys({ prefix: 'rpcb', clusterId: 'default' }, 'main');
const PASSWORD = 'hidden-password-0123';
const URL_KEY = 'hidden-key-4567';
const TOKEN = 'hidden-token-89ab';

/** A Redis that speaks TLS only, to clients with a certificate and the password. */
async function secureRedis() {
  const authority = await createAuthority();
  const [server, client] = await Promise.all([
    authority.issue('localhost', ['127.0.0.1']),
    authority.issue('sidecar'),
  ]);
  const redis = await redisServer({ tls: { ca: authority.cert, server }, requirepass: PASSWORD });
  const tls = { ca: authority.cert, cert: client.cert, key: client.key };
  return { redis, section: { url: redis.url, password: PASSWORD, tls } };
}

async function rankingIn(redis: RedisServer): Promise<Ranking> {
  const ranking = decodeRanking(String(await redis.cli('hget', KEYS.ranking, 'doc')));
  if ('invalid' in ranking) throw new Error(ranking.invalid);
  return ranking;
}

const ranked = (redis: RedisServer, what: string, isWanted: (ranking: Ranking) => boolean) =>
  waitFor(
    async () => {
      const ranking = await rankingIn(redis);
      return isWanted(ranking) ? ranking : Promise.reject(new Error(JSON.stringify(ranking)));
    },
    { what, timeoutMs: 20_000, everyMs: 25 },
  );

const reasonsIn = ({ upstreams }: Ranking) =>
  Object.fromEntries(upstreams.map(({ id, reason }) => [id, reason]));

const instanceOf = async (one: Sidecar): Promise<string> => (await one.status()).instance;

beforeAll(buildBinary);

describe.each(FORMS)('as %s', (form) => {
  async function start(networks: object, redis: object) {
    const configPath = configFile({ redis, sidecar: { leaseTtl: 60_000 }, networks });
    const command = commandOf(form, configPath);
    return { command, one: await sidecar({ config: configPath, command }) };
  }

  test(`a sidecar hands over on SIGTERM, over TLS with a client certificate, and is found well until then: ${form}`, async () => {
    const [{ redis, section }, node] = await Promise.all([secureRedis(), fakeNode()]);
    const probe = { interval: 200, timeout: 3000, attempts: 1 };
    const networks = { main: { probe, upstreams: [{ id: 'a', url: node.url }] } };
    const { command, one } = await start(networks, section);
    const first = await instanceOf(one);
    const { epoch } = await ranked(redis, 'the first', ({ publisher }) => publisher === first);
    const two = await sidecar({ config: one.configPath, command });
    const second = await instanceOf(two);
    expect((await two.status()).networks[0].state).toBe('waiting');

    const [program = '', ...leading] = command;
    const health = async () => {
      const args = [...leading, 'health', '--config', one.configPath, '--port', String(one.port)];
      const asked = startProcess({ command: program, args });
      const { code } = await asked.exited;
      return { code, output: asked.output };
    };
    expect(await health()).toEqual({ code: 0, output: 'ok\n' });
    // With a lease of a minute nobody takes over in time but from one that gives it back.
    expect(await one.stop()).toEqual({ code: 0, signal: null });
    const handed = await ranked(redis, 'the second', ({ publisher }) => publisher === second);
    expect(handed.epoch).toBeGreaterThan(epoch);
    const said = `nobody can be reached at http://127.0.0.1:${one.port}/health\n`;
    expect(await health()).toEqual({ code: 1, output: said });
  });

  test(`a sidecar takes on a changed file, refuses a wrong one, and tells no secret: ${form}`, async () => {
    const [redis, well, broken] = await Promise.all([
      redisServer({ requirepass: PASSWORD }),
      fakeNode(),
      fakeNode({ mode: 'http401' }),
    ]);
    const probe = { interval: 200, timeout: 3000, attempts: 1 };
    const a = { id: 'a', url: `${well.url}/${URL_KEY}`, headers: { authorization: `Bearer ${TOKEN}` } };
    const b = { id: 'b', url: `${broken.url}/${URL_KEY}` };
    const section = { url: redis.url.replace('//', `//:${PASSWORD}@`) };
    const { one } = await start({ main: { probe, upstreams: [a] } }, section);
    const before = await ranked(redis, 'a', (ranking) => reasonsIn(ranking).a === null);
    expect(well.requests[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);

    const write = (upstreams: readonly object[]) => {
      const config = { redis: section, sidecar: { leaseTtl: 60_000 } };
      writeFileSync(one.configPath, JSON.stringify({ ...config, networks: { main: { probe, upstreams } } }));
    };
    write([a, b]);
    const after = await ranked(redis, 'both', (ranking) => reasonsIn(ranking).b === 'unauthorized');
    expect(reasonsIn(after)).toEqual({ a: null, b: 'unauthorized' });
    expect(after.epoch).toBe(before.epoch);
    write([]);
    await one.process.waitForOutput(/the changed configuration was refused/);
    const { seq } = await rankingIn(redis);
    await ranked(redis, 'the old file to stay in force', (ranking) => ranking.seq > seq);
    // The same file once more, asked for by the signal.
    const refused = async () => Number(/result="refused"\} (\d+)/.exec(await one.metrics())?.[1]);
    const refusedBefore = await refused();
    one.process.kill('SIGHUP');
    await waitFor(async () => (await refused()) > refusedBefore, { what: 'SIGHUP to be followed' });

    const stored = [await redis.cli('hgetall', KEYS.ranking), await redis.cli('get', KEYS.lease)];
    const shown = [one.output, await one.metrics(), JSON.stringify([await one.status(), stored])].join('\n');
    for (const secret of [PASSWORD, URL_KEY, TOKEN]) expect(shown).not.toContain(secret);
    expect(await one.stop()).toEqual({ code: 0, signal: null });
  });
});
