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
import { type CycleEnd, createCycle } from './cycle.ts';
import { createFetchers } from './fetchers.ts';
import { type HeldLease, keepLease } from './lease.ts';
import type { Metrics } from './metrics.ts';
import type { NodeFacts, Sample } from './samples.ts';
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

/** One network's part of the sidecar. */
export interface Runner {
  status(): NetworkStatus;
  /** Goes on under the same lease with other settings. */
  reconfigure(settings: RunnerSettings): void;
  stop(): Promise<void>;
}

export function runNetwork(options: RunnerOptions): Runner {
  const { network, instance, resolver, log, metrics } = options;
  const details = new Map<string, string>();
  const facts = new Map<string, NodeFacts>();
  const loadDetails = new Map<string, string>();
  /** When each upstream told of a head by itself. */
  const pushedAt = new Map<string, number>();
  let present = begin(options);
  let held: Pick<HeldLease, 'lease' | 'isHeld'> | null = null;
  let ranking: Ranking | null = null;
  let publishedCount = 0;
  let fencedCount = 0;

  /** What lasts as long as one configuration, over all times of holding the lease. */
  function begin({ config, probe, rankingMaxAgeMs }: RunnerSettings, before?: Names) {
    const fetchers = createFetchers();
    const onChange = fetchers.keep;
    const names = createNames({ network, config, resolver, log, onChange, ...(before && { before }) });
    const cycle = createCycle({
      ...{ ...options, config, probe, rankingMaxAgeMs, names },
      configHash: configHash(config),
      publisher: instance,
      fetcherOf: fetchers.of,
      onSample,
      onLoad,
      onPushed,
      onPublished,
    });
    return { config, names, fetchers, cycle, over: new AbortController() };
  }

  /** Another configuration begins another cycle under the same lease; the numbers of its rankings go on. */
  async function work({ lease, isHeld, signal, hasHeir }: HeldLease): Promise<CycleEnd> {
    let seq = 0;
    for (;;) {
      const { cycle, over } = present;
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

  function onSample(upstream: string, sample: Sample, durationMs: number): void {
    metrics.probed(network, upstream, sample.failure, durationMs);
    if (sample.failure !== null) {
      details.set(upstream, sample.detail);
      return;
    }
    details.delete(upstream);
    if (sample.facts) facts.set(upstream, sample.facts);
  }

  function onLoad(upstream: string, problem: string | null): void {
    if (problem === null) loadDetails.delete(upstream);
    else {
      metrics.loadFailed(network, upstream);
      loadDetails.set(upstream, problem);
    }
  }

  function onPushed(upstream: string, at: number): void {
    pushedAt.set(upstream, at);
    metrics.pushed(network, upstream);
  }

  function onPublished(published: Ranking): void {
    ranking = published;
    const ids = new Set(published.upstreams.map(({ id }) => id));
    for (const told of [details, loadDetails, facts, pushedAt])
      for (const id of told.keys()) if (!ids.has(id)) told.delete(id);
    publishedCount++;
    metrics.published(network, published);
  }

  const keeper = keepLease({
    ...options,
    holder: instance,
    ttlMs: options.leaseTtlMs,
    join: (give) => options.attendance.join(network, give),
    work,
    onChange(changed) {
      held = changed;
      if (changed === null) ranking = null;
      metrics.leased(network, changed?.lease ?? null);
    },
    onFenced() {
      fencedCount++;
      metrics.fenced(network);
    },
  });
  metrics.leased(network, null);
  return {
    status() {
      // Also while the work under a lease that is over comes to its end: another may have it by then.
      const lease = held?.isHeld() ? held.lease : null;
      return {
        ...emptyStatus(network, present.config),
        state: lease === null ? 'waiting' : 'holder',
        epoch: lease?.epoch ?? null,
        publishedCount,
        fencedCount,
        ...(ranking && shownOf(ranking, { details, loadDetails, facts, pushedAt })),
      };
    },
    reconfigure(next) {
      const { over, names, fetchers } = present;
      present = begin(next, names);
      names.close();
      over.abort();
      void fetchers.close();
    },
    async stop() {
      present.names.close();
      await keeper.stop();
      await present.fetchers.close();
    },
  };
}

/** What is told of a network for which nothing was published. */
export function emptyStatus(network: string, config: NetworkConfig): NetworkStatus {
  return {
    network,
    state: 'off',
    epoch: null,
    seq: null,
    publishedCount: 0,
    fencedCount: 0,
    configHash: configHash(config),
    identity: config.identity ?? null,
    headNumber: null,
    finalized: null,
    blockIntervalMs: null,
    stalledSince: null,
    generatedAt: null,
    upstreams: [],
  };
}

/** What is told of upstreams beside what a ranking says. */
interface Known {
  readonly details: ReadonlyMap<string, string>;
  readonly loadDetails: ReadonlyMap<string, string>;
  readonly facts: ReadonlyMap<string, NodeFacts>;
  readonly pushedAt: ReadonlyMap<string, number>;
}

function shownOf(
  { seq, identity, head, finalized, blockIntervalMs, stalledSince, generatedAt, upstreams }: Ranking,
  { details, loadDetails, facts, pushedAt }: Known,
): Partial<NetworkStatus> {
  return {
    seq,
    ...(identity !== null && { identity }),
    headNumber: head?.number ?? null,
    finalized,
    blockIntervalMs,
    stalledSince: stalledSince ?? null,
    generatedAt,
    upstreams: upstreams.map(({ head, finalized: _finalized, restartedAt = null, ...shown }) => ({
      ...shown,
      restartedAt,
      facts: facts.get(shown.id) ?? null,
      pushedAt: pushedAt.get(shown.id) ?? null,
      headNumber: head?.number ?? null,
      detail: details.get(shown.id) ?? null,
      loadDetail: loadDetails.get(shown.id) ?? null,
    })),
  };
}
