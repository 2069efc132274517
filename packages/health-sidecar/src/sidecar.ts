// Decides: how the parts of a sidecar are started and stopped together, in its own process or embedded in a gateway.
// Must not know: ports, signals, files; whoever starts it owns the store.
import { isDeepStrictEqual } from 'node:util';
import type { Config, ReloadResult } from '@rpc-balancer/shared';
import { type Attendance, attend } from './attendance.ts';
import { logFailure } from './failure.ts';
import { emptyStatus } from './findings.ts';
import { createMetrics } from './metrics.ts';
import { type Runner, type RunnerSettings, runNetwork, type Surroundings } from './runner.ts';
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
  return new LiveSidecar(options);
}

class LiveSidecar implements Sidecar {
  readonly #options: SidecarOptions;
  readonly #leaseTtlMs: number;
  readonly #startedAt: number;
  readonly #metrics = createMetrics();
  readonly #attendance: Attendance;
  readonly #runners = new Map<string, Runner>();
  readonly #stopping = new Set<Promise<void>>();
  #config: Config;
  #stopped = false;

  constructor(options: SidecarOptions) {
    const { config, now } = options;
    this.#options = options;
    this.#config = config;
    this.#leaseTtlMs = config.sidecar.leaseTtl;
    this.#startedAt = now();
    this.#attendance = attend({
      ...options,
      lifeMs: this.#leaseTtlMs,
      onCount: this.#metrics.counted,
    });
    for (const network of Object.keys(config.networks)) this.#begin(network, config);
  }

  reload(next: Config): void {
    const before = this.#config;
    for (const network of Object.keys({ ...before.networks, ...next.networks })) this.#change(network, next);
    this.#config = next;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const [network, runner] of this.#runners) this.#end(network, runner);
    await Promise.all([...this.#stopping, this.#attendance.stop()]);
  }

  status(): SidecarStatus {
    const { instance, store } = this.#options;
    const networks = Object.entries(this.#config.networks).map(
      ([network, config]) => this.#runners.get(network)?.status() ?? emptyStatus(network, config),
    );
    return {
      instance,
      version: VERSION,
      startedAt: this.#startedAt,
      store: { kind: store.kind, ...store.health() },
      networks,
    };
  }

  ready(): Readiness {
    const health = this.#options.store.health();
    const { connected, problem, evictionRisk, connectionsLost, lastLostAt, slotsMoved } = health;
    const past = { connectionsLost, lastLostAt, slotsMoved };
    if (this.#stopped) return { status: 'stopped', problems: ['the sidecar was stopped'], store: past };
    const unreachable = connected ? null : (problem ?? 'the store is out of reach');
    const problems = [unreachable ?? problem, evictionRisk].filter((text) => text !== null);
    return { status: problems.length === 0 ? 'ok' : 'degraded', problems, store: past };
  }

  metrics(): Promise<string> {
    return this.#metrics.text(this.#options.store.health());
  }

  onReload(result: Exclude<ReloadResult, 'unchanged'>): void {
    this.#metrics.reloaded(result);
  }

  #change(network: string, next: Config): void {
    const settings = settingsOf(next, network);
    if (isDeepStrictEqual(settings, settingsOf(this.#config, network))) return;
    const runner = this.#runners.get(network);
    if (runner && settings) runner.reconfigure(settings);
    else if (runner) this.#end(network, runner);
    else this.#begin(network, next);
  }

  #begin(network: string, config: Config): void {
    const settings = settingsOf(config, network);
    if (settings === null) {
      this.#options.log.info(
        { network },
        'probe: off, so no ranking is published; gateways decide by passive health alone',
      );
      return;
    }
    const runner = runNetwork({
      ...{ ...this.#options, ...settings, network },
      metrics: this.#metrics,
      leaseTtlMs: this.#leaseTtlMs,
      attendance: this.#attendance,
    });
    this.#runners.set(network, runner);
  }

  #end(network: string, runner: Runner): void {
    this.#runners.delete(network);
    const stopped = runner.stop().catch((error) => logFailure(error, this.#options, { network }));
    const ended: Promise<void> = stopped.then(() => {
      this.#stopping.delete(ended);
      if (!this.#runners.has(network)) this.#metrics.removed(network);
    });
    this.#stopping.add(ended);
  }
}

/** What a network's runner has to know; null without probes, or without the network. */
function settingsOf({ networks, sidecar }: Config, network: string): RunnerSettings | null {
  const config = networks[network];
  if (!config?.probe) return null;
  return { config, probe: config.probe, rankingMaxAgeMs: sidecar.rankingMaxAge };
}
