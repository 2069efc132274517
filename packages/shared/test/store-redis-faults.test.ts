// What is wrong with a Redis is said with the setting that mends it, and mends by itself when the cause is gone.
import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../../test/kit/ports.ts';
import { createAuthority } from '../../../test/kit/redis-tls.ts';
import { startRedisCluster, startSentinel } from '../../../test/kit/redis-topologies.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import {
  expectNothingUnhandled,
  expectRecovery,
  listenOn,
  problemOf,
  SECRET,
  start,
  USER,
  WRONG,
} from './redis-faults.ts';
import { openStoreForTest } from './redis-stores.ts';

expectNothingUnhandled();

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
    const port = await listenOn(web);
    const store = openStoreForTest({ url: `redis://127.0.0.1:${port}` });
    expect(await problemOf(store)).toMatch(/is not a Redis.*change redis\.url/);
  });

  test('a server that ends every connection at once', async () => {
    const closer = createServer((socket) => socket.end());
    const store = openStoreForTest({ url: `redis://127.0.0.1:${await listenOn(closer)}` });
    expect(await problemOf(store)).toMatch(/lost or refused.*redis\.url/);
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
    const master = await start();
    const port = await freePort();
    const store = openStoreForTest({ sentinels: [`127.0.0.1:${port}`], name: 'main' });
    expect(await problemOf(store)).toMatch(/nothing can be reached.*redis\.sentinels/);
    const sentinel = await startSentinel({ master, port });
    onTestFinished(() => sentinel.stop());
    await expectRecovery(store);
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
    await server.cli('acl', 'setuser', 'anna', 'resetchannels'); // Redis ends the connections of listeners.
    await waitFor(() => store.health().problem, { what: 'the problem to be back' });
  });

  test('a read-only replica', async () => {
    const master = await start();
    const replica = await start({ args: ['--replicaof', '127.0.0.1', String(master.port)] });
    const store = openStoreForTest({ url: replica.url });
    await waitFor(async () => (await store.readRanking('main')) === null, { what: 'the replica' });
    await expect(store.acquire('main', 'anna', 1000)).rejects.toThrow(/read-only replica; change redis\.url/);
    // A name may lead to the new master by now, so the connection is made anew.
    const ids = async () =>
      String(await replica.cli('client', 'list', 'type', 'normal')).match(
        /id=\d+(?= [^\n]* name=rpc-balancer )/g,
      );
    const before = await ids();
    await expect(store.acquire('main', 'anna', 1000)).rejects.toThrow(/read-only/);
    await waitFor(async () => String(await ids()) !== String(before), { what: 'a new connection' });
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
