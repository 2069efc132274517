// Decides: how the parts of a sidecar are started and stopped together, in its own process or embedded in a gateway.
// Must not know: ports, signals, files; whoever starts it owns the store.
import { isDeepStrictEqual } from 'node:util';
import type { Config, ReloadResult } from '@rpc-balancer/shared';
import { attend } from './attendance.ts';
import { createMetrics } from './metrics.ts';
import { emptyStatus, type Runner, type RunnerSettings, runNetwork, type Surroundings } from './runner.ts';
import type { Readiness, SidecarStatus } from './status.ts';
import { VERSION } from './version.ts';

export interface SidecarOptions extends Surroundings {
  readonly config: Config;
}

export interface Sidecar {
  status(): SidecarStatus;
  /** The metrics in Prometheus text format; all names begin with `rpc_balancer_sidecar_`. */
  metrics(): Promise<string>;
  ready(): Readiness;
  /** Takes on another configuration at once; a network that stays keeps its lease. `leaseTtl` stays as it was. */
  reload(config: Config): void;
  /** Counts what came of a changed file. */
  onReload(result: Exclude<ReloadResult, 'unchanged'>): void;
  /** Stops probing, gives the leases back and waits for both. */
  stop(): Promise<void>;
}

/** Starts to compete for the lease of every network, and probes and publishes those that it gets. */
export function startSidecar(options: SidecarOptions): Sidecar {
  const { store, instance, now, log } = options;
  const leaseTtlMs = options.config.sidecar.leaseTtl;
  const startedAt = now();
  const metrics = createMetrics();
  const attendance = attend({ ...options, lifeMs: leaseTtlMs, onCount: metrics.counted });
  const runners = new Map<string, Runner>();
  const stopping = new Set<Promise<void>>();
  let { config } = options;
  let stopped = false;

  function begin(network: string, next: Config): void {
    const settings = settingsOf(next, network);
    if (settings)
      runners.set(
        network,
        runNetwork({ ...options, ...settings, ...{ network, metrics, leaseTtlMs, attendance } }),
      );
    else
      log.info(
        { network },
        'probe: off, so no ranking is published; gateways decide by passive health alone',
      );
  }

  function end(network: string, runner: Runner): void {
    runners.delete(network);
    const ended: Promise<void> = runner.stop().then(() => {
      stopping.delete(ended);
      if (!runners.has(network)) metrics.removed(network);
    });
    stopping.add(ended);
  }

  function change(network: string, next: Config): void {
    const settings = settingsOf(next, network);
    if (isDeepStrictEqual(settings, settingsOf(config, network))) return;
    const runner = runners.get(network);
    if (runner && settings) runner.reconfigure(settings);
    else if (runner) end(network, runner);
    else begin(network, next);
  }

  for (const network of Object.keys(config.networks)) begin(network, config);

  return {
    status() {
      const networks = Object.entries(config.networks).map(
        ([network, networkConfig]) => runners.get(network)?.status() ?? emptyStatus(network, networkConfig),
      );
      return {
        instance,
        version: VERSION,
        startedAt,
        store: { kind: store.kind, ...store.health() },
        networks,
      };
    },
    metrics: () => metrics.text(store.health()),
    ready() {
      const { connected, problem, evictionRisk, connectionsLost, lastLostAt, slotsMoved } = store.health();
      const past = { connectionsLost, lastLostAt, slotsMoved };
      if (stopped) return { status: 'stopped', problems: ['the sidecar was stopped'], store: past };
      const unreachable = connected ? null : (problem ?? 'the store is out of reach');
      const problems = [unreachable ?? problem, evictionRisk].filter((text) => text !== null);
      return { status: problems.length === 0 ? 'ok' : 'degraded', problems, store: past };
    },
    reload(next) {
      for (const network of Object.keys({ ...config.networks, ...next.networks })) change(network, next);
      config = next;
    },
    onReload: metrics.reloaded,
    async stop() {
      stopped = true;
      for (const [network, runner] of runners) end(network, runner);
      await Promise.all([...stopping, attendance.stop()]);
    },
  };
}

/** What a network's runner has to know; null without probes, or without the network. */
function settingsOf({ networks, sidecar }: Config, network: string): RunnerSettings | null {
  const config = networks[network];
  if (!config?.probe) return null;
  return { config, probe: config.probe, rankingMaxAgeMs: sidecar.rankingMaxAge };
}
