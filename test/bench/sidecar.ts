// `pnpm bench:sidecar`: what one sidecar costs that probes 100 networks of 20 upstreams every two seconds.
// Says CPU time (user + system, from the operating system) by wall time, and memory; a busy machine changes neither much.
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pidusage from 'pidusage';
import { eventsChannel } from '../../packages/shared/src/wire/keys.ts';
import { startGateway } from '../kit/gateway.ts';
import { runLoad } from '../kit/load.ts';
import { inRepo, type Runtime } from '../kit/paths.ts';
import { startProcess } from '../kit/process.ts';
import { type RedisServer, startRedis } from '../kit/redis.ts';
import { type Sidecar, startSidecarProcess } from '../kit/sidecar.ts';
import { waitFor } from '../kit/wait.ts';

const NETWORKS = 100;
const UPSTREAMS = 20;
const INTERVAL_S = 2;
/** The first rounds connect and compile. */
const WARM_UP_MS = Number(process.env.BENCH_WARM_UP_MS ?? 15_000);
const WINDOW_MS = Number(process.env.BENCH_WINDOW_MS ?? 20_000);
const LISTENERS = 100;
const READS_PER_S = 500;

/** As in Dockerfile.bun: without it Bun lets garbage grow with the machine's memory. */
const ENV = { BUN_JSC_forceRAMSize: '536870912' };

const TARGET_CORES = 0.5;
const TARGET_MIB = 300;

interface Figures {
  readonly cores: number;
  readonly mib: number;
  readonly probesPerS: number;
  /** More than a few: the machine is too busy, and the figures are those of another load. */
  readonly failedPerS: number;
  readonly publishedPerS: number;
}

/** Each upstream has an address and port of its own, as 2000 nodes have. */
function configOf(ports: readonly number[], redis: RedisServer) {
  const upstreams = (network: number) =>
    ports.map((port, at) => ({ id: `node-${at}`, url: `http://127.0.1.${network + 1}:${port}` }));
  const networks = Array.from(
    { length: NETWORKS },
    (_, at) => [`net-${at}`, { probe: { interval: `${INTERVAL_S}s` }, upstreams: upstreams(at) }] as const,
  );
  return { redis: { url: redis.url }, networks: Object.fromEntries(networks) };
}

/** The sum of a metric over its labels. */
function sumOf(metrics: string, name: string): number {
  const values = metrics.matchAll(new RegExp(`^rpc_balancer_sidecar_${name}(?:\\{.*\\})? (\\S+)$`, 'gm'));
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
}

async function countsOf(sidecar: Sidecar) {
  const metrics = await sidecar.metrics();
  const { ctime } = await pidusage(sidecar.process.pid);
  return {
    at: performance.now(),
    cpuMs: ctime,
    probes: sumOf(metrics, 'probe_duration_seconds_count'),
    failures: sumOf(metrics, 'probe_failures_total'),
    published: sumOf(metrics, 'published_total'),
  };
}

async function measure(sidecar: Sidecar): Promise<Figures> {
  const before = await countsOf(sidecar);
  await delay(WINDOW_MS);
  const after = await countsOf(sidecar);
  const wallMs = after.at - before.at;
  const { memory } = await pidusage(sidecar.process.pid);
  return {
    cores: (after.cpuMs - before.cpuMs) / wallMs,
    mib: memory / 1024 ** 2,
    probesPerS: ((after.probes - before.probes) / wallMs) * 1000,
    failedPerS: ((after.failures - before.failures) / wallMs) * 1000,
    publishedPerS: ((after.published - before.published) / wallMs) * 1000,
  };
}

async function withSidecar(
  runtime: Runtime,
  config: object,
  use: (sidecar: Sidecar) => Promise<void>,
): Promise<void> {
  const sidecar = await startSidecarProcess({ config, runtime, env: ENV });
  try {
    await waitFor(async () => sumOf(await sidecar.metrics(), 'published_total') >= NETWORKS, {
      ...{ what: 'every network to be published', timeoutMs: 60_000, everyMs: 500 },
    });
    await delay(WARM_UP_MS);
    await use(sidecar);
  } finally {
    await sidecar.stop();
  }
}

/** While as many gateways listen for rankings as an own connection to Redis makes. */
async function whileHeard(redis: RedisServer, measured: () => Promise<Figures>): Promise<Figures> {
  const channel = eventsChannel({ prefix: 'rpcb', clusterId: 'default' });
  const listeners = await Promise.all(
    Array.from({ length: LISTENERS }, async () => {
      const client = new Redis(redis.url);
      await client.subscribe(channel);
      return client;
    }),
  );
  try {
    return await measured();
  } finally {
    for (const client of listeners) client.disconnect();
  }
}

/** While a gateway of the same cluster serves reads of one of the networks. */
async function whileServing(config: object, measured: () => Promise<Figures>): Promise<Figures> {
  const gateway = await startGateway({ config });
  try {
    const load = runLoad({
      ...{ url: `${gateway.url}/net-0`, ratePerS: READS_PER_S, durationMs: WINDOW_MS },
      makeCall: (id) => ({ body: `{"jsonrpc":"2.0","id":${id},"method":"eth_chainId","params":[]}` }),
      check: ({ statusCode }) => statusCode === 200,
    });
    const figures = await measured();
    const { sent, failed } = await load;
    if (failed * 2 > sent) throw new Error(`${failed} of ${sent} reads failed`);
    return figures;
  } finally {
    await gateway.stop();
  }
}

function print(...cells: readonly string[]): void {
  const padded = cells.map((cell, at) => (at === 0 ? cell.padEnd(26) : cell.padStart(12)));
  process.stdout.write(`${padded.join('')}\n`);
}

function show({ cores, mib, probesPerS, failedPerS, publishedPerS }: Figures): readonly string[] {
  const rates = [(cores * 1000) / publishedPerS, probesPerS, failedPerS, publishedPerS];
  return [cores.toFixed(3), mib.toFixed(0), ...rates.map((rate) => rate.toFixed(1))];
}

async function main(): Promise<void> {
  const redis = await startRedis();
  const nodes = startProcess({
    command: process.execPath,
    args: [inRepo('test', 'bench', 'probed-nodes.ts'), String(UPSTREAMS)],
  });
  try {
    const [line] = await nodes.waitForOutput(/\{"ports".*\}/);
    const { ports } = JSON.parse(line) as { ports: number[] }; // Our own program wrote it.
    const config = configOf(ports, redis);
    const onBun: Figures[] = [];
    print('', 'cores', 'MiB', 'ms/ranking', 'probes/s', 'failed/s', 'published/s');
    await withSidecar('bun', config, async (sidecar) => {
      const now = () => measure(sidecar);
      for (const [what, measured] of [
        ['bun, nobody listens', now],
        [`bun, ${LISTENERS} listen`, () => whileHeard(redis, now)],
        [`bun, ${READS_PER_S} reads/s served`, () => whileServing(config, now)],
      ] as const) {
        const figures = await measured();
        onBun.push(figures);
        print(what, ...show(figures));
      }
    });
    await withSidecar('node', config, async (sidecar) => {
      print('node, nobody listens', ...show(await measure(sidecar)));
    });
    const reached = onBun.every(({ cores, mib }) => cores < TARGET_CORES && mib < TARGET_MIB);
    const what = `${NETWORKS} networks x ${UPSTREAMS} upstreams every ${INTERVAL_S} s`;
    const target = `under ${TARGET_CORES} cores and ${TARGET_MIB} MiB on bun`;
    process.stdout.write(`\n${what}; target: ${target}: ${reached ? 'reached' : 'MISSED'}\n`);
    if (!reached) process.exitCode = 1;
  } finally {
    await nodes.stop();
    await redis.stop();
  }
}

await main();
