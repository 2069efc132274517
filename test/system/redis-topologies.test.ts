// Where Redis moves, to another master or another shard, the cluster moves with it and nobody notices.
import { expect, onTestFinished, test } from 'vitest';
import type { ConfigInput } from '../../packages/shared/src/index.ts';
import { networkKeys } from '../../packages/shared/src/wire/keys.ts';
import type { RedisServer } from '../kit/redis.ts';
import {
  type RedisCluster,
  startRedisCluster,
  startReplica,
  startSentinel,
} from '../kit/redis-topologies.ts';
import { waitFor } from '../kit/wait.ts';
import { fakeNode, gateway, PROBE, redisServer, sidecar } from './programs.ts';
import { startReads } from './reads.ts';
import { watchRankings } from './watch.ts';

const WAIT = { timeoutMs: 40_000, everyMs: 50 } as const;

/** Two gateways and a sidecar that have agreed on a ranking, and reads that go on. */
async function stage(redis: ConfigInput['redis']) {
  const node = await fakeNode();
  const config = {
    redis,
    sidecar: { leaseTtl: '2s', rankingMaxAge: '10m' },
    networks: { main: { probe: PROBE, upstreams: [{ id: 'a', url: node.url }] } },
  };
  const [one, other] = await Promise.all([gateway({ config }), gateway({ config }), sidecar({ config })]);
  const gateways = [one, other];
  const watch = watchRankings(gateways, 'main', 50);
  await waitFor(() => watch.last.every((belief) => belief !== null), { what: 'the first ranking', ...WAIT });
  const reads = startReads(gateways, 'main');

  /** Until all hear new rankings of an epoch above this one. */
  async function goesOn(above: number): Promise<void> {
    const seqs = watch.last.map((belief) => belief?.seq);
    const moved = () =>
      watch.last.every((belief, at) => belief && belief.epoch > above && belief.seq !== seqs[at]);
    await waitFor(moved, { what: `rankings above ${above}`, ...WAIT });
    const ready = async () => {
      const answers = await Promise.all(gateways.map((each) => each.ready()));
      return answers.every(({ body }) => body.status === 'ready') || Promise.reject(JSON.stringify(answers));
    };
    await waitFor(ready, { what: 'all to be well', ...WAIT });
  }

  async function nothingWasWrong(): Promise<void> {
    await reads.more(50);
    await watch.stop();
    expect(reads.problems).toEqual([]);
    expect(watch.wrong).toEqual([]);
  }

  return { gateways, watch, reads, goesOn, nothingWasWrong, epoch: () => watch.last[0]?.epoch ?? 0 };
}

test('when Sentinel makes a replica the master, no read fails and no order goes back', {
  timeout: 90_000,
}, async () => {
  const master = await redisServer();
  const replica = await startReplica(master);
  onTestFinished(() => replica.stop());
  const sentinel = await startSentinel({ master });
  onTestFinished(() => sentinel.stop());
  const { gateways, reads, epoch, goesOn, nothingWasWrong } = await stage({
    sentinels: [sentinel.address],
    name: sentinel.name,
  });
  const before = epoch();
  await master.kill();
  const away = async () => {
    const texts = await Promise.all(gateways.map((one) => one.metrics()));
    return texts.every((text) => /^rpc_balancer_store_connected 0$/m.test(text));
  };
  await waitFor(away, { what: 'the loss to be seen', ...WAIT });
  await reads.more(50);
  // The lease may live on in the replica, or not have reached it.
  await goesOn(before - 1);
  expect(String(await replica.cli('info', 'replication'))).toMatch(/role:master/);
  await nothingWasWrong();
});

/** Moves the slot of this key from its shard to the next, key by key, as an operator does. */
async function moveSlot({ nodes }: RedisCluster, key: string): Promise<void> {
  const [first] = nodes;
  const slot = Number(await first?.cli('cluster', 'keyslot', key));
  const ids = await Promise.all(nodes.map(async (node) => String(await node.cli('cluster', 'myid'))));
  const from = Math.floor((slot * nodes.length) / 16_384);
  const to = (from + 1) % nodes.length;
  const [source, target] = [nodes[from], nodes[to]];
  if (!source || !target) throw new TypeError('both are shards of the Cluster');
  await target.cli('cluster', 'setslot', slot, 'importing', String(ids[from]));
  await source.cli('cluster', 'setslot', slot, 'migrating', String(ids[to]));
  const keysLeft = async (): Promise<string[]> =>
    [await source.cli('cluster', 'getkeysinslot', slot, 100)].flat().map(String);
  for (let left = await keysLeft(); left.length > 0; left = await keysLeft()) {
    await source.cli('migrate', '127.0.0.1', target.port, '', 0, 5000, 'replace', 'keys', ...left);
  }
  for (const node of [target, source, ...nodes]) {
    await node.cli('cluster', 'setslot', slot, 'node', String(ids[to]));
  }
  await expectKeyAt(target, key);
}

async function expectKeyAt(node: RedisServer, key: string): Promise<void> {
  await waitFor(async () => (await node.cli('exists', key)) === 1, { what: `${key} at its new shard` });
}

test('when the slot of a network moves to another shard, no read fails and no order goes back', {
  timeout: 90_000,
}, async () => {
  const cluster = await startRedisCluster();
  onTestFinished(() => cluster.stop());
  const { reads, epoch, goesOn, nothingWasWrong } = await stage({ cluster: [...cluster.addresses] });
  const before = epoch();
  const names = networkKeys({ prefix: 'rpcb', clusterId: 'default' }, 'main');
  await moveSlot(cluster, names.epoch);
  await reads.more(50);
  await goesOn(before - 1);
  await nothingWasWrong();
});
