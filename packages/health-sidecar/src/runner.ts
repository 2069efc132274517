// Decides: how one network is run: its lease, the cycle under it, and how another configuration takes over without losing either.
// Must not know: other networks; whoever starts it owns the store.
import {
  configHash,
  createNames,
  type Log,
  type Names,
  type NetworkConfig,
  type ProbeConfig,
  type Ranking,
  type Redact,
  type Resolver,
  type Store,
} from '@rpc-balancer/shared';
import type { Attendance } from './attendance.ts';
import { type CycleEnd, type CycleOptions, createCycle, type Tenure } from './cycle.ts';
import { createFetchers, type Fetchers } from './fetchers.ts';
import { emptyStatus, Findings } from './findings.ts';
import { type HeldLease, keepLease, type LeaseKeeper, type LeaseOptions } from './lease.ts';
import type { Metrics } from './metrics.ts';
import type { NetworkStatus } from './status.ts';

/** What the configuration says of a network; replaced when it changes. */
export interface RunnerSettings {
  readonly config: NetworkConfig;
  readonly probe: ProbeConfig;
  readonly rankingMaxAgeMs: number;
}

/** What all networks of a sidecar share. */
export interface Surroundings {
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
  readonly redact: Redact;
}

export interface RunnerOptions extends RunnerSettings, Surroundings {
  readonly network: string;
  readonly leaseTtlMs: number;
  readonly attendance: Attendance;
  readonly metrics: Metrics;
}

/** What lasts as long as one configuration, over all times of holding the lease. */
interface Present {
  readonly config: NetworkConfig;
  readonly names: Names;
  readonly fetchers: Fetchers;
  readonly cycle: (tenure: Tenure) => Promise<CycleEnd>;
  /** Aborted when another configuration takes over. */
  readonly over: AbortController;
}

/** One network's part of the sidecar. */
export interface Runner {
  status(): NetworkStatus;
  /** Goes on under the same lease with other settings. */
  reconfigure(settings: RunnerSettings): void;
  stop(): Promise<void>;
}

export function runNetwork(options: RunnerOptions): Runner {
  return new NetworkRunner(options);
}

class NetworkRunner implements Runner {
  readonly #options: RunnerOptions;
  readonly #findings = new Findings();
  readonly #keeper: LeaseKeeper;
  #present: Present;
  /** Resolves when the connections of all former configurations are closed. */
  #formerClosed: Promise<unknown> = Promise.resolve();
  #held: Pick<HeldLease, 'lease' | 'isHeld'> | null = null;
  #ranking: Ranking | null = null;
  #publishedCount = 0;
  #fencedCount = 0;

  constructor(options: RunnerOptions) {
    const { network, instance, leaseTtlMs, attendance, metrics } = options;
    this.#options = options;
    this.#present = this.#begin(options);
    this.#keeper = keepLease({
      ...options,
      holder: instance,
      ttlMs: leaseTtlMs,
      join: (give) => attendance.join(network, give),
      work: (held) => this.#work(held),
      onChange: this.#onChange,
      onFenced: this.#onFenced,
    });
    metrics.leased(network, null);
  }

  reconfigure(settings: RunnerSettings): void {
    const { over, names, fetchers } = this.#present;
    this.#present = this.#begin(settings, names);
    names.close();
    over.abort();
    this.#formerClosed = Promise.all([this.#formerClosed, fetchers.close()]);
  }

  async stop(): Promise<void> {
    this.#present.names.close();
    await this.#keeper.stop();
    await Promise.all([this.#formerClosed, this.#present.fetchers.close()]);
  }

  status(): NetworkStatus {
    // Also while the work under a lease that is over comes to its end: another may have it by then.
    const lease = this.#held?.isHeld() ? this.#held.lease : null;
    return {
      ...emptyStatus(this.#options.network, this.#present.config),
      state: lease === null ? 'waiting' : 'holder',
      epoch: lease?.epoch ?? null,
      publishedCount: this.#publishedCount,
      fencedCount: this.#fencedCount,
      ...(this.#ranking && this.#findings.shownWith(this.#ranking)),
    };
  }

  /** Another configuration begins another cycle under the same lease; the numbers of its rankings go on. */
  async #work({ lease, isHeld, signal, hasHeir }: HeldLease): Promise<CycleEnd> {
    let seq = 0;
    for (;;) {
      const { cycle, over } = this.#present;
      const end = await cycle({
        lease,
        isHeld: () => isHeld() && !over.signal.aborted,
        signal: AbortSignal.any([signal, over.signal]),
        hasHeir,
        nextSeq: () => seq++,
      });
      if (end === 'fenced' || !over.signal.aborted || !isHeld()) return end;
    }
  }

  #begin({ config, probe, rankingMaxAgeMs }: RunnerSettings, before?: Names): Present {
    const { network, instance, resolver, log } = this.#options;
    const fetchers = createFetchers();
    const onChange = fetchers.keep;
    const names = createNames({ network, config, resolver, log, onChange, ...(before && { before }) });
    const cycle = createCycle({
      ...{ ...this.#options, config, probe, rankingMaxAgeMs, names },
      configHash: configHash(config),
      publisher: instance,
      fetcherOf: fetchers.of,
      onSample: this.#onSample,
      onLoad: this.#onLoad,
      onPushed: this.#onPushed,
      onPublished: this.#onPublished,
    });
    return { config, names, fetchers, cycle, over: new AbortController() };
  }

  readonly #onChange: LeaseOptions['onChange'] = (held) => {
    const { network, metrics } = this.#options;
    this.#held = held;
    if (held === null) this.#ranking = null;
    metrics.leased(network, held?.lease ?? null);
  };

  readonly #onFenced = (): void => {
    this.#fencedCount++;
    this.#options.metrics.fenced(this.#options.network);
  };

  readonly #onSample: CycleOptions['onSample'] = (upstream, sample, durationMs) => {
    const { network, metrics } = this.#options;
    metrics.probed(network, upstream, sample.failure, durationMs);
    this.#findings.sampled(upstream, sample);
  };

  readonly #onLoad: CycleOptions['onLoad'] = (upstream, problem) => {
    const { network, metrics } = this.#options;
    if (problem !== null) metrics.loadFailed(network, upstream);
    this.#findings.loaded(upstream, problem);
  };

  readonly #onPushed: CycleOptions['onPushed'] = (upstream, at) => {
    this.#findings.pushed(upstream, at);
    this.#options.metrics.pushed(this.#options.network, upstream);
  };

  readonly #onPublished: CycleOptions['onPublished'] = (ranking) => {
    this.#ranking = ranking;
    this.#findings.keep(new Set(ranking.upstreams.map(({ id }) => id)));
    this.#publishedCount++;
    this.#options.metrics.published(this.#options.network, ranking);
  };
}
