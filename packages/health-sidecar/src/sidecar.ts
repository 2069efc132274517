// Decides: how the parts of a sidecar are started and stopped together, in its own process or embedded in a gateway.
// Must not know: ports, signals, files; whoever starts it owns the store.
import type { Config, Log, Reason, Store } from '@rpc-balancer/shared';

export interface SidecarOptions {
  readonly config: Config;
  /** Stays the caller's: it is not closed by `stop`. */
  readonly store: Store;
  /** Names this process among all that share the store; must be unique. */
  readonly instance: string;
  /** Current time in epoch ms, from a monotonic source. */
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  /** Hides the configuration's secrets in a text; see `redactorOf`. */
  readonly redact: (text: string) => string;
}

export interface UpstreamStatus {
  readonly id: string;
  readonly reason: Reason | null;
  /** What the last failed probe said, redacted and cut; null while the last one succeeded. */
  readonly detail: string | null;
  readonly headNumber: number | null;
  readonly lagBlocks: number | null;
  readonly latencyP50Ms: number | null;
  readonly latencyP95Ms: number | null;
  readonly errorRatio: number;
  readonly score: number;
}

export interface NetworkStatus {
  readonly network: string;
  /** `off`: the configuration says `probe: off`, so that passive health alone decides. */
  readonly state: 'holder' | 'waiting' | 'off';
  readonly epoch: number | null;
  readonly seq: number | null;
  readonly publishedCount: number;
  readonly fencedCount: number;
  readonly configHash: string;
  readonly identity: string | null;
  readonly headNumber: number | null;
  readonly finalized: number | null;
  readonly blockIntervalMs: number | null;
  /** Of the last ranking that this process made, epoch ms. */
  readonly generatedAt: number | null;
  readonly upstreams: readonly UpstreamStatus[];
}

export interface SidecarStatus {
  readonly instance: string;
  readonly version: string;
  readonly startedAt: number;
  readonly store: {
    readonly kind: 'memory' | 'redis';
    readonly connected: boolean;
    readonly problem: string | null;
    readonly evictionRisk: string | null;
  };
  readonly networks: readonly NetworkStatus[];
}

/** `degraded`: it works, but something that it says in `problems` should be mended. */
export interface Readiness {
  readonly status: 'ok' | 'degraded' | 'stopped';
  readonly problems: readonly string[];
}

export interface Sidecar {
  status(): SidecarStatus;
  /** The metrics in Prometheus text format; all names begin with `rpc_balancer_sidecar_`. */
  metrics(): Promise<string>;
  ready(): Readiness;
  /** Stops probing, gives the leases back and waits for both. */
  stop(): Promise<void>;
}

/** Starts to compete for the lease of every network, and probes and publishes those that it gets. */
export function startSidecar(options: SidecarOptions): Sidecar {
  throw new TypeError(`not started: ${options.instance}`);
}
