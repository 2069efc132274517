// Decides: how everything behind the routes is started and stopped together: networks, store, feed, the embedded cycle.
// Must not know: Fastify.
import {
  type Config,
  createLiveRedactor,
  createMemoryStore,
  createRedisStore,
  type FixedKeys,
  type LiveRedactor,
  type Log,
  type RedisClient,
  type Reloader,
  type ReloadResult,
  type Resolver,
  type Store,
  type StoreHealth,
  startReloader,
} from '@rpc-balancer/shared';
import { startDiscovery } from './cluster/discovery.ts';
import { Drains } from './cluster/drains.ts';
import { type Feed, startFeed } from './cluster/feed.ts';
import { startHeartbeat } from './cluster/heartbeat.ts';
import { type Sharing, startSharing } from './cluster/sharing.ts';
import { startWriteSharing, type WriteSharing } from './cluster/writes.ts';
import { asProbed, createEmbedded, type Embedded } from './embedded.ts';
import { parseText, readText } from './options.ts';
import type { Cancellation } from './upstream/cancellation.ts';
import type { AttemptListener, EjectionListener, Network, SecondListener } from './upstream/network.ts';
import { Networks } from './upstream/networks.ts';
import { Roster } from './upstream/roster.ts';
import { startWatch, type Watch } from './upstream/watch.ts';

/** What a running gateway cannot change: its store, its sockets, and what Fastify fixes with its routes. */
const FIXED: FixedKeys = {
  redis: null,
  gateway: ['host', 'port', 'trustProxy', 'bodyLimit', 'root', 'admin'],
  sidecar: ['leaseTtl'],
};

export interface GatewayOptions {
  readonly config: Config;
  /** The file it came from, to be followed; null for an object. */
  readonly file: string | null;
  readonly redis: RedisClient | null;
  readonly resolver: Resolver;
  readonly instance: string;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onInvalidRanking: (network: string) => void;
  readonly onReload: (result: string) => void;
  /** @throws BalancerError `RPCB_CONFIG` when another registration has a network of one of these names */
  readonly assertFree: (names: readonly string[]) => void;
  readonly onBeat: (network: string, durationMs: number) => void;
  readonly onBeatFailure: (network: string) => void;
  readonly onReportFailure: (network: string) => void;
}

export interface Gateway {
  /** The one in force. */
  readonly config: Config;
  readonly mode: 'embedded' | 'cluster';
  readonly store: Store;
  readonly networks: ReadonlyMap<string, Network>;
  readonly drains: Drains;
  /** Begins to read rankings and, where the cycle is embedded, to make them. Waits a moment for the drains, so that none is overlooked. */
  start(): Promise<void>;
  /** Reads the configuration file now; null without one. */
  reload(): ReloadResult | null;
  /** Requests in flight. */
  readonly running: Roster<Cancellation>;
  /** From now on requests in flight have `drainTimeout` to end. */
  drain(): void;
  close(): Promise<void>;
}

export function createGateway(options: GatewayOptions): Gateway {
  return new LiveGateway(options);
}

class LiveGateway implements Gateway {
  readonly store: Store;
  readonly drains: Drains;
  readonly running = new Roster<Cancellation>();
  readonly #options: GatewayOptions;
  readonly #networks: Networks;
  readonly #redactor: LiveRedactor;
  readonly #stopLogging: () => void;
  #config: Config;
  #feed: Feed | null = null;
  #watch: Watch | null = null;
  #writes: WriteSharing | null = null;
  #sharing: Sharing | null = null;
  #discovery: ReturnType<typeof startDiscovery> | null = null;
  #embedded: Embedded | null = null;
  #reloader: Reloader | null = null;
  #drainTimer: NodeJS.Timeout | null = null;

  constructor(options: GatewayOptions) {
    const { config, resolver, now, random, log, onAttempt, onSecond } = options;
    this.#options = options;
    this.#config = config;
    this.#redactor = createLiveRedactor(config);
    // First: what is wrong there throws before anything is connected.
    this.#networks = new Networks(asProbed(config, kindOfStore(options)), {
      ...{ random, resolver, log, onAttempt, onSecond },
      onWrite: (write) => this.#writes?.take(write),
      onEjection: logEjections(log),
      onMembers: () => this.drains.apply(),
    });
    this.store = openStore(options);
    this.drains = new Drains({ networks: this.#served, store: this.store, now, log });
    this.#stopLogging = this.store.onHealth(logChanges(log));
  }

  readonly #served = () => this.#networks.table.values();

  get config(): Config {
    return this.#config;
  }

  get mode(): 'embedded' | 'cluster' {
    return this.store.kind === 'memory' ? 'embedded' : 'cluster';
  }

  get networks(): ReadonlyMap<string, Network> {
    return this.#networks.table;
  }

  async start(): Promise<void> {
    const { now, log, file, resolver } = this.#options;
    const { store } = this;
    const onInvalid = this.#options.onInvalidRanking;
    const { intervalMs } = resolver;
    this.#discovery = startDiscovery({ networks: this.#served, intervalMs, now });
    this.#feed = startFeed({ networks: this.#served, store, now, log, onInvalid });
    this.#watch = startWatch(this.#served, now);
    // Alone there is nobody to share with, but whoever publishes wants to know what is used.
    const share = store.kind === 'memory' ? startHeartbeat : startSharing;
    this.#sharing = share({ ...this.#options, networks: this.#served, store });
    this.#writes = startWriteSharing({ networks: this.#served, store, now, log });
    this.#embedded = createEmbedded({ ...this.#options, store, redact: this.#redactor.redact });
    this.#embedded.follow(this.#config);
    if (file !== null) {
      this.#reloader = startReloader({
        ...{ file, config: this.#config, fixed: FIXED, log },
        ...{ read: readText, parse: parseText },
        apply: (next) => this.#apply(next),
        onResult: this.#options.onReload,
      });
    }
    await this.drains.start();
  }

  reload(): ReloadResult | null {
    return this.#reloader?.reload() ?? null;
  }

  #apply(next: Config): void {
    const added = Object.keys(next.networks).filter((name) => !this.#networks.table.has(name));
    this.#options.assertFree(added);
    const takeOn = this.#networks.prepare(asProbed(next, this.store.kind));
    this.#config = next;
    this.#redactor.renew(next);
    takeOn();
    this.drains.apply();
    this.#embedded?.follow(next);
  }

  drain(): void {
    this.#drainTimer ??= setTimeout(() => {
      for (const cancellation of this.running) cancellation.cancel('closing');
    }, this.#config.gateway.drainTimeout);
  }

  async close(): Promise<void> {
    this.#reloader?.stop();
    if (this.#drainTimer) clearTimeout(this.#drainTimer);
    this.#discovery?.stop();
    await this.#embedded?.stop();
    this.#watch?.stop();
    await Promise.all([this.#feed?.stop(), this.drains.stop(), this.#writes?.stop(), this.#sharing?.stop()]);
    await this.#networks.close();
    this.#stopLogging();
    await this.store.close();
  }
}

/** A line for each change of the store's health, not for each attempt to reconnect. */
function logChanges(log: Log): (health: StoreHealth) => void {
  let last: Partial<StoreHealth> = {};
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

function logEjections(log: Log): EjectionListener {
  return (network, upstream, ejected) => {
    if (ejected)
      log.warn({ network, upstream }, 'ejected: it failed maxFails requests; one trial after failTimeout');
    else log.info({ network, upstream }, 'admitted again: its trial succeeded');
  };
}

function kindOfStore({ config, redis }: GatewayOptions): Store['kind'] {
  return config.redis || redis ? 'redis' : 'memory';
}

function openStore(options: GatewayOptions): Store {
  const { config, redis, now, random } = options;
  if (kindOfStore(options) === 'memory') return createMemoryStore(now);
  const { prefix, clusterId } = config.redis ?? { prefix: 'rpcb', clusterId: 'default' };
  return createRedisStore({
    ...(redis ? { client: redis } : config.redis && { redis: config.redis }),
    prefix,
    clusterId,
    random,
    now,
  });
}
