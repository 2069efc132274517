// What is wrong with a Redis is said with the setting that mends it, and mends by itself when the cause is gone.
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { inRepo } from '../../../test/kit/paths.ts';
import { freePort } from '../../../test/kit/ports.ts';
import { startProcess } from '../../../test/kit/process.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import { createAuthority } from '../../../test/kit/redis-tls.ts';
import { startRedisCluster, startSentinel } from '../../../test/kit/redis-topologies.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import type { Store, StoreEvent } from '../src/index.ts';
import { openStoreForTest } from './redis-stores.ts';

const SECRET = 's3cret-word';
const WRONG = 'wr0ng-word';
const USER = `anna on >${SECRET} ~* &* +@all`;

/** The command timeout, and what a busy machine adds. */
const ANSWER_MS = 1500;

const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
beforeAll(() => {
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
});
afterEach(() => expect(unhandled).toEqual([]));
afterAll(() => {
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
});

async function start(options: RedisOptions = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.stop());
  return server;
}

/** The problem that the store finds; checks that calls fail with it in time, and that nothing secret is shown. */
async function problemOf(store: Store): Promise<string> {
  const down = () => !store.health().connected && store.health().problem;
  const problem = await waitFor(down, { what: 'a problem' });
  const startedAt = performance.now();
  const error: unknown = await store.readRanking('main').catch((reason: unknown) => reason);
  expect(performance.now() - startedAt).toBeLessThan(ANSWER_MS);
  expect(error).toMatchObject({ name: 'BalancerError', code: 'RPCB_STORE' });
  const shown = inspect(error, { depth: 10, showHidden: true }) + problem;
  expect(shown).not.toContain(SECRET);
  expect(shown).not.toContain(WRONG);
  return problem;
}

async function expectRecovery(store: Store): Promise<void> {
  const well = () => store.health().connected && store.health().problem === null;
  await waitFor(well, { what: 'the recovery' });
  expect(await store.readRanking('main')).toBeNull();
}

describe('a problem names the setting, and ends with its cause', () => {
  test('wrong password', async () => {
    const server = await start({ requirepass: SECRET });
    const store = openStoreForTest({ url: server.url, password: WRONG });
    expect(await problemOf(store)).toBe(
      `redis://127.0.0.1:${server.port} refuses the credentials; change redis.password or redis.username, or enable that user`,
    );
    await server.cli('config', 'set', 'requirepass', WRONG);
    await expectRecovery(store);
  });

  test('wrong password in the URL', async () => {
    const server = await start({ requirepass: SECRET });
    const store = openStoreForTest({ url: server.url.replace('://', `://:${WRONG}@`) });
    expect(await problemOf(store)).toContain('redis.password');
  });

  test('missing password', async () => {
    const server = await start({ requirepass: SECRET });
    const store = openStoreForTest({ url: server.url });
    expect(await problemOf(store)).toMatch(/wants a password; set redis\.password/);
    await server.cli('config', 'set', 'requirepass', '');
    await expectRecovery(store);
  });

  test('unknown user', async () => {
    const server = await start();
    const store = openStoreForTest({ url: server.url, username: 'anna', password: SECRET });
    expect(await problemOf(store)).toMatch(/redis\.username/);
    await server.cli('acl', 'setuser', ...USER.split(' '));
    await expectRecovery(store);
  });

  test('nobody listens', async () => {
    const port = await freePort();
    const store = openStoreForTest({ url: `redis://127.0.0.1:${port}`, password: SECRET });
    expect(await problemOf(store)).toBe(
      `nothing can be reached at redis://127.0.0.1:${port}; start the server or change redis.url`,
    );
    await start({ port, requirepass: SECRET });
    await expectRecovery(store);
  });

  test('no such host', async () => {
    const store = openStoreForTest({ url: 'redis://redis.invalid:6379' });
    expect(await problemOf(store)).toMatch(/cannot be resolved; change redis\.url/);
  });

  test('no such socket', async () => {
    const server = await start();
    const store = openStoreForTest({ url: `unix://${server.dir}/absent.sock` });
    expect(await problemOf(store)).toMatch(/nothing can be reached at unix:.*redis\.url/);
  });

  test('no Redis answers there', async () => {
    const web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((listening) => web.listen(0, '127.0.0.1', listening));
    onTestFinished(() => void web.close());
    const address = web.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const store = openStoreForTest({ url: `redis://127.0.0.1:${port}` });
    expect(await problemOf(store)).toMatch(/is not a Redis.*change redis\.url/);
  });

  test('a server that accepts and says nothing', async () => {
    const server = await start();
    await server.pause();
    const store = openStoreForTest({ url: server.url });
    expect(await problemOf(store)).toMatch(/does not answer in time.*redis\.url/);
    await server.resume();
    await expectRecovery(store);
  });

  test('a Redis Cluster that is not one', async () => {
    const server = await start();
    const store = openStoreForTest({ cluster: [`127.0.0.1:${server.port}`] });
    expect(await problemOf(store)).toMatch(/no Redis Cluster; use redis\.url/);
  });

  test('a Sentinel that does not know the name', async () => {
    const master = await start();
    const sentinel = await startSentinel({ master, name: 'main' });
    onTestFinished(() => sentinel.stop());
    const store = openStoreForTest({ sentinels: [sentinel.address], name: 'other' });
    expect(await problemOf(store)).toMatch(/no master of this name; change redis\.name/);
  });

  test('Sentinels that are not there', async () => {
    const store = openStoreForTest({ sentinels: [`127.0.0.1:${await freePort()}`], name: 'main' });
    expect(await problemOf(store)).toMatch(/nothing can be reached.*redis\.sentinels/);
  });

  test('a node of a Redis Cluster named by its URL', async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const store = openStoreForTest({ url: cluster.nodes[0]?.url });
    const networks = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const answers = await Promise.allSettled(networks.map((network) => store.readRanking(network)));
    const refusals = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [String(answer.reason)] : [],
    );
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) expect(refusal).toMatch(/use redis\.cluster instead of redis\.url/);
  });

  test('a user who may not run scripts: the connection is good, the step is not', async () => {
    const server = await start({ aclUsers: [`${USER} -eval`] });
    const store = openStoreForTest({ url: server.url, username: 'anna', password: SECRET });
    await expect(store.acquire('main', 'anna', 1000)).rejects.toThrow(/ACL of redis\.username/);
    expect(store.health()).toMatchObject({
      connected: true,
      problem: expect.stringContaining('redis.username'),
    });
    expect(await store.readRanking('main')).toBeNull();
    expect(store.health().problem).not.toBeNull();
    await server.cli('acl', 'setuser', 'anna', '+eval');
    expect(await store.acquire('main', 'anna', 1000)).not.toBeNull();
    expect(store.health().problem).toBeNull();
  });

  test('a user who may not hear the channel: commands work, the problem is shown', async () => {
    const server = await start({ aclUsers: [`anna on >${SECRET} ~* resetchannels +@all`] });
    const store = openStoreForTest({ url: server.url, username: 'anna', password: SECRET });
    expect(await store.readRanking('main')).toBeNull();
    expect(await waitFor(() => store.health().problem, { what: 'a problem' })).toMatch(/events channel/);
    expect(store.health().connected).toBe(true);
    await server.cli('acl', 'setuser', 'anna', '&*');
    await waitFor(() => store.health().problem === null, { what: 'the channel to be permitted' });
  });

  test('a read-only replica', async () => {
    const master = await start();
    const replica = await start({ args: ['--replicaof', '127.0.0.1', String(master.port)] });
    const store = openStoreForTest({ url: replica.url });
    await waitFor(async () => (await store.readRanking('main')) === null, { what: 'the replica' });
    await expect(store.acquire('main', 'anna', 1000)).rejects.toThrow(/read-only replica; change redis\.url/);
    await replica.cli('replicaof', 'no', 'one');
    await waitFor(() => store.acquire('main', 'anna', 1000), { what: 'a lease' });
  });
});

describe('over TLS', () => {
  test('a certificate of another name is refused until the right one is shown', async () => {
    const authority = await createAuthority();
    const options = { clientCertificate: false, ca: authority.cert };
    const first = await start({ tls: { ...options, server: await authority.issue('other.test') } });
    const tls = { ca: authority.cert, servername: 'redis.test' };
    const store = openStoreForTest({ url: first.url, tls });
    expect(await problemOf(store)).toMatch(/for another name; change redis\.tls\.servername/);
    await first.kill();
    await start({ port: first.port, tls: { ...options, server: await authority.issue('redis.test') } });
    await expectRecovery(store);
  });

  test.each([
    ['of an unknown authority', async () => ({ ca: (await createAuthority('another')).cert })],
    ['of no authority that the system knows', async () => undefined],
  ])('a certificate %s is refused, whatever the environment allows', async (_, trusted) => {
    const authority = await createAuthority();
    const server = await authority.issue('localhost', ['127.0.0.1']);
    const redis = await start({ tls: { ca: authority.cert, server, clientCertificate: false } });
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    onTestFinished(() => {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    });
    const tls = await trusted();
    const store = openStoreForTest({ url: redis.url, ...(tls && { tls }) });
    expect(await problemOf(store)).toMatch(/unknown authority; set redis\.tls\.ca/);
  });

  test('a server that wants a client certificate says so', async () => {
    const authority = await createAuthority();
    const server = await authority.issue('localhost', ['127.0.0.1']);
    const redis = await start({ tls: { ca: authority.cert, server } });
    const store = openStoreForTest({ url: redis.url, tls: { ca: authority.cert } });
    expect(await problemOf(store)).toMatch(/redis\.tls\.cert and redis\.tls\.key/);
  });

  test('TLS towards a plain port, and the reverse', async () => {
    const authority = await createAuthority();
    const server = await authority.issue('localhost', ['127.0.0.1']);
    const plain = await start();
    const secure = await start({ tls: { ca: authority.cert, server } });
    const towardsPlain = openStoreForTest({ url: plain.url.replace('redis:', 'rediss:') });
    expect(await problemOf(towardsPlain)).toMatch(/redis\.url \(a plain port says nothing to rediss/);
    const towardsSecure = openStoreForTest({ url: secure.url.replace('rediss:', 'redis:') });
    expect(await problemOf(towardsSecure)).toMatch(/redis\.url.*rediss/);
  });
});

describe('a connection that was good', () => {
  function watch(store: Store): { events: (StoreEvent | null)[]; changes: string[] } {
    const watched = { events: [] as (StoreEvent | null)[], changes: [] as string[] };
    store.subscribe((event) => watched.events.push(event));
    store.onHealth(({ connected, problem }) => watched.changes.push(`${connected} ${problem}`));
    return watched;
  }
  const nulls = (events: readonly unknown[]) => events.filter((event) => event === null).length;

  test('is made anew without a word when the server closes it for being idle', async () => {
    const server = await start({ args: ['--timeout', '1'] });
    const store = openStoreForTest({ url: server.url });
    const { events, changes } = watch(store);
    await waitFor(() => nulls(events) === 1, { what: 'the subscription' });
    const connections = async () =>
      Number(/total_connections_received:(\d+)/.exec(String(await server.cli('info', 'stats')))?.[1]);
    const own = async () =>
      String(await server.cli('client', 'list', 'type', 'normal')).includes(' name=rpc-balancer ');
    const before = await connections();
    await waitFor(async () => !(await own()), { what: 'the idle close', everyMs: 5 });
    expect(await store.readRanking('main')).toBeNull();
    expect(await connections()).toBeGreaterThan(before);
    expect(changes).toEqual(['true null']);
    expect(nulls(events)).toBe(1);
  });

  test('is made anew after CLIENT KILL, and says that events may have been missed', async () => {
    const server = await start();
    const store = openStoreForTest({ url: server.url });
    const { events, changes } = watch(store);
    await waitFor(() => nulls(events) === 1, { what: 'the subscription' });
    await server.cli('client', 'kill', 'type', 'pubsub');
    await server.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
    expect(await store.acquire('main', 'anna', 60_000)).not.toBeNull();
    await waitFor(() => nulls(events) === 2, { what: 'the new subscription' });
    expect(changes).toEqual(['true null']);
  });

  test('comes back after a restart, with calls refused at once in between', async () => {
    const server = await start();
    const store = openStoreForTest({ url: server.url });
    const { events } = watch(store);
    await waitFor(() => nulls(events) === 1, { what: 'the subscription' });
    await server.kill();
    expect(await problemOf(store)).toMatch(/start the server/);
    const startedAt = performance.now();
    await expect(store.readRanking('main')).rejects.toMatchObject({ code: 'RPCB_STORE' });
    expect(performance.now() - startedAt).toBeLessThan(100);
    await server.restart();
    await expectRecovery(store);
    await waitFor(() => nulls(events) === 2, { what: 'the new subscription' });
    const lease = await store.acquire('main', 'anna', 60_000);
    if (lease) await store.release(lease);
    await waitFor(() => events.at(-1)?.type === 'released', { what: 'the event' });
  });

  test('to a server that freezes is given up, and found again when it goes on', async () => {
    const server = await start();
    const store = openStoreForTest({ url: server.url });
    expect(await store.readRanking('main')).toBeNull();
    await server.pause();
    const startedAt = performance.now();
    await expect(store.readRanking('main')).rejects.toMatchObject({ message: /does not answer in time/ });
    expect(performance.now() - startedAt).toBeLessThan(ANSWER_MS);
    expect(store.health().connected).toBe(false);
    await server.resume();
    await expectRecovery(store);
  });

  test('goes on with the configured password after a rotation', async () => {
    const server = await start({ aclUsers: [USER] });
    const store = openStoreForTest({ url: server.url, username: 'anna', password: SECRET });
    expect(await store.readRanking('main')).toBeNull();
    await server.cli('acl', 'setuser', 'anna', 'resetpass', `>${WRONG}`);
    await server.cli('client', 'kill', 'user', 'anna');
    expect(await problemOf(store)).toMatch(/redis\.password/);
    await server.cli('acl', 'setuser', 'anna', `>${SECRET}`);
    await expectRecovery(store);
  });

  test('of a Redis Cluster survives the death of a master for the slots of the others', async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const store = openStoreForTest({ cluster: [...cluster.addresses] });
    const { events } = watch(store);
    await waitFor(() => nulls(events) === 1, { what: 'the subscription' });
    const [first] = cluster.nodes;
    await first?.kill();
    await expect(async () => {
      for (const network of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) await store.readRanking(network);
    }).rejects.toMatchObject({ code: 'RPCB_STORE' });
    await first?.restart();
    const all = () =>
      Promise.all(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => store.readRanking(name)));
    await waitFor(all, { what: 'all slots', timeoutMs: 20_000, everyMs: 100 });
    await waitFor(() => store.health().problem === null, { what: 'no problem' });
  });
});

describe('closing', () => {
  async function expectClean(store: Store): Promise<void> {
    const startedAt = performance.now();
    await store.close();
    expect(performance.now() - startedAt).toBeLessThan(ANSWER_MS);
    await expect(store.readRanking('main')).rejects.toMatchObject({ code: 'RPCB_STORE', message: /closed/ });
    await store.close();
  }

  test('ends in time while connected, while refused, while nothing answers, and before anything began', async () => {
    const server = await start();
    const connected = openStoreForTest({ url: server.url });
    await connected.readRanking('main');
    await expectClean(connected);
    const refused = openStoreForTest({ url: `redis://127.0.0.1:${await freePort()}` });
    await problemOf(refused);
    await expectClean(refused);
    await expectClean(openStoreForTest({ url: server.url }));
    await expectClean(openStoreForTest({ sentinels: [`127.0.0.1:${await freePort()}`], name: 'main' }));
    await expectClean(openStoreForTest({ cluster: [`127.0.0.1:${await freePort()}`] }));
    await server.pause();
    const silent = openStoreForTest({ url: server.url });
    await problemOf(silent);
    await expectClean(silent);
  });

  test('refuses a call that waits for a connection', async () => {
    const server = await start();
    await server.pause();
    const store = openStoreForTest({ url: server.url });
    const waiting = store.acquire('main', 'anna', 1000);
    const refused = expect(waiting).rejects.toMatchObject({ message: /closed/ });
    await store.close();
    await refused;
  });

  test('leaves nothing behind that keeps a process alive', async () => {
    const server = await start();
    const frozen = await start();
    await frozen.pause();
    const inputs = [
      { url: server.url },
      { url: frozen.url },
      { url: `redis://127.0.0.1:${await freePort()}` },
      { sentinels: [`127.0.0.1:${await freePort()}`], name: 'main' },
      { cluster: [`127.0.0.1:${await freePort()}`] },
    ];
    const text = `
      const { createRedisStore } = await import(${JSON.stringify(inRepo('packages/shared/src/index.ts'))});
      const stores = ${JSON.stringify(inputs)}.map((redis) =>
        createRedisStore({ redis, prefix: 'rpcb', clusterId: 'test', random: () => 0.5 }));
      await Promise.allSettled(stores.map((store) => store.readRanking('main')));
      await Promise.all(stores.map((store) => store.close()));
      console.log('closed', process.getActiveResourcesInfo().filter((kind) => !kind.startsWith('Pipe')).join());
    `;
    const child = startProcess({ command: process.execPath, args: ['--input-type=module', '-e', text] });
    onTestFinished(() => child.kill());
    await child.waitForOutput(/closed/);
    const closedAt = performance.now();
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - closedAt).toBeLessThan(ANSWER_MS);
  });
});
