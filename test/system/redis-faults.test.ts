// Whatever befalls Redis, reads go on as before, no gateway goes back, and it can be seen what is wrong.
import { expect, test } from 'vitest';
import type { Gateway } from '../kit/gateway.ts';
import type { Sidecar } from '../kit/sidecar.ts';
import { waitFor } from '../kit/wait.ts';
import { fakeNode, gateway, PROBE, redisServer, sidecar } from './programs.ts';
import { type Reads, startReads } from './reads.ts';
import { keepDump, LATENCY_MS, type Scene, TROUBLES, type Trouble } from './redis-troubles.ts';
import { tcpPath } from './tcp-path.ts';
import { type Watch, watchRankings } from './watch.ts';

/** Through each of two gateways so many reads are answered while the fault lasts. */
const READS = 60;
const WAIT = { timeoutMs: 30_000, everyMs: 50 } as const;

interface Staged extends Scene {
  readonly gateways: readonly Gateway[];
  readonly sidecars: readonly Sidecar[];
  readonly reads: Reads;
  readonly watch: Watch;
}

interface Fault extends Trouble {
  /** What readiness says while the fault lasts: that of each gateway, or that of the sidecar which publishes. */
  readonly ready?: RegExp;
  readonly readyOf?: 'sidecar';
  /** What the metrics say meanwhile of each gateway, or of the sidecar which publishes. */
  readonly metrics?: RegExp;
  readonly metricsOfSidecar?: RegExp;
  /** Whether the lease is lost with it. */
  readonly newEpoch: boolean;
  /** Whether connections are lost with it, which readiness and metrics tell of afterwards. */
  readonly losesConnections: boolean;
}

/** What is not looked at while the fault lasts. */
type Later = 'begin' | 'end' | 'newEpoch' | 'losesConnections';

const AWAY = /^rpc_balancer_store_connected 0$/m;

const FAULTS: readonly Fault[] = [
  {
    ...TROUBLES.restart,
    ready: /lost or refused|nothing can be reached/,
    metrics: AWAY,
    newEpoch: true,
    losesConnections: true,
  },
  {
    ...TROUBLES.pause,
    ready: /does not answer in time/,
    metrics: AWAY,
    newEpoch: true,
    losesConnections: true,
  },
  {
    ...TROUBLES.fullMemory,
    ready: /is out of memory; raise its maxmemory/,
    // Only what makes new data is refused: the lease is kept, and nothing can be published under it.
    readyOf: 'sidecar',
    metrics: /^rpc_balancer_ranking_age_seconds\{network="main"\} [1-9]/m,
    metricsOfSidecar: /^rpc_balancer_sidecar_store_failures_total\{step="publish"\} [1-9]/m,
    newEpoch: false,
    losesConnections: false,
  },
  {
    ...TROUBLES.cut,
    ready: /lost or refused|nothing can be reached/,
    metrics: AWAY,
    newEpoch: false,
    losesConnections: true,
  },
  { ...TROUBLES.kill, newEpoch: false, losesConnections: true },
  { ...TROUBLES.flush, newEpoch: true, losesConnections: false },
  { ...TROUBLES.oldDump, newEpoch: true, losesConnections: true },
];

async function stage(): Promise<Staged> {
  const [node, other, redis] = await Promise.all([fakeNode(), fakeNode(), redisServer()]);
  const path = await tcpPath(redis.port);
  const config = {
    redis: { url: `redis://127.0.0.1:${path.port}` },
    sidecar: { leaseTtl: '2s', rankingMaxAge: '10m' },
    networks: {
      main: {
        probe: PROBE,
        upstreams: [
          { id: 'a', url: node.url },
          { id: 'b', url: other.url },
        ],
      },
    },
  };
  const [sidecars, gateways] = await Promise.all([
    Promise.all([sidecar({ config }), sidecar({ config })]),
    Promise.all([gateway({ config }), gateway({ config })]),
  ]);
  const watch = watchRankings(gateways, 'main', 50);
  const staged = { redis, path, gateways, sidecars, watch, reads: startReads(gateways, 'main') };
  await recovered(staged);
  await keepDump(staged);
  return staged;
}

const newest = ({ watch }: Staged): number => Math.max(...watch.last.map((belief) => belief?.epoch ?? 0));

/** Until every gateway has nothing to complain of and hears new rankings; gives their epoch. */
async function recovered(staged: Staged, above = 0): Promise<number> {
  const { gateways, watch } = staged;
  const well = async () => {
    const answers = await Promise.all(gateways.map((one) => one.ready()));
    const bad = answers.find(({ body }) => body.status !== 'ready');
    if (bad) throw new Error(JSON.stringify(bad.body));
    return watch.last.every((belief) => belief !== null && belief.epoch > above);
  };
  await waitFor(well, { what: `all to be well, above ${above}`, ...WAIT });
  const before = watch.last.map((belief) => belief?.seq);
  const moved = () => watch.last.every((belief, at) => belief?.seq !== before[at]);
  await waitFor(moved, { what: 'new rankings', ...WAIT });
  return newest(staged);
}

/** Until readiness and metrics tell of the fault; nobody stops being ready for it. */
async function isShown(
  { gateways, sidecars }: Staged,
  { name, ready, readyOf, metrics, metricsOfSidecar }: Omit<Fault, Later>,
): Promise<void> {
  const look = async () => {
    const answers = await Promise.all(
      (readyOf === 'sidecar' ? sidecars : gateways).map((one) => one.ready()),
    );
    const telling = answers.filter(
      ({ statusCode, body }) =>
        statusCode === 200 &&
        (ready === undefined || (body.status === 'degraded' && ready.test(JSON.stringify(body)))),
    );
    const told = readyOf === 'sidecar' ? telling.length > 0 : telling.length === answers.length;
    if (!told) throw new Error(JSON.stringify(answers));
    const texts = await Promise.all(gateways.map((one) => one.metrics()));
    const own = await Promise.all(sidecars.map((one) => one.metrics()));
    return (
      texts.every((text) => metrics === undefined || metrics.test(text)) &&
      (metricsOfSidecar === undefined || own.some((text) => metricsOfSidecar.test(text)))
    );
  };
  await waitFor(look, { what: `readiness and metrics to tell of ${name}`, ...WAIT });
}

/** What every program tells of lost connections; the gateways first. Readiness and metrics say the same. */
async function lossesOf({ gateways, sidecars }: Staged): Promise<number[]> {
  return Promise.all(
    [...gateways, ...sidecars].map(async (one) => {
      const [{ body }, text] = await Promise.all([one.ready(), one.metrics()]);
      const [, counted] = /^rpc_balancer_(?:sidecar_)?store_connections_lost_total (\d+)$/m.exec(text) ?? [];
      expect(Number(counted)).toBe(body.store.connectionsLost);
      return Number(counted);
    }),
  );
}

/** Until readiness and metrics tell what the fault has left: another epoch, and lost connections. */
async function isTold(staged: Staged, fault: Fault, epoch: number, losses: readonly number[]): Promise<void> {
  const look = async () => {
    const now = await lossesOf(staged);
    const lost = now.map((count, at) => count - (losses[at] ?? 0));
    // That of the commands and that of the events, of which one may just be on its way when the server goes: then none is lost there.
    if (!lost.every((count) => (fault.losesConnections ? count >= 1 : count < 2)))
      throw new Error(`connections lost: ${losses}, then ${now}`);
    for (const one of staged.gateways) {
      const [{ body }, text] = await Promise.all([one.ready(), one.metrics()]);
      expect(body.networks.main.epoch).toBeGreaterThanOrEqual(epoch);
      expect(text).toContain(`rpc_balancer_ranking_epoch{network="main"} ${body.networks.main.epoch}`);
    }
    return true;
  };
  await waitFor(look, { what: `readiness and metrics to tell what ${fault.name} has left`, ...WAIT });
}

const medianOf = (sorted: readonly number[]): number => sorted[sorted.length >> 1] ?? Number.NaN;

/** The keys that do not expire. */
async function lastingKeys({ redis }: Staged): Promise<string[]> {
  const keys = [await redis.cli('keys', '*')].flat().map(String);
  const ttls = await Promise.all(keys.map((key) => redis.cli('ttl', key)));
  return keys.filter((_, at) => ttls[at] === -1);
}

test('incident 22: through every fault of Redis reads go on and no order goes back, and it can be seen what is wrong', {
  timeout: 120_000,
}, async () => {
  const staged = await stage();
  const { reads, watch } = staged;
  for (const fault of FAULTS) {
    const epoch = newest(staged);
    const losses = await lossesOf(staged);
    await fault.begin(staged);
    await isShown(staged, fault);
    // Answered while, of most faults, nothing could be had of Redis: so none of them waited for it.
    await reads.more(2 * READS);
    await fault.end?.(staged);
    const later = await recovered(staged, fault.newEpoch ? epoch : epoch - 1);
    expect(later, fault.name).toBeGreaterThanOrEqual(epoch);
    await isTold(staged, fault, later, losses);
    expect(reads.problems, fault.name).toEqual([]);
  }

  reads.lap();
  await reads.more(2 * READS);
  const calmMs = medianOf(reads.lap());
  await TROUBLES.latency.begin(staged);
  const seqs = watch.last.map((belief) => belief?.seq);
  await waitFor(() => watch.last.every((belief, at) => belief?.seq !== seqs[at]), {
    what: 'late rankings',
    ...WAIT,
  });
  const slowBeats = /^rpc_balancer_beat_duration_seconds\{network="main"\} (0\.[6-9]|[1-9])/m;
  await isShown(staged, { name: 'latency', ready: /store_slow: Redis takes longer/, metrics: slowBeats });
  reads.lap();
  await reads.more(2 * READS);
  // Half of the reads waited for many things, but not for Redis, which takes twice the latency to answer.
  expect(medianOf(reads.lap())).toBeLessThan(calmMs + LATENCY_MS);

  await watch.stop();
  expect(watch.wrong).toEqual([]);
  expect(reads.problems).toEqual([]);
  expect(await lastingKeys(staged)).toEqual(['rpcb:{default:main}:epoch']);
  expect(await staged.redis.cli('pubsub', 'channels')).toEqual(['rpcb:{default}:events']);
  expect(await staged.redis.cli('pubsub', 'numpat')).toBe(0);
});
