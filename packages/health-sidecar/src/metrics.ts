// Decides: the sidecar's metrics: names, labels, and how long each series is told.
// Must not know: probing, leases, ranking. It is told what happened.
import type { Lease, Ranking, StoreHealth, StoreHistory } from '@rpc-balancer/shared';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

const PREFIX = 'rpc_balancer_sidecar_';
/** From a node in the same rack to the longest usual probe timeout. */
const DURATION_BUCKETS_SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export type Metrics = ReturnType<typeof createMetrics>;

/** Metrics in a registry of their own, so that a gateway which embeds the sidecar keeps its names. */
export function createMetrics() {
  const registry = new Registry();
  const own = processSeries(registry);
  const probes = probeSeries(registry);
  const rankings = rankingSeries(registry);
  const told = new Map<string, Ranking>();

  return {
    probed: probes.probed,
    loadFailed: probes.loadFailed,
    pushed: probes.pushed,
    published(network: string, ranking: Ranking): void {
      told.set(network, ranking);
      own.published.inc({ network });
      probes.keep(network, new Set(ranking.upstreams.map(({ id }) => id)));
    },
    leased(network: string, lease: Lease | null): void {
      own.held.set({ network }, lease === null ? 0 : 1);
      if (lease === null) told.delete(network);
    },
    counted(count: number): void {
      own.sidecars.set(count);
    },
    /** Nothing is told any more of a network that this process has left. */
    removed(network: string): void {
      told.delete(network);
      probes.keep(network, new Set());
      for (const one of [own.held, own.published, own.fenced]) one.remove({ network });
    },
    reloaded(result: string): void {
      own.reloads.inc({ result });
    },
    fenced(network: string): void {
      own.fenced.inc({ network });
    },
    async text(store: StoreHealth): Promise<string> {
      rankings.describe(told.values());
      own.connected.set(store.connected ? 1 : 0);
      own.evictionRisk.set(store.evictionRisk === null ? 0 : 1);
      own.past(store);
      return registry.metrics();
    },
  };
}

function makersIn(registry: Registry) {
  const registers = [registry];
  return {
    gauge: (name: string, help: string, labelNames: string[]) =>
      new Gauge({ name: `${PREFIX}${name}`, help, labelNames, registers }),
    counter: (name: string, help: string, labelNames: string[]) =>
      new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers }),
  };
}

const ofNetwork = ['network'];
const ofUpstream = ['network', 'upstream'];
const ofReason = ['network', 'upstream', 'reason'];

function processSeries(registry: Registry) {
  const { gauge, counter } = makersIn(registry);
  const lost = counter('store_connections_lost_total', 'Connections to the store that ended.', []);
  const moved = counter('store_slots_moved_total', 'Slots seen at another node than before.', []);
  const failures = counter('store_failures_total', 'Steps that the store did not take.', ['step']);
  return {
    past({ connectionsLost, slotsMoved, failures: counts }: StoreHistory): void {
      for (const one of [lost, moved, failures]) one.reset();
      lost.inc(connectionsLost);
      moved.inc(slotsMoved);
      for (const [step, count] of Object.entries(counts)) failures.inc({ step }, count);
    },
    published: counter('published_total', 'Rankings published.', ofNetwork),
    fenced: counter('fenced_total', 'Publications refused because of an old token.', ofNetwork),
    reloads: counter('config_reloads_total', 'Changed configuration files, by result.', ['result']),
    held: gauge('lease_held', '1 while this process may publish the network.', ofNetwork),
    connected: gauge('store_connected', '1 while the store is in reach.', []),
    evictionRisk: gauge('store_eviction_risk', '1 while Redis may evict control keys.', []),
    sidecars: gauge('sidecars', 'Sidecars that live, this one included.', []),
  };
}

function probeSeries(registry: Registry) {
  const { counter } = makersIn(registry);
  const durations = new Histogram({
    name: `${PREFIX}probe_duration_seconds`,
    help: 'Duration of successful probes, attempts included.',
    labelNames: ofUpstream,
    buckets: DURATION_BUCKETS_SECONDS,
    registers: [registry],
  });
  const failures = counter('probe_failures_total', 'Failed probes, by reason.', ofReason);
  const loadFailures = counter('load_failures_total', 'Loads that could not be read.', ofUpstream);
  const pushed = counter('pushed_heads_total', 'Heads of which upstreams told by themselves.', ofUpstream);
  /** By network and upstream the failures that were told of it. */
  const seen = new Map<string, Map<string, Set<string>>>();

  function failuresOf(network: string, upstream: string): Set<string> {
    const upstreams = seen.get(network) ?? new Map<string, Set<string>>();
    const told = upstreams.get(upstream) ?? new Set<string>();
    seen.set(network, upstreams.set(upstream, told));
    return told;
  }

  return {
    probed(network: string, upstream: string, failure: string | null, durationMs: number): void {
      const told = failuresOf(network, upstream);
      if (failure === null) durations.observe({ network, upstream }, durationMs / 1000);
      else {
        told.add(failure);
        failures.inc({ network, upstream, reason: failure });
      }
    },
    loadFailed(network: string, upstream: string): void {
      failuresOf(network, upstream);
      loadFailures.inc({ network, upstream });
    },
    pushed(network: string, upstream: string): void {
      failuresOf(network, upstream);
      pushed.inc({ network, upstream });
    },
    /** Nothing is told any more of other upstreams: addresses of a name come and go for as long as the process lives. */
    keep(network: string, upstreams: ReadonlySet<string>): void {
      for (const [upstream, told] of seen.get(network) ?? []) {
        if (upstreams.has(upstream)) continue;
        for (const one of [durations, loadFailures, pushed]) one.remove({ network, upstream });
        for (const reason of told) failures.remove({ network, upstream, reason });
        seen.get(network)?.delete(upstream);
      }
    },
  };
}

/** Only the holder knows these; they end with its lease. */
function rankingSeries(registry: Registry) {
  const { gauge } = makersIn(registry);
  const epoch = gauge('lease_epoch', 'Fencing token of the lease.', ofNetwork);
  const seq = gauge('ranking_seq', 'Number of the last ranking under the epoch.', ofNetwork);
  const head = gauge('network_head_block', 'Agreed head of the network.', ofNetwork);
  const agreedAt = gauge('network_head_timestamp_seconds', 'When the agreed head last moved.', ofNetwork);
  const finalized = gauge('network_finalized_block', 'Finalized block of the network.', ofNetwork);
  const interval = gauge('network_block_interval_seconds', 'Learned time between two blocks.', ofNetwork);
  const stalled = gauge('network_stalled', '1 while the network has no new block, though due.', ofNetwork);
  const upstreamHead = gauge('upstream_head_block', 'Highest block that the upstream reports.', ofUpstream);
  const lag = gauge('upstream_lag_blocks', 'Blocks behind the network head, as far as known.', ofUpstream);
  const score = gauge('upstream_score_ratio', '0 to 1, higher is better.', ofUpstream);
  const reasons = gauge('upstream_reason', '1 for the reason that speaks against the upstream.', ofReason);
  const load = gauge('upstream_load', 'Load of the upstream, in the unit of its source.', ofUpstream);
  const used = gauge('upstream_used_attempts', 'Sent by the cluster in the last minute.', ofUpstream);
  const throttled = gauge('upstream_throttled_attempts', 'Of them answered with a limit.', ofUpstream);
  const left = gauge('upstream_left_attempts', 'Left of its limit, as the node says.', ofUpstream);
  const networkGauges = [epoch, seq, head, agreedAt, finalized, interval, stalled];
  const upstreamGauges = [upstreamHead, lag, score, reasons, load, used, throttled, left];

  function describeRanking(ranking: Ranking): void {
    const { network } = ranking;
    const set = (one: Gauge, labels: Record<string, string>, value: number | null | undefined) => {
      if (value !== null && value !== undefined) one.set(labels, value);
    };
    set(epoch, { network }, ranking.epoch);
    set(seq, { network }, ranking.seq);
    set(head, { network }, ranking.head?.number);
    set(agreedAt, { network }, ranking.head && ranking.head.agreedAt / 1000);
    set(finalized, { network }, ranking.finalized);
    set(interval, { network }, ranking.blockIntervalMs && ranking.blockIntervalMs / 1000);
    set(stalled, { network }, ranking.head && (ranking.stalledSince === undefined ? 0 : 1));
    for (const ranked of ranking.upstreams) {
      const labels = { network, upstream: ranked.id };
      set(upstreamHead, labels, ranked.head?.number);
      set(lag, labels, ranked.lagBlocks);
      set(score, labels, ranked.score);
      set(load, labels, ranked.load);
      set(used, labels, ranked.budget?.attempts);
      set(throttled, labels, ranked.budget?.throttled);
      set(left, labels, ranked.budget?.left);
      if (ranked.reason !== null) reasons.set({ ...labels, reason: ranked.reason }, 1);
    }
  }

  return {
    /** Once for each page and not with each ranking: taking values out of a large table costs more than a round of probes. */
    describe(told: Iterable<Ranking>): void {
      for (const one of [...networkGauges, ...upstreamGauges]) one.reset();
      for (const ranking of told) describeRanking(ranking);
    },
  };
}
