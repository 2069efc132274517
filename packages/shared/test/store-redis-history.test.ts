// What befalls the connections is counted, also where they are back at once and nothing else tells of it.
import { expect, onTestFinished, test } from 'vitest';
import { moveSlot, startRedisCluster } from '../../../test/kit/redis-topologies.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import type { Store } from '../src/index.ts';
import { networkKeys } from '../src/wire/keys.ts';
import { start } from './redis-faults.ts';
import { openStoreForTest } from './redis-stores.ts';

const NETWORKS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

/** Resolves once events come; the count of the times that they began to goes on. */
async function subscribed(store: Store): Promise<() => number> {
  let times = 0;
  store.subscribe((event) => {
    if (event === null) times++;
  });
  await waitFor(() => times > 0, { what: 'the subscription' });
  return () => times;
}

test('each connection that is killed is counted, with the time of the last, and none that the store closes', async () => {
  const server = await start();
  const store = openStoreForTest({ url: server.url });
  const times = await subscribed(store);
  expect(store.health()).toMatchObject({ connectionsLost: 0, lastLostAt: null, slotsMoved: 0, failures: {} });
  const killedAt = Date.now();
  await server.cli('client', 'kill', 'type', 'pubsub');
  await waitFor(() => store.health().connectionsLost === 1, { what: 'the loss of the subscription' });
  await waitFor(() => times() === 2, { what: 'the next subscription' }); // Until then it is one of the normal type.
  await server.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
  await waitFor(() => store.health().connectionsLost === 2, { what: 'the loss of the other' });
  expect(store.health().lastLostAt).toBeGreaterThanOrEqual(killedAt);
  expect(await store.readRanking('main')).toBeNull();
  expect(store.health()).toMatchObject({ connected: true, problem: null, failures: {} });
  await store.close();
  expect(store.health().connectionsLost).toBe(2);
});

test('attempts that find nobody are no losses, and the steps that they fail are counted by name', async () => {
  const server = await start();
  const store = openStoreForTest({ url: server.url });
  expect(await store.readRanking('main')).toBeNull();
  await subscribed(store);
  await server.kill();
  await waitFor(() => store.health().problem, { what: 'the problem' });
  for (const step of [
    () => store.readRanking('main'),
    () => store.readRanking('main'),
    () => store.acquire('main', 'anna', 1000),
  ])
    await expect(step()).rejects.toMatchObject({ code: 'RPCB_STORE' });
  expect(store.health().failures).toMatchObject({ read_ranking: 2, acquire: 1 });
  expect(store.health().connectionsLost).toBe(2);
});

test('a slot of a Cluster that moves is counted once, and a connection to a shard that is killed as well', async () => {
  const cluster = await startRedisCluster();
  onTestFinished(() => cluster.stop());
  const store = openStoreForTest({ cluster: [...cluster.addresses] });
  await subscribed(store);
  for (const network of NETWORKS) await store.readRanking(network);
  expect(store.health()).toMatchObject({ connectionsLost: 0, slotsMoved: 0 });
  const lease = await store.acquire('a', 'anna', 60_000);
  expect(lease).not.toBeNull();
  await moveSlot(cluster, networkKeys({ prefix: 'rpcb', clusterId: 'test' }, 'a').lease);
  await store.readRanking('a');
  await waitFor(() => store.health().slotsMoved === 1, { what: 'the move to be seen' });
  expect(store.health().connectionsLost).toBe(0);

  await Promise.all(
    cluster.nodes.map((node) => node.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes')),
  );
  await waitFor(() => store.health().connectionsLost >= cluster.nodes.length, { what: 'the losses' });
  await waitFor(() => Promise.all(NETWORKS.map((network) => store.readRanking(network))), {
    what: 'all slots',
  });
  expect(store.health().slotsMoved).toBe(1);
});
