// Decides: how everything behind the routes is started and stopped together: networks, store, feed, and embedded the sidecar.
// Must not know: Fastify.
import { type Sidecar, startSidecar } from '@rpc-balancer/health-sidecar';
import {
  type Config,
  createMemoryStore,
  createRedisStore,
  type Log,
  type RedisClient,
  type Resolver,
  redactorOf,
  type Store,
  type StoreHealth,
} from '@rpc-balancer/shared';
import { startDiscovery } from './cluster/discovery.ts';
import { type Feed, startFeed } from './cluster/feed.ts';
import { type Sharing, startSharing } from './cluster/sharing.ts';
import { startWriteSharing, type WriteSharing } from './cluster/writes.ts';
import type { Cancellation } from './upstream/cancellation.ts';
import {
  type AttemptListener,
  type EjectionListener,
  type Network,
  openNetwork,
  type SecondListener,
  type WriteListener,
} from './upstream/network.ts';
import { Roster } from './upstream/roster.ts';
import { startWatch, type Watch } from './upstream/watch.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly redis: RedisClient | null;
  readonly resolver: Resolver;
  readonly instance: string;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onInvalidRanking: (network: string) => void;
  readonly onBeatFailure: (network: string) => void;
  readonly onReportFailure: (network: string) => void;
}

export interface Gateway {
  readonly config: Config;
  readonly mode: 'embedded' | 'cluster';
  readonly store: Store;
  readonly networks: ReadonlyMap<string, Network>;
  /** Begins to read rankings and, embedded, to make them. Does not wait for nodes or Redis. */
  start(): void;
  /** Requests in flight. */
  readonly running: Roster<Cancellation>;
  /** From now on requests in flight have `drainTimeout` to end. */
  drain(): void;
  close(): Promise<void>;
}

export function createGateway(options: GatewayOptions): Gateway {
  const { config, resolver, now, random, log } = options;
  let writes: WriteSharing | null = null;
  const networks = openNetworks(options, (write) => writes?.take(write)); // First: what is wrong there throws before anything is connected.
  const store = openStore(options);
  const running = new Roster<Cancellation>();
  let feed: Feed | null = null;
  let sharing: Sharing | null = null;
  let watch: Watch | null = null;
  let discovery: ReturnType<typeof startDiscovery> | null = null;
  let sidecar: Sidecar | null = null;
  let drainTimer: NodeJS.Timeout | null = null;

  const stopLogging = store.onHealth(logChanges(log));

  return {
    config,
    mode: store.kind === 'memory' ? 'embedded' : 'cluster',
    store,
    networks,
    start() {
      discovery = startDiscovery({
        networks: () => networks.values(),
        intervalMs: resolver.intervalMs,
        now,
      });
      feed = startFeed({
        networks: () => networks.values(),
        store,
        now,
        log,
        onInvalid: options.onInvalidRanking,
      });
      watch = startWatch(() => networks.values(), now);
      writes = startWriteSharing({ networks: () => networks.values(), store, now, log });
      if (store.kind === 'memory') {
        sidecar = startSidecar({
          config,
          store,
          resolver,
          instance: options.instance,
          now,
          random,
          log,
          redact: redactorOf(config),
        });
      } else sharing = startSharing({ ...options, networks: () => networks.values(), store });
    },
    running,
    drain() {
      drainTimer ??= setTimeout(() => {
        for (const cancellation of running) cancellation.cancel('closing');
      }, config.gateway.drainTimeout);
    },
    async close() {
      if (drainTimer) clearTimeout(drainTimer);
      discovery?.stop();
      await sidecar?.stop();
      await Promise.all([feed?.stop(), sharing?.stop()]);
      watch?.stop();
      await writes?.stop();
      await Promise.all([...networks.values()].map((network) => network.close()));
      stopLogging();
      await store.close();
    },
  };
}

/** A line for each change of the store's health, not for each attempt to reconnect. */
function logChanges(log: Log): (health: StoreHealth) => void {
  let last: StoreHealth = { connected: false, problem: null, evictionRisk: null };
  return (health) => {
    const { connected, problem, evictionRisk } = health;
    if (problem && problem !== last.problem) {
      log.warn({ problem }, 'the store is out of reach; serving by the last ranking and passive health');
    }
    if (connected && !last.connected) log.info({}, 'the store is reached');
    if (evictionRisk && evictionRisk !== last.evictionRisk)
      log.warn({ problem: evictionRisk }, 'the store may evict control keys');
    last = health;
  };
}

function openStore({ config, redis, now, random }: GatewayOptions): Store {
  if (!config.redis && !redis) return createMemoryStore(now);
  const { prefix, clusterId } = config.redis ?? { prefix: 'rpcb', clusterId: 'default' };
  return createRedisStore({
    ...(redis ? { client: redis } : config.redis && { redis: config.redis }),
    prefix,
    clusterId,
    random,
  });
}

function openNetworks(
  { config, resolver, random, log, onAttempt, onSecond }: GatewayOptions,
  onWrite: WriteListener,
): ReadonlyMap<string, Network> {
  const { batchLimit, batchAnswerLimit, holdAnswer } = config.gateway;
  const limits = { batchLimit, batchAnswerLimitBytes: batchAnswerLimit, holdAnswerBytes: holdAnswer };
  const rankingMaxAgeMs = config.sidecar.rankingMaxAge;
  const onEjection: EjectionListener = (network, upstream, ejected) => {
    if (ejected)
      log.warn({ network, upstream }, 'ejected: it failed maxFails requests; one trial after failTimeout');
    else log.info({ network, upstream }, 'admitted again: its trial succeeded');
  };
  return new Map(
    Object.entries(config.networks).map(([name, network]) => [
      name,
      openNetwork({
        name,
        config: network,
        limits,
        rankingMaxAgeMs,
        zone: config.gateway.zone,
        random,
        resolver,
        log,
        onAttempt,
        onSecond,
        onEjection,
        onWrite,
      }),
    ]),
  );
}
