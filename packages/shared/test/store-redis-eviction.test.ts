// The store warns when the server may evict its keys, and only then.
import { describe, expect, onTestFinished, test } from 'vitest';
import { type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import { startRedisCluster } from '../../../test/kit/redis-topologies.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import type { Store, StoreHealth } from '../src/index.ts';
import { evictionRiskIn } from '../src/store/redis/eviction.ts';
import { openStoreForTest, type RedisInput } from './redis-stores.ts';

const LIMIT = ['--maxmemory', '64mb'];

async function start(args: readonly string[], aclUsers: readonly string[] = []): Promise<RedisServer> {
  const server = await startRedis({ args, aclUsers });
  onTestFinished(() => server.stop());
  return server;
}

/** The health when a connection, its subscription and its check are behind us. */
async function healthOf(redis: RedisInput): Promise<{ store: Store; seen: StoreHealth[] }> {
  const store = openStoreForTest(redis);
  const seen: StoreHealth[] = [];
  store.onHealth((health) => seen.push(health));
  let announced = false;
  store.subscribe(() => {
    announced = true;
  });
  await waitFor(() => announced && store.health().connected, { what: 'the subscription' });
  await store.readRanking('main'); // Sent after the check on the same connection, so that is answered too.
  return { store, seen };
}

test('an allkeys policy under a memory limit is named with its remedy, and is told to listeners', async () => {
  const server = await start([...LIMIT, '--maxmemory-policy', 'allkeys-lru']);
  const { store, seen } = await healthOf({ url: server.url });
  const risk =
    'Redis may evict leases and epochs: its maxmemory-policy is allkeys-lru; set it to noeviction or volatile-*';
  expect(store.health()).toMatchObject({ connected: true, problem: null, evictionRisk: risk });
  expect(seen.at(-1)?.evictionRisk).toBe(risk);
});

test.each([
  ['noeviction', [...LIMIT, '--maxmemory-policy', 'noeviction']],
  ['volatile-lru', [...LIMIT, '--maxmemory-policy', 'volatile-lru']],
  ['allkeys-lru without a limit', ['--maxmemory-policy', 'allkeys-lru']],
])('there is no risk with %s', async (_, args) => {
  const server = await start(args);
  const { store } = await healthOf({ url: server.url });
  expect(store.health().evictionRisk).toBeNull();
});

test('where INFO is not permitted nothing is known and nothing fails', async () => {
  const server = await start(
    [...LIMIT, '--maxmemory-policy', 'allkeys-lru'],
    ['blind on >s3cret-word ~* &* +@all -info'],
  );
  const { store } = await healthOf({ url: server.url, username: 'blind', password: 's3cret-word' });
  expect(store.health()).toMatchObject({ connected: true, problem: null, evictionRisk: null });
});

test('a risk that is known stays known while INFO is not answered', async () => {
  const server = await start(
    [...LIMIT, '--maxmemory-policy', 'allkeys-lru'],
    ['anna on >s3cret-word ~* &* +@all'],
  );
  const { store, seen } = await healthOf({ url: server.url, username: 'anna', password: 's3cret-word' });
  await server.cli('acl', 'setuser', 'anna', '-info');
  await server.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
  const refusals = async () => (await server.cli('acl', 'log')) as unknown[]; // ACL LOG answers a list.
  await waitFor(async () => (await refusals()).length > 0, { what: 'the refusal of INFO' });
  await waitFor(() => store.health().connected, { what: 'the next connection' });
  await store.readRanking('main'); // Sent after the refusal on the same connection.
  expect(store.health().evictionRisk).toContain('allkeys-lru');
  expect(seen.filter(({ evictionRisk }) => evictionRisk === null).length).toBeLessThanOrEqual(1);
});

test('a policy that was changed is seen with the next connection', async () => {
  const server = await start([...LIMIT, '--maxmemory-policy', 'allkeys-lru']);
  const { store } = await healthOf({ url: server.url });
  await server.cli('config', 'set', 'maxmemory-policy', 'noeviction');
  await server.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
  await waitFor(() => store.health().evictionRisk === null, { what: 'the new policy to be seen' });
});

test('in a Redis Cluster one master with the risk is enough', async () => {
  const cluster = await startRedisCluster();
  onTestFinished(() => cluster.stop());
  const [, , last] = cluster.nodes;
  await last?.cli('config', 'set', 'maxmemory', '64mb');
  await last?.cli('config', 'set', 'maxmemory-policy', 'allkeys-random');
  const store = openStoreForTest({ cluster: [...cluster.addresses] });
  await waitFor(() => store.health().evictionRisk?.includes('allkeys-random'), { what: 'the warning' });
});

describe('the answer to INFO', () => {
  test.each([
    ['maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n', false],
    ['maxmemory:1000\r\nmaxmemory_policy:allkeys-random\r\n', true],
    ['maxmemory:1000\r\nmaxmemory_policy:volatile-ttl\r\n', false],
    ['maxmemory:1000\r\n', false],
    ['', false],
  ])('%j is judged', (answer, risky) => {
    expect(evictionRiskIn(answer) !== null).toBe(risky);
  });
});
