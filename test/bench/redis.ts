// `pnpm bench:redis [seconds]`: reads through two gateways while all is well and while something befalls Redis. By how much does the
// p99 grow? No request waits for Redis, so by less than `BOUND_MS`, and none fails; else it ends with 1.
import { type LoadReport, runLoad } from '../kit/load.ts';
import { startRedis } from '../kit/redis.ts';
import { openTcpPath } from '../kit/tcp-path.ts';
import { waitFor } from '../kit/wait.ts';
import { type Cluster, createCluster } from '../system/cluster.ts';
import { keepDump, type Scene, TROUBLES, type Trouble } from '../system/redis-troubles.ts';
import { balanceAnswer, balanceCall, startChain, upstreamsOf } from '../system/upstreams.ts';

const NETWORK = 'net';
const RATE_PER_S = 200;
const WARM_UP_S = 3;
const SECONDS = 10;
/** The longest that a request may wait for Redis, where it may at all. */
const BOUND_MS = 25;
/** Redis starts anew, and a lease is taken. */
const WAIT = { timeoutMs: 40_000, everyMs: 50 } as const;

interface Lap {
  readonly p99Ms: number;
  readonly wrong: readonly string[];
}

async function read({ gateways }: Cluster, seconds: number): Promise<Lap> {
  const reports = await Promise.all(
    gateways.map(({ url }) =>
      runLoad({
        url: `${url}/${NETWORK}`,
        ratePerS: RATE_PER_S / gateways.length,
        durationMs: seconds * 1000,
        makeCall: (index) => ({ body: balanceCall(index) }),
        check: ({ text }, index) => text === balanceAnswer(index),
      }),
    ),
  );
  const p99Ms = Math.max(...reports.map((report: LoadReport) => report.p99Ms));
  return { p99Ms, wrong: reports.flatMap(({ notes }) => notes) };
}

/** Until no gateway complains and each has heard a new ranking. */
async function recovered({ gateways, networks }: Cluster): Promise<void> {
  const ready = async () => {
    const answers = await Promise.all(gateways.map((one) => one.ready()));
    return answers.every(({ body }) => body.status === 'ready');
  };
  await waitFor(ready, { what: 'the gateways to be well', ...WAIT });
  const tokens = async () =>
    (await networks(NETWORK)).map(({ ranking }) => `${ranking?.epoch} ${ranking?.seq}`);
  const before = await tokens();
  const moved = async () => (await tokens()).every((token, at) => token !== before[at]);
  await waitFor(moved, { what: 'new rankings', ...WAIT });
}

async function measure(cluster: Cluster, scene: Scene, trouble: Trouble, seconds: number): Promise<boolean> {
  await recovered(cluster);
  const calm = await read(cluster, seconds);
  // Begun under load, so that its first moments count.
  const [troubled] = await Promise.all([read(cluster, seconds), trouble.begin(scene)]);
  await trouble.end?.(scene);
  const grownMs = troubled.p99Ms - calm.p99Ms;
  const isHeld = grownMs < BOUND_MS && troubled.wrong.length === 0;
  process.stdout.write(
    [
      trouble.name.padEnd(30),
      `${calm.p99Ms.toFixed(1)} ms`.padStart(10),
      `${troubled.p99Ms.toFixed(1)} ms`.padStart(10),
      `${grownMs.toFixed(1)} ms`.padStart(10),
      isHeld ? '' : `  missed; failed: ${troubled.wrong.length}, ${troubled.wrong[0] ?? 'none'}`,
    ].join(''),
  );
  process.stdout.write('\n');
  return isHeld;
}

async function main(): Promise<void> {
  const seconds = Number(process.argv[2] ?? SECONDS);
  const [redis, nodes] = await Promise.all([startRedis(), startChain({}, {}, {})]);
  const path = await openTcpPath(redis.port);
  const cluster = createCluster({
    redis: { url: `redis://127.0.0.1:${path.port}` },
    sidecar: { leaseTtl: '2s', rankingMaxAge: '10m' },
    networks: { [NETWORK]: { upstreams: upstreamsOf(nodes) } },
  });
  try {
    await Promise.all([cluster.addGateway(), cluster.addGateway(), cluster.addSidecar()]);
    await cluster.wellEverywhere();
    await keepDump({ redis });
    await read(cluster, WARM_UP_S); // A process is slow at first.
    process.stdout.write(
      `p99 of ${RATE_PER_S} reads a second for ${seconds} s: before, during, and by how much it grew (less than ${BOUND_MS} ms)\n`,
    );
    for (const trouble of Object.values(TROUBLES))
      if (!(await measure(cluster, { redis, path }, trouble, seconds))) process.exitCode = 1;
  } finally {
    await cluster.stop();
    path.close();
    await Promise.all([redis.stop(), ...nodes.map((node) => node.stop())]);
  }
}

await main();
