// `pnpm demo`: three nodes, two sidecars and three gateways on one machine, and a live table of what they do.
// Decides: arguments, signals, the order of starting and stopping. The kit ends whatever is left when this process exits.
import { parseArgs } from 'node:util';
import { check } from './check.ts';
import { addressLines, type Cluster, startCluster } from './cluster.ts';
import { type DemoNode, startNodes, stopNodes } from './nodes.ts';
import { type DemoRedis, findRedis } from './redis.ts';
import { show } from './show.ts';

const USAGE = `usage: pnpm demo [--check] [--embedded]
  --check     kill a node and a sidecar under load, say what clients noticed, and end
  --embedded  one gateway without Redis, even where a Redis is found
`;

const EXIT = { done: 0, failed: 1, misused: 2, interrupted: 130 } as const;

/** A terminal's Ctrl-C may arrive twice, through the shell and through pnpm; later ones are meant. */
const SAME_SIGNAL_MS = 500;

interface Running {
  readonly nodes: readonly DemoNode[];
  readonly redis: DemoRedis | null;
  readonly cluster: Cluster;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { check: checks, embedded } = readArguments();
  const interruption = interrupted();
  const running = await Promise.race([start(embedded), interruption]);
  if (running === 'interrupted') return EXIT.interrupted;
  const { cluster, nodes } = running;
  const heading = headingOf(running);
  try {
    if (!checks) {
      await show({ cluster, nodes, heading, until: interruption });
      return EXIT.done;
    }
    for (const line of heading) print(line);
    let over = false;
    // What a check finds while everything is being stopped would only mislead.
    const report = (line: string) => over || print(line);
    const passed = await Promise.race([check(cluster, nodes, report), interruption]);
    over = true;
    if (passed === 'interrupted') return EXIT.interrupted;
    return passed ? EXIT.done : EXIT.failed;
  } finally {
    await stop(running);
  }
}

function readArguments(): { readonly check: boolean; readonly embedded: boolean } {
  const boolean = { type: 'boolean', default: false } as const;
  try {
    const args = process.argv.slice(2).filter((arg) => arg !== '--'); // pnpm hands a separating -- on.
    const { values } = parseArgs({ args, options: { check: boolean, embedded: boolean, help: boolean } });
    if (!values.help) return values;
    process.stdout.write(USAGE);
    return process.exit(EXIT.done);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`); // parseArgs throws nothing else
    return process.exit(EXIT.misused);
  }
}

/** Resolves with the first signal that asks us to end; a second one ends at once. */
function interrupted(): Promise<'interrupted'> {
  return new Promise((resolve) => {
    let firstAt: number | null = null;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        firstAt ??= performance.now();
        if (performance.now() - firstAt > SAME_SIGNAL_MS) process.exit(EXIT.interrupted);
        resolve('interrupted');
      });
    }
  });
}

async function start(embedded: boolean): Promise<Running> {
  print('starting …');
  const [nodes, redis] = await Promise.all([startNodes(), embedded ? null : findRedis()]);
  const cluster = await startCluster(nodes, redis);
  return { nodes, redis, cluster };
}

async function stop({ cluster, nodes, redis }: Running): Promise<void> {
  print('stopping …');
  await cluster.stop();
  await Promise.all([stopNodes(nodes), redis?.stop()]);
}

function headingOf({ cluster, nodes, redis }: Running): string[] {
  const { gateways, sidecars } = cluster;
  const how = redis
    ? `${gateways.length} gateways and ${sidecars.length} sidecars on ${redis.description}`
    : 'one embedded gateway (no Redis: neither REDIS_URL nor redis-server nor valkey-server, or --embedded)';
  return [`${nodes.length} nodes behind ${how}`, '', ...addressLines(cluster, nodes)];
}

// Whoever reads our output has gone, as in `pnpm demo | head`.
process.stdout.on('error', () => process.exit(EXIT.done));

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`the demo failed: ${messages(error)}\n`);
    process.exit(EXIT.failed);
  },
);

/** An error's message and those of its causes; a stack would tell nothing about a child that ended. */
function messages(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\n${messages(error.cause)}`;
}
