// The Redis store does what every store does, over every way to a Redis.
import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { anyRedis, type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import { createAuthority } from '../../../test/kit/redis-tls.ts';
import { startRedisCluster, startReplica, startSentinel } from '../../../test/kit/redis-topologies.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import type { StoreEvent } from '../src/index.ts';
import { openStoreForTest, openStoreOf, redisHarness } from './redis-stores.ts';
import { rankingOf, storeConformance } from './store-conformance.ts';

const LEAST_RIGHTS =
  '~rpcb:* &rpcb:* -@all +eval +get +set +del +pexpire +hget +hset +hmget +hgetall +hvals +hdel +zadd +zrangebyscore +zremrangebyscore +zremrangebyrank +xadd +xrange +pttl +time +publish';

storeConformance('Redis store over a URL', async () => {
  const server = await anyRedis();
  return redisHarness({ url: server.url }, server.stop);
});

storeConformance('Redis store of a user with the least rights', async () => {
  const user = `worker on >s3cret-word ${LEAST_RIGHTS} +subscribe +ping +client|setname +info`;
  const server = await startRedis({ requirepass: 'another-word', aclUsers: [user] });
  return redisHarness({ url: server.url, username: 'worker', password: 's3cret-word' }, server.stop);
});

storeConformance('Redis store with credentials and a database in the URL', async () => {
  const server = await startRedis({ aclUsers: ['worker on >p@ss:w/rd ~* &* +@all', 'default off'] });
  const url = server.url.replace('://', `://worker:${encodeURIComponent('p@ss:w/rd')}@`);
  return redisHarness({ url: `${url}/3` }, server.stop);
});

storeConformance('Redis store over TLS with a client certificate', async () => {
  const authority = await createAuthority();
  const server = await startRedis({
    tls: { ca: authority.cert, server: await authority.issue('redis.test') },
  });
  const client = await authority.issue('gateway');
  const tls = { ca: authority.cert, ...client, servername: 'redis.test' };
  return redisHarness({ url: server.url, tls }, server.stop);
});

storeConformance('Redis store over a unix socket', async () => {
  const server = await startRedis({ unixSocket: true, requirepass: 'word-of-all' });
  return redisHarness({ url: server.url, password: 'word-of-all' }, server.stop);
});

storeConformance('Redis store over Sentinel', async () => {
  const master = await startRedis();
  const sentinel = await startSentinel({ master });
  const stop = () => Promise.all([sentinel.stop(), master.stop()]);
  return redisHarness({ sentinels: [sentinel.address], name: sentinel.name }, stop);
});

storeConformance('Redis store over a Redis Cluster', async () => {
  const cluster = await startRedisCluster();
  return redisHarness({ cluster: cluster.addresses.slice(0, 2) }, cluster.stop);
});

storeConformance('Redis store of a client with a key prefix', async () => {
  const server = await startRedis();
  const client = new Redis(server.url, { keyPrefix: 'app:' });
  return {
    ...redisHarness({}, async () => {
      client.disconnect();
      await server.stop();
    }),
    open: (clusterId) => openStoreOf(client, clusterId),
  };
});

storeConformance('Redis store of a Cluster client with a key prefix', async () => {
  const cluster = await startRedisCluster();
  const [first] = cluster.nodes;
  const client = new Cluster([{ host: '127.0.0.1', port: first?.port ?? 0 }], { keyPrefix: 'app:' });
  return {
    ...redisHarness({}, async () => {
      client.disconnect();
      await cluster.stop();
    }),
    open: (clusterId) => openStoreOf(client, clusterId),
  };
});

function asList(answer: unknown): unknown[] {
  return Array.isArray(answer) ? answer : [];
}

describe('a client that is passed in', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  test('lends its key prefix to keys and to the channel, and is left open and unused', async () => {
    const client = new Redis(server.url, { keyPrefix: 'app:', connectionName: 'host' });
    await client.ping();
    const store = openStoreOf(client, 'lent');
    const events: unknown[] = [];
    store.subscribe((event) => events.push(event));
    const lease = await store.acquire('main', 'anna', 60_000);
    if (lease === null) throw new Error('the lease is not free');
    await store.publish(lease, rankingOf('main', 1), 60_000);
    const names = ['epoch', 'lease', 'ranking'].map((part) => `app:rpcb:{lent:main}:${part}`);
    expect(new Set(asList(await server.cli('keys', '*')))).toEqual(new Set(names));
    await waitFor(() => events.includes(null), { what: 'the subscription' });
    expect(await server.cli('pubsub', 'channels')).toEqual(['app:rpcb:{lent}:events']);
    await store.close();
    expect(await client.ping()).toBe('PONG');
    expect(client.options.enableOfflineQueue).toBe(true);
    client.disconnect();
  });
});

test('a process has two connections to Redis, both with our name', async () => {
  const server = await startRedis();
  onTestFinished(() => server.stop());
  const store = openStoreForTest({ url: server.url });
  const ours = async () => String(await server.cli('client', 'list')).match(/ name=rpc-balancer /g);
  await waitFor(async () => (await ours())?.length === 2, { what: 'two connections' });
  await store.readRanking('main');
  expect(await ours()).toHaveLength(2);
  await store.close();
  await waitFor(async () => (await ours()) === null, { what: 'both to be closed' });
});

test('a failover by Sentinel leads to the new master, with a higher epoch and events going on', async () => {
  const master = await startRedis();
  const replica = await startReplica(master);
  const sentinel = await startSentinel({ master });
  onTestFinished(async () => {
    await Promise.all([sentinel.stop(), replica.stop(), master.stop()]);
  });
  const store = openStoreForTest({ sentinels: [sentinel.address], name: sentinel.name });
  const events: (StoreEvent | null)[] = [];
  store.subscribe((event) => events.push(event));
  const before = await store.acquire('main', 'anna', 1000);
  await waitFor(() => events.includes(null), { what: 'the subscription' });
  await master.kill();
  const after = await waitFor(() => store.acquire('main', 'anna', 60_000), {
    what: 'a lease of the new master',
    timeoutMs: 30_000,
    everyMs: 100,
  });
  expect(after.epoch).toBeGreaterThan(before?.epoch ?? 0);
  await waitFor(() => events.filter((event) => event === null).length >= 2, { what: 'the new subscription' });
  await store.release(after);
  await waitFor(() => events.some((event) => event?.type === 'released'), { what: 'the event' });
  expect(String(await replica.cli('info', 'replication'))).toMatch(/role:master/);
});

test('in a Redis Cluster an event reaches listeners on every node, whatever slot it comes from', async () => {
  const cluster = await startRedisCluster();
  onTestFinished(() => cluster.stop());
  const seeds = Array.from({ length: 9 }, (_, seed) => seed);
  const stores = seeds.map((seed) => openStoreForTest({ cluster: [...cluster.addresses] }, 'test', seed));
  const heard = stores.map((store) => {
    const events: (StoreEvent | null)[] = [];
    store.subscribe((event) => events.push(event));
    return events;
  });
  await waitFor(() => heard.every((events) => events.includes(null)), { what: 'the subscriptions' });
  const listening = await Promise.all(cluster.nodes.map((node) => node.cli('pubsub', 'channels')));
  expect(listening.map(asList).every((channels) => channels.length === 1)).toBe(true);
  const [first] = stores;
  for (const network of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const lease = await first?.acquire(network, 'anna', 60_000);
    if (lease) await first?.release(lease);
  }
  // Whoever had to subscribe anew was told so, and looks for itself.
  const toldAll = (events: readonly (StoreEvent | null)[]) =>
    events.filter((event) => event?.type === 'released').length === 6 ||
    events.filter((event) => event === null).length > 1;
  await waitFor(() => heard.every(toldAll), { what: 'all events everywhere' });
});
