// A head that nodes tell of reaches every replica at once. The probes come once an hour: no poll can have brought it.
import { expect, onTestFinished, test } from 'vitest';
import type { NetworkStatus as SidecarNetwork } from '../../packages/health-sidecar/src/index.ts';
import { monotonicNow } from '../../packages/health-sidecar/src/runtime.ts';
import { startAnvil } from '../kit/anvil.ts';
import { startRedis } from '../kit/redis.ts';
import { startSidecarProcess } from '../kit/sidecar.ts';
import { waitFor } from '../kit/wait.ts';
import type { Networks } from './cluster.ts';
import { type Replica, startReplica } from './replicas.ts';
import { startChain, upstreamsOf } from './upstreams.ts';

/** The replicas look for a ranking every two seconds by themselves: so many heads would then take longer than a test may. */
const HEADS = 60;

/** Three replicas and the sidecar program over one Redis; resolves when all know a head. */
async function startReplicas(upstreams: Networks[string]['upstreams']): Promise<{
  readonly replicas: readonly Replica[];
  /** Whether every upstream has told of a head. */
  haveTold(): Promise<boolean>;
}> {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const net = { probe: { interval: '1h', timeout: '3s' }, upstreams } as const;
  // Nothing is published by itself within the test, nor does the lease ever end, after which all would be probed anew.
  const sidecarOptions = { leaseTtl: '10m', rankingMaxAge: '1h' };
  const replicas = await Promise.all([1, 2, 3].map(() => startReplica({ redis, net })));
  const config = { redis: { url: redis.url }, sidecar: sidecarOptions, networks: { net } };
  const sidecar = await startSidecarProcess({ config });
  onTestFinished(async () => void (await sidecar.stop()));
  await waitFor(() => replicas.every((replica) => headOf(replica) >= 0), { what: 'the first head' });
  return { replicas, haveTold: async () => areTold((await sidecar.status()).networks) };
}

function headOf({ balancer }: Replica): number {
  return balancer.status().networks.net?.head ?? -1;
}

function areTold([net]: readonly SidecarNetwork[]): boolean {
  return net?.upstreams.every(({ pushedAt }) => pushedAt !== null) ?? false;
}

/** When the last of the replicas had the head, epoch ms. */
async function everywhere(replicas: readonly Replica[], height: number): Promise<number> {
  const what = `head ${height} at every replica`;
  await waitFor(() => replicas.every((replica) => headOf(replica) >= height), { what, everyMs: 1 });
  return monotonicNow();
}

function report(what: string, tookMs: readonly number[]): void {
  const sorted = tookMs.toSorted((a, b) => a - b).map((ms) => ms.toFixed(0));
  process.stdout.write(`${what}: median ${sorted[sorted.length >> 1]} ms, worst ${sorted.at(-1)} ms\n`);
}

test('a head that two of three nodes tell of is in the snapshot of three replicas at once', async () => {
  const still = { pushMode: 'heads', blockTimeMs: 0 } as const;
  const nodes = await startChain(still, still, still);
  onTestFinished(async () => void (await Promise.all(nodes.map((node) => node.stop()))));
  const { replicas } = await startReplicas(upstreamsOf(nodes));
  const subscribed = () => nodes.every(({ webSockets }) => webSockets.subscribed === 1);
  await waitFor(subscribed, { what: 'a subscription at each node' });
  const [first, second] = nodes;
  if (!first || !second) throw new Error('three nodes were started');

  const tookMs: number[] = [];
  for (let at = 0; at < HEADS; at++) {
    const height = first.head + 1;
    first.head = height;
    second.head = height;
    const knownAt = await everywhere(replicas, height);
    tookMs.push(knownAt - (second.webSockets.toldAt.get(height) ?? Number.NaN));
  }
  report('from the node to three replicas', tookMs);
  expect(nodes.map((node) => node.hits('eth_blockNumber'))).toEqual([1, 1, 1]);
});

test('a head of a real node is in the snapshot of three replicas at once', async () => {
  const anvil = await startAnvil();
  onTestFinished(() => anvil.stop());
  const { replicas, haveTold } = await startReplicas([{ id: 'a', url: anvil.url }]);
  const mined = () => anvil.mine(1).then(haveTold);
  await waitFor(mined, { what: 'the subscription', everyMs: 50 });
  const minedCount = Number(await anvil.rpc('eth_blockNumber'));

  const tookMs: number[] = [];
  for (let at = 1; at <= HEADS; at++) {
    await anvil.mine(1);
    const minedAt = monotonicNow();
    tookMs.push((await everywhere(replicas, minedCount + at)) - minedAt);
  }
  report('from anvil to three replicas', tookMs);
});
