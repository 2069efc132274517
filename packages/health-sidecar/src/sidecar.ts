// Decides: how the parts of a sidecar are started and stopped together, in its own process or embedded in a gateway.
// Must not know: ports, signals, files; whoever starts it owns the store.
import {
  type Config,
  configHash,
  createNames,
  type Lease,
  type Log,
  type NetworkConfig,
  type Ranking,
  type Resolver,
  type Store,
} from '@rpc-balancer/shared';
import { createCycle } from './cycle.ts';
import { createFetchers } from './fetchers.ts';
import { keepLease } from './lease.ts';
import { packageVersion } from './runtime.ts';
import type { Sample } from './samples.ts';
import {
  createMetrics,
  type Metrics,
  type NetworkStatus,
  type Readiness,
  type SidecarStatus,
} from './status.ts';

export interface SidecarOptions {
  readonly config: Config;
  /** Stays the caller's: it is not closed by `stop`. */
  readonly store: Store;
  readonly resolver: Resolver;
  /** Names this process among all that share the store; must be unique. */
  readonly instance: string;
  /** Current time in epoch ms, from a monotonic source. */
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  /** Hides the configuration's secrets in a text; see `redactorOf`. */
  readonly redact: (text: string) => string;
}

export interface Sidecar {
  status(): SidecarStatus;
  /** The metrics in Prometheus text format; all names begin with `rpc_balancer_sidecar_`. */
  metrics(): Promise<string>;
  ready(): Readiness;
  /** Stops probing, gives the leases back and waits for both. */
  stop(): Promise<void>;
}

/** One network's part of the sidecar. */
interface NetworkRunner {
  status(): NetworkStatus;
  stop(): Promise<void>;
}

/** Starts to compete for the lease of every network, and probes and publishes those that it gets. */
export function startSidecar(options: SidecarOptions): Sidecar {
  const { config, store, instance, now } = options;
  const startedAt = now();
  const version = packageVersion();
  const metrics = createMetrics();
  const runners = Object.entries(config.networks).map(([network, networkConfig]) =>
    runNetwork(network, networkConfig, options, metrics),
  );
  let stopped = false;

  return {
    status() {
      const networks = runners.map((runner) => runner.status());
      return { instance, version, startedAt, store: { kind: store.kind, ...store.health() }, networks };
    },
    metrics: () => metrics.text(store.health()),
    ready() {
      if (stopped) return { status: 'stopped', problems: ['the sidecar was stopped'] };
      const { connected, problem, evictionRisk } = store.health();
      const unreachable = connected ? null : (problem ?? 'the store is out of reach');
      const problems = [unreachable ?? problem, evictionRisk].filter((text) => text !== null);
      return { status: problems.length === 0 ? 'ok' : 'degraded', problems };
    },
    async stop() {
      stopped = true;
      await Promise.all(runners.map((runner) => runner.stop()));
    },
  };
}

function runNetwork(
  network: string,
  config: NetworkConfig,
  options: SidecarOptions,
  metrics: Metrics,
): NetworkRunner {
  const { instance, store, resolver, log } = options;
  const hash = configHash(config);
  const details = new Map<string, string>();
  let lease: Lease | null = null;
  let ranking: Ranking | null = null;
  let publishedCount = 0;
  let fencedCount = 0;

  function status(): NetworkStatus {
    return {
      network,
      state: config.probe === null ? 'off' : lease === null ? 'waiting' : 'holder',
      epoch: lease?.epoch ?? null,
      seq: ranking?.seq ?? null,
      publishedCount,
      fencedCount,
      configHash: hash,
      identity: ranking?.identity ?? config.identity ?? null,
      headNumber: ranking?.head?.number ?? null,
      finalized: ranking?.finalized ?? null,
      blockIntervalMs: ranking?.blockIntervalMs ?? null,
      generatedAt: ranking?.generatedAt ?? null,
      upstreams: (ranking?.upstreams ?? []).map(({ head, finalized: _finalized, ...shown }) => ({
        ...shown,
        headNumber: head?.number ?? null,
        detail: details.get(shown.id) ?? null,
      })),
    };
  }

  if (config.probe === null) {
    log.info({ network }, 'probe: off, so no ranking is published; gateways decide by passive health alone');
    return { status, stop: async () => {} };
  }
  const fetchers = createFetchers();
  const names = createNames({ network, config, resolver, log, onChange: fetchers.keep });
  const work = createCycle({
    ...options,
    network,
    config,
    probe: config.probe,
    names,
    configHash: hash,
    publisher: instance,
    rankingMaxAgeMs: options.config.sidecar.rankingMaxAge,
    fetcherOf: fetchers.of,
    onSample(upstream: string, sample: Sample, durationMs: number) {
      metrics.probed(network, upstream, sample.failure, durationMs);
      if (sample.failure === null) details.delete(upstream);
      else details.set(upstream, sample.detail);
    },
    onPublished(published) {
      ranking = published;
      const ids = new Set(published.upstreams.map(({ id }) => id));
      for (const id of details.keys()) if (!ids.has(id)) details.delete(id);
      publishedCount++;
      metrics.published(network, published);
    },
  });
  const keeper = keepLease({
    ...options,
    network,
    holder: instance,
    ttlMs: options.config.sidecar.leaseTtl,
    store,
    work,
    onChange(changed) {
      lease = changed;
      if (changed === null) ranking = null;
      metrics.leased(network, changed);
    },
    onFenced() {
      fencedCount++;
      metrics.fenced(network);
    },
  });
  metrics.leased(network, null);
  return {
    status,
    async stop() {
      names.close();
      await keeper.stop();
      await fetchers.close();
    },
  };
}
