// Decides: which gateways and sidecars the demo runs over which Redis, and what they say of themselves.
// Must not know: how it is shown or checked.
import type { NetworkStatus, Status } from '@rpc-balancer/gateway-plugin';
import { startGateway } from '../../test/kit/gateway.ts';
import type { Program } from '../../test/kit/program.ts';
import { startSidecarProcess } from '../../test/kit/sidecar.ts';
import { waitFor } from '../../test/kit/wait.ts';
import { CHAIN_ID, type DemoNode } from './nodes.ts';
import type { DemoRedis } from './redis.ts';

/** The network's name, which is its path at the gateways. */
const NETWORK = 'demo';

/** A lag of more blocks than this is too much: one that shows soon, and that no jitter of one-second blocks reaches. */
const LAG_BLOCKS_MAX = 3;

/** Often, so that the demo's viewer need not wait. */
const PROBE_INTERVAL = '500ms';

/** Bun would keep what it has transpiled in the home directory, and the demo leaves no file behind. */
const BUN_ENV = { BUN_RUNTIME_TRANSPILER_CACHE_PATH: '0' };

/** A gateway answers in milliseconds; one that was paused must not hold up the picture of the others. */
const STATUS_TIMEOUT_MS = 900;

/** A few probes; a slow machine takes a multiple. */
const READY_TIMEOUT_MS = 20_000;

export interface Replica {
  readonly name: string;
  readonly program: Program;
}

export interface Cluster {
  readonly mode: 'cluster' | 'embedded';
  readonly gateways: readonly Replica[];
  readonly sidecars: readonly Replica[];
  /** What each gateway says of the network; null from one that does not answer. */
  statuses(): Promise<readonly (NetworkStatus | null)[]>;
  /** The name of the program that publishes under this instance, if it is one of ours. */
  publisherName(instance: string): string | null;
  /** Waits for the programs to end. */
  stop(): Promise<void>;
}

/** Without Redis: one gateway, which probes by itself. Resolves when every gateway finds every node eligible. */
export async function startCluster(nodes: readonly DemoNode[], redis: DemoRedis | null): Promise<Cluster> {
  const config = configOf(nodes, redis);
  const [gateways, sidecars] = await Promise.all([
    startAll('gateway', redis ? 3 : 1, () => startGateway({ config })),
    startAll('sidecar', redis ? 2 : 0, () => startSidecarProcess({ config, runtime: 'bun', env: BUN_ENV })),
  ]);
  const replicas = [...gateways, ...sidecars];
  const statuses = () => Promise.all(gateways.map(networkStatus));
  await waitFor(async () => replicas.some(hasEnded) || (await statuses()).every(isComplete), {
    what: 'every gateway to find every node eligible',
    timeoutMs: READY_TIMEOUT_MS,
    everyMs: 50,
  });
  const gone = replicas.find(hasEnded);
  if (gone) throw new Error(`${gone.name} ended at start; it said:\n${gone.program.output}`);
  const instances = await instancesOf(replicas);
  return {
    mode: redis ? 'cluster' : 'embedded',
    gateways,
    sidecars,
    statuses,
    publisherName: (instance) => instances.get(instance) ?? null,
    async stop() {
      for (const { program } of replicas) program.process.kill('SIGCONT'); // A paused process takes no SIGTERM.
      await Promise.all(replicas.map(({ program }) => program.stop()));
    },
  };
}

/** Where a client sends its requests. */
export function endpointOf({ program }: Replica): string {
  return `${program.url}/${NETWORK}`;
}

/** The addresses of everything, as lines. */
export function addressLines({ gateways, sidecars }: Cluster, nodes: readonly DemoNode[]): string[] {
  const line = (name: string, url: string, pid: number) => `${name.padEnd(10)} ${url}  (pid ${pid})`;
  return [
    ...gateways.map((replica) => line(replica.name, endpointOf(replica), replica.program.process.pid)),
    ...sidecars.map(({ name, program }) => line(name, `${program.url}/status`, program.process.pid)),
    ...nodes.map(({ id, anvil }) => line(id, anvil.url, anvil.process.pid)),
  ];
}

function configOf(nodes: readonly DemoNode[], redis: DemoRedis | null): object {
  return {
    ...(redis && { redis: { url: redis.url, prefix: redis.prefix } }),
    networks: {
      [NETWORK]: {
        identity: String(CHAIN_ID),
        maxLagBlocks: LAG_BLOCKS_MAX,
        probe: { interval: PROBE_INTERVAL },
        upstreams: nodes.map(({ id, anvil }) => ({ id, url: anvil.url })),
      },
    },
  };
}

function startAll(kind: string, count: number, start: () => Promise<Program>): Promise<readonly Replica[]> {
  const names = Array.from({ length: count }, (_, at) => `${kind}-${at + 1}`);
  return Promise.all(
    names.map(async (name) => {
      const program = await start().catch((cause: unknown) => {
        throw new Error(`${name} did not start`, { cause });
      });
      return { name, program };
    }),
  );
}

async function instancesOf(replicas: readonly Replica[]): Promise<ReadonlyMap<string, string>> {
  const named = replicas.map(async ({ name, program }) => {
    const { instance }: { instance: string } = await program.status();
    return [instance, name] as const;
  });
  return new Map(await Promise.all(named));
}

async function networkStatus({ program }: Replica): Promise<NetworkStatus | null> {
  try {
    const response = await fetch(`${program.url}/status`, { signal: AbortSignal.timeout(STATUS_TIMEOUT_MS) });
    const status = (await response.json()) as Status; // It is our own program that answers.
    return status.networks[NETWORK] ?? null;
  } catch {
    return null; // It was killed or paused, or is about to end.
  }
}

function hasEnded({ program }: Replica): boolean {
  return !program.process.running;
}

function isComplete(status: NetworkStatus | null): boolean {
  return (
    status?.ranking != null &&
    status.upstreams.every(({ state, head }) => state === 'eligible' && head !== null)
  );
}
