// Where Redis moves, to another master or another shard, the cluster moves with it and nobody notices.
import { expect, onTestFinished, test } from 'vitest';
import type { ConfigInput } from '../../packages/shared/src/index.ts';
import { networkKeys } from '../../packages/shared/src/wire/keys.ts';
import type { Program } from '../kit/program.ts';
import { moveSlot, startRedisCluster, startReplica, startSentinel } from '../kit/redis-topologies.ts';
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
  const programs = await Promise.all([gateway({ config }), gateway({ config }), sidecar({ config })]);
  const [one, other] = programs;
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

  return {
    programs,
    gateways,
    watch,
    reads,
    goesOn,
    nothingWasWrong,
    epoch: () => watch.last[0]?.epoch ?? 0,
  };
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

test('when the slot of a network moves to another shard, no read fails and no order goes back', {
  timeout: 90_000,
}, async () => {
  const cluster = await startRedisCluster();
  onTestFinished(() => cluster.stop());
  const { programs, reads, epoch, goesOn, nothingWasWrong } = await stage({
    cluster: [...cluster.addresses],
  });
  const before = epoch();
  const names = networkKeys({ prefix: 'rpcb', clusterId: 'default' }, 'main');
  await moveSlot(cluster, names.epoch);
  await reads.more(50);
  await goesOn(before - 1);
  const tellsOf = async (one: Program) => {
    const [{ body }, text] = await Promise.all([one.ready(), one.metrics()]);
    return body.store.slotsMoved === 1 && /^rpc_balancer_(sidecar_)?store_slots_moved_total 1$/m.test(text);
  };
  const told = async () => (await Promise.all(programs.map(tellsOf))).every(Boolean);
  await waitFor(told, { what: 'each program to tell of the move', ...WAIT });
  await nothingWasWrong();
});
