// Decides: whether sidecars share the networks alike, probe each upstream once, and leave it at that.
import { createMemoryStore, createRedisStore, type Store } from '@rpc-balancer/shared';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createRandom } from '../../../test/kit/clock.ts';
import { type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { monotonicNow } from '../src/runtime.ts';
import { configOf, network, type Staged, stage, startNodes, tenuresIn } from './stage.ts';

/** Longer than a busy machine halts a sidecar, which would lose its leases. */
const LEASE_TTL_MS = 2000;
/** The word for all it takes until everybody has its share: the end of a lease and a life, and a handful of beats. */
const FEW_TTLS_MS = 15 * LEASE_TTL_MS;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

function redisStore(clusterId: string, seed: number): Store {
  const names = { prefix: 'rpcb', clusterId };
  const store = createRedisStore({
    ...{ redis: { url: redis.url, ...names }, ...names },
    random: createRandom(seed),
    now: monotonicNow,
  });
  onTestFinished(() => store.close());
  return store;
}

const heldBy = ({ sidecar }: Staged): string[] =>
  sidecar.status().networks.flatMap(({ network: name, state }) => (state === 'holder' ? [name] : []));

const loadsOf = (staged: readonly Staged[]): number[] => staged.map((one) => heldBy(one).length).toSorted();

/** Who publishes which network under which epoch. */
const leasesOf = (staged: readonly Staged[]): string[] =>
  staged
    .flatMap(({ sidecar }) => sidecar.status().networks)
    .flatMap(({ network: name, epoch }) => (epoch === null ? [] : [`${name} ${epoch}`]))
    .toSorted();

async function spreadAs(loads: readonly number[], staged: readonly Staged[]): Promise<void> {
  const isSpread = () =>
    JSON.stringify(loadsOf(staged)) === JSON.stringify(loads) || Promise.reject(loadsOf(staged));
  await waitFor(isSpread, { what: `leases as ${loads}`, timeoutMs: FEW_TTLS_MS });
}

/** Until each network was published so many times more, by whomever. */
async function publishOn(staged: readonly Staged[], times: number): Promise<void> {
  const counts = (): number[] => {
    const ofEach = staged.map(({ sidecar }) => sidecar.status().networks);
    return (ofEach[0] ?? []).map((_, at) =>
      ofEach.reduce((sum, networks) => sum + (networks[at]?.publishedCount ?? 0), 0),
    );
  };
  const before = counts();
  const all = () => counts().every((count, at) => count >= (before[at] ?? 0) + times);
  await waitFor(all, { what: `${times} more rankings` });
}

test('twenty networks are spread evenly when sidecars join and when they leave, and then stand still', {
  timeout: 120_000,
}, async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const probe = { interval: 500, timeout: 5000, attempts: 1 };
  const names = Array.from({ length: 20 }, (_, at) => `net-${at}`);
  const config = configOf(Object.fromEntries(names.map((name) => [name, network([node], { probe })])), {
    leaseTtl: LEASE_TTL_MS,
  });
  const start = (at: number) => stage({ config, store: redisStore('spread', at), instance: `sidecar-${at}` });
  const one = start(0);
  await spreadAs([20], [one]);
  const joined = [1, 2, 3, 4].map(start);
  const all = [one, ...joined];
  await spreadAs([4, 4, 4, 4, 4], all);

  const still = leasesOf(all);
  await publishOn(all, 3);
  expect(leasesOf(all)).toEqual(still);
  expect(new Set(all.flatMap(heldBy)).size).toBe(20);
  expect(await one.sidecar.metrics()).toContain('rpc_balancer_sidecar_sidecars 5');

  const [leaving, ...left] = all;
  await leaving?.sidecar.stop();
  await spreadAs([5, 5, 5, 5], left);
  const [last, ...ended] = left;
  if (!last) throw new TypeError('four are left');
  await Promise.all(ended.map(({ sidecar }) => sidecar.stop()));
  await spreadAs([20], [last]);
});

test('incident 11: each upstream is probed by one sidecar, also while leases go from one to another', async () => {
  const nodes = await startNodes({}, {}, {}, {}, {}, {});
  const store = createMemoryStore(monotonicNow);
  const networks = Object.fromEntries(nodes.map((node, at) => [`net-${at}`, network([node])]));
  const config = configOf(networks, { leaseTtl: LEASE_TTL_MS });
  const one = stage({ config, store, instance: 'one' });
  await spreadAs([6], [one]);
  const all = [one, ...['two', 'three'].map((instance) => stage({ config, store, instance }))];
  await spreadAs([2, 2, 2], all);
  await publishOn(all, 5);
  nodes.forEach((node, at) => {
    const published = one.rankings.filter((ranking) => ranking.network === `net-${at}`);
    expect(node.hits('eth_chainId')).toBeLessThanOrEqual(published.length + tenuresIn(all, `net-${at}`));
  });
});

test('a lease goes to its heir by a call for it, and within moments to another where the heir does not move', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  // So long that nobody would ask by itself within this test.
  const config = configOf({ main: network([node]) }, { leaseTtl: 600_000 });
  const somebody = await store.acquire('main', 'somebody', 600_000);
  if (somebody === null) throw new TypeError('nobody else holds it');
  const [heir, other] = ['heir', 'other'].map((instance) => stage({ config, store, instance }));
  await store.release(somebody, 'heir');
  await heir?.ranked('its ranking', ({ publisher }) => publisher === 'heir');
  await heir?.sidecar.stop();
  await other?.ranked('its ranking', ({ publisher }) => publisher === 'other');
  await other?.sidecar.stop();

  const again = await store.acquire('main', 'somebody', 600_000);
  const third = stage({ config, store, instance: 'third' });
  if (again !== null) await store.release(again, 'somebody dead');
  await third.ranked('its ranking', ({ publisher }) => publisher === 'third');
});
