// `pnpm bench`: what a request costs, compared in interleaved rounds of one run, since machines are noisy.
// Says CPU per request (user + system time of the process, from the operating system) and requests per second.
import pidusage from 'pidusage';
import { Pool } from 'undici';
import { type Contender, startContenders, startNodes } from './contenders.ts';

const ROUNDS = 5;
const REQUESTS_PER_ROUND = Number(process.env.BENCH_REQUESTS ?? 20_000);
const CONNECTIONS = 64;
/** V8 goes on compiling until about here, in threads whose time counts as well; afterwards nothing changes. */
const WARM_UP_REQUESTS = 30_000;

/** What the path is built for: at most this share of @fastify/http-proxy's CPU per request. */
const TARGET_RATIO = 0.6;

interface Round {
  readonly cpuMicros: number;
  readonly perSecond: number;
}

let nextAddress = 0;

async function main(): Promise<void> {
  const nodes = await startNodes();
  const contenders = await startContenders(nodes.ports, process.argv.includes('--profile'));
  try {
    const rounds = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]));
    for (const contender of contenders) await run(contender, WARM_UP_REQUESTS);
    for (let round = 0; round < ROUNDS; round++) {
      for (const contender of contenders)
        rounds.get(contender.name)?.push(await run(contender, REQUESTS_PER_ROUND));
    }
    report(rounds);
  } finally {
    await Promise.all(contenders.map((contender) => contender.stop()));
    await nodes.stop();
  }
}

/** Sends `count` distinct reads over {@link CONNECTIONS} connections, each sending its next when it has its answer. */
async function run({ name, url, pid }: Contender, count: number): Promise<Round> {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections: CONNECTIONS, pipelining: 1 });
  const before = await cpuMs(pid);
  const startedAt = performance.now();
  let left = count;
  async function client(): Promise<void> {
    while (left-- > 0) {
      const address = `0x${(nextAddress++).toString(16).padStart(40, '0')}`;
      const body = `{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["${address}","latest"]}`;
      const answer = await pool.request({
        method: 'POST',
        path: pathname,
        headers: { 'content-type': 'application/json' },
        body,
      });
      const text = await answer.body.text();
      const right = name === 'constant route' || text.includes(address);
      if (answer.statusCode !== 200 || !right)
        throw new Error(`${name} answered ${answer.statusCode}: ${text.slice(0, 200)}`);
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = (await cpuMs(pid)) - before;
  await pool.close();
  return { cpuMicros: (cpu * 1000) / count, perSecond: count / seconds };
}

async function cpuMs(pid: number): Promise<number> {
  const { ctime } = await pidusage(pid);
  return ctime;
}

function report(rounds: ReadonlyMap<string, readonly Round[]>): void {
  const proxy = rounds.get('@fastify/http-proxy') ?? [];
  const nginx = rounds.get('nginx least_conn');
  const line = (cells: readonly string[]) =>
    `${cells.map((cell, at) => (at === 0 ? cell.padEnd(22) : cell.padStart(15))).join('')}\n`;
  process.stdout.write(line(['', 'CPU µs/request', 'requests/s', '× http-proxy', nginx ? '× nginx' : '']));
  for (const [name, own] of rounds) {
    process.stdout.write(
      line([
        name,
        median(own.map(({ cpuMicros }) => cpuMicros)).toFixed(1),
        median(own.map(({ perSecond }) => perSecond)).toFixed(0),
        ratio(own, proxy).toFixed(2),
        nginx ? ratio(own, nginx).toFixed(2) : '',
      ]),
    );
  }
  const reached = ratio(rounds.get('rpc-balancer') ?? [], proxy);
  const verdict = reached <= TARGET_RATIO ? 'reached' : 'MISSED';
  process.stdout.write(
    `\nrpc-balancer / @fastify/http-proxy: ${reached.toFixed(2)} (target ${TARGET_RATIO}: ${verdict}); median of ${ROUNDS} rounds of ${REQUESTS_PER_ROUND} requests over ${CONNECTIONS} connections\n`,
  );
  if (!nginx) process.stdout.write('nginx is not on PATH, so it was not compared.\n');
  if (reached > TARGET_RATIO) process.exitCode = 1;
}

/** Median of the ratios of the rounds: what disturbs a round disturbs both of its sides. */
function ratio(own: readonly Round[], other: readonly Round[]): number {
  return median(own.map(({ cpuMicros }, at) => cpuMicros / (other[at]?.cpuMicros ?? Number.NaN)));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

await main();
