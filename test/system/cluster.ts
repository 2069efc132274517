// Decides: how a system test gets gateways and sidecars as processes over one Redis, and what it may ask of them together.
// Must not know: what is asserted. Upstreams are the test's own.
import type { ConfigInput, Reason } from '@rpc-balancer/shared';
import type { NetworkStatus, Status, UpstreamStatus } from '../../packages/gateway-plugin/src/index.ts';
import { type Gateway, startGateway } from '../kit/gateway.ts';
import type { Runtime } from '../kit/paths.ts';
import { type RedisServer, startRedis } from '../kit/redis.ts';
import { type Sidecar, startSidecarProcess } from '../kit/sidecar.ts';
import { waitFor } from '../kit/wait.ts';

export type Networks = ConfigInput['networks'];

/** `pnpm test:long`: the same with more and longer runs. */
export const LONG = process.env.RPCB_LONG === '1';

/** Short, so that a publisher's death need not be waited for long; longer than a busy machine halts a publisher that lives. */
export const LEASE_TTL_MS = 2000;

/**
 * Often, so that a test need not wait; one attempt, so that a bad answer is believed at once; with patience for upstreams that
 * must be found well on a busy machine, too.
 */
export const PATIENT_PROBE = { interval: '200ms', timeout: '3s', attempts: 1 } as const;

/** Processes of this machine start in a second or two; two cores and other work may take a multiple. */
const WAIT_MS = 20_000;

export interface Cluster {
  readonly config: ConfigInput;
  /** Those that were started and not killed through this; in the order of their start. */
  readonly gateways: Gateway[];
  readonly sidecars: Sidecar[];
  addGateway(): Promise<Gateway>;
  addSidecar(runtime?: Runtime): Promise<Sidecar>;
  /** SIGKILL; it is asked for nothing any more. */
  kill(program: Gateway | Sidecar): Promise<void>;
  /** What each gateway says of a network. */
  networks(network: string): Promise<NetworkStatus[]>;
  /** Waits until every gateway has a ranking and every upstream of every network is eligible. */
  wellEverywhere(): Promise<void>;
  /** Waits until every gateway gives an upstream one of these reasons. */
  reason(network: string, id: string, ...reasons: readonly (Reason | null)[]): Promise<void>;
  /** The sidecar that publishes a network, as it says itself. */
  publisher(network: string): Promise<Sidecar>;
  stop(): Promise<void>;
}

export interface Trio extends Cluster {
  readonly redis: RedisServer;
}

export interface TrioOptions {
  readonly gateways?: number;
  readonly sidecars?: readonly Runtime[];
  readonly rankingMaxAge?: string;
  /** Stays the caller's. */
  readonly redis?: RedisServer;
}

/** Three gateways and two sidecars, on the two runtimes that Node projects use, over one Redis. */
export async function startTrio(networks: Networks, options: TrioOptions = {}): Promise<Trio> {
  const redis = options.redis ?? (await startRedis());
  const { gateways = 3, sidecars = ['node', 'bun'], rankingMaxAge = '30s' } = options;
  const sidecar = { leaseTtl: LEASE_TTL_MS, rankingMaxAge };
  const cluster = createCluster({ redis: { url: redis.url }, sidecar, networks });
  await Promise.all([
    ...Array.from({ length: gateways }, () => cluster.addGateway()),
    ...sidecars.map((runtime) => cluster.addSidecar(runtime)),
  ]);
  return {
    ...cluster,
    redis,
    async stop() {
      await cluster.stop();
      if (options.redis === undefined) await redis.stop();
    },
  };
}

/** One gateway without Redis, which probes by itself. */
export async function startEmbedded(networks: Networks): Promise<Cluster> {
  const cluster = createCluster({ networks });
  await cluster.addGateway();
  return cluster;
}

/** A cluster in which nothing runs yet. */
export function createCluster(config: ConfigInput): Cluster {
  const gateways: Gateway[] = [];
  const sidecars: Sidecar[] = [];

  const networks = (network: string) =>
    Promise.all(
      gateways.map(async (gateway) => {
        const status: Status = await gateway.status();
        const found = status.networks[network];
        if (!found) throw new Error(`there is no network ${network}`);
        return found;
      }),
    );

  return {
    config,
    gateways,
    sidecars,
    async addGateway() {
      const started = await startGateway({ config });
      gateways.push(started);
      return started;
    },
    async addSidecar(runtime = 'node') {
      const started = await startSidecarProcess({ config, runtime });
      sidecars.push(started);
      return started;
    },
    async kill(program) {
      for (const list of [gateways, sidecars]) {
        const at = list.indexOf(program);
        if (at !== -1) list.splice(at, 1);
      }
      await program.kill();
    },
    networks,
    async wellEverywhere() {
      for (const network of Object.keys(config.networks)) {
        await agreed(`${network} to be well`, async () => {
          for (const status of await networks(network)) {
            const bad = status.upstreams.filter(({ reason, head }) => reason !== null || head === null);
            if (status.ranking === null || status.ranking.stale || bad.length > 0) {
              throw new Error(summaryOf(status));
            }
          }
        });
      }
    },
    async reason(network, id, ...reasons) {
      await agreed(`${id} to be ${reasons.join(' or ')}`, async () => {
        for (const status of await networks(network)) {
          if (!reasons.includes(upstreamIn(status, id).reason)) throw new Error(summaryOf(status));
        }
      });
    },
    publisher: (network) =>
      waitFor(
        async () => {
          const states = await Promise.all(
            sidecars.map(async (one) => (await sidecarNetwork(one, network)).state),
          );
          const holders = sidecars.filter((_, at) => states[at] === 'holder');
          return holders.length === 1 && holders[0];
        },
        { what: `one sidecar to publish ${network}`, timeoutMs: WAIT_MS, everyMs: 25 },
      ),
    async stop() {
      for (const { process } of [...gateways, ...sidecars]) process.kill('SIGCONT'); // A paused process takes no SIGTERM.
      await Promise.all([...gateways, ...sidecars].map((program) => program.stop()));
    },
  };
}

/** Looks until nothing is thrown; what was thrown last tells why it never came to that. */
export async function agreed(what: string, look: () => Promise<void>): Promise<void> {
  const agrees = () => look().then(() => true);
  await waitFor(agrees, { what, timeoutMs: WAIT_MS, everyMs: 25 });
}

export function upstreamIn(status: NetworkStatus, id: string): UpstreamStatus {
  const found = status.upstreams.find((upstream) => upstream.id === id);
  if (!found) throw new Error(`there is no upstream ${id}`);
  return found;
}

/** What a sidecar says of a network. */
export async function sidecarNetwork(
  sidecar: Sidecar,
  network: string,
): Promise<{ readonly state: 'holder' | 'waiting' | 'off'; readonly epoch: number | null }> {
  const status = await sidecar.status();
  return status.networks.find((one: { network: string }) => one.network === network);
}

/** When each upstream last told the first sidecar of a head by itself, once all have, later than before where that is given. */
export async function toldHeads(
  { sidecars: [sidecar] }: Cluster,
  network: string,
  before: readonly number[] = [],
): Promise<number[]> {
  const look = async (): Promise<number[] | false> => {
    if (!sidecar) throw new Error('there is no sidecar');
    const { networks } = await sidecar.status();
    const { upstreams } = networks.find((one: { network: string }) => one.network === network);
    const times = upstreams.map(({ pushedAt }: { pushedAt: number | null }) => pushedAt ?? 0);
    return times.length > 0 && times.every((at: number, index: number) => at > (before[index] ?? 0)) && times;
  };
  return waitFor(look, { what: `heads of every upstream of ${network}`, timeoutMs: WAIT_MS, everyMs: 25 });
}

function summaryOf({ ranking, head, upstreams }: NetworkStatus): string {
  const each = upstreams.map(
    ({ id, reason, head: own, fails }) => `${id}: ${reason} at ${own}, ${fails} fails`,
  );
  return `${each.join('; ')}; head ${head}, epoch ${ranking?.epoch}, age ${ranking?.ageMs} ms`;
}
