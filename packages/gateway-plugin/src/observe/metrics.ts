// Decides: names, labels and units of the gateway's metrics. Labels are configured ids and closed sets, never URLs or clients.
// Must not know: when they are scraped.
import { BalancerError, type ErrorCode, isHard, type StoreHealth } from '@rpc-balancer/shared';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { reasonsNow } from '../balance/network-state.ts';
import { isStale } from '../balance/snapshot.ts';
import type { AttemptListener, Network, SecondListener } from '../upstream/network.ts';
import { countOf } from './count.ts';
import { registerRanked } from './ranked-metrics.ts';
import { registerStore } from './store-metrics.ts';

export interface Metrics {
  readonly registry: Registry;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onInvalidRanking: (network: string) => void;
  readonly onReload: (result: string) => void;
  readonly onBeat: (network: string, durationMs: number) => void;
  readonly onBeatFailure: (network: string) => void;
  readonly onReportFailure: (network: string) => void;
  onRequest(network: string, code: ErrorCode | 'ok', durationMs: number): void;
}

export interface MetricsSources {
  readonly networks: () => Iterable<Network>;
  readonly store: () => StoreHealth;
  readonly now: () => number;
}

/** From 1 ms, what a node next door needs, to the default deadline and beyond. */
const DURATION_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];

const REQUESTS = 'rpc_balancer_requests_total';

/** @throws BalancerError `RPCB_CONFIG` when the registry has our metrics from another instance */
export function createMetrics(sources: MetricsSources, registry = new Registry()): Metrics {
  if (registry.getSingleMetric(REQUESTS)) {
    throw new BalancerError('RPCB_CONFIG', {
      detail:
        'this metrics registry has our metrics already; register the plugin on the instance that both contexts share, or pass another registry',
    });
  }
  const registers = [registry];
  const requests = countOf(registers, {
    name: REQUESTS,
    help: 'Requests answered, by network and code (ok or the error code)',
    labelNames: ['network', 'code'],
  });
  const durations = new Histogram({
    name: 'rpc_balancer_request_duration_seconds',
    help: 'Time from the request to its answer (of a large answer: to its first byte)',
    labelNames: ['network'],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const attempts = countOf(registers, {
    name: 'rpc_balancer_attempts_total',
    help: 'Attempts, by upstream and outcome',
    labelNames: ['network', 'upstream', 'outcome'],
  });
  const seconds = countOf(registers, {
    name: 'rpc_balancer_second_attempts_total',
    help: 'Reads that a second upstream was asked as well, by cause (slow, silent, excluded)',
    labelNames: ['network', 'cause'],
  });
  const invalidRankings = countOf(registers, {
    name: 'rpc_balancer_rankings_invalid_total',
    help: 'Rankings refused because they were no valid document',
    labelNames: ['network'],
  });
  new Counter({
    name: 'rpc_balancer_head_regressions_total',
    help: 'How often the head went back for clients, because nobody had anything better',
    labelNames: ['network'],
    registers,
    collect() {
      this.reset();
      for (const { name, state } of sources.networks()) this.labels(name).inc(state.heads.regressions);
    },
  });
  const reloads = countOf(registers, {
    name: 'rpc_balancer_config_reloads_total',
    help: 'Changed configuration files, by result',
    labelNames: ['result'],
  });
  const beatDurations = new Gauge({
    name: 'rpc_balancer_beat_duration_seconds',
    help: 'How long the store took for the last heartbeat',
    labelNames: ['network'],
    registers,
  });
  const failedBeats = countOf(registers, {
    name: 'rpc_balancer_beats_failed_total',
    help: 'Heartbeats that the store did not take',
    labelNames: ['network'],
  });
  const failedReports = countOf(registers, {
    name: 'rpc_balancer_reports_failed_total',
    help: 'Reports of failures that the store did not take',
    labelNames: ['network'],
  });
  registerGauges(sources, registers);
  registerRanked(sources.networks, registers);
  registerStore(sources.store, registers);

  const observers = new Map<string, Pick<Histogram.Internal<string>, 'observe'>>();
  return {
    registry,
    onAttempt: (network, upstream, outcome) => attempts(network, upstream, outcome),
    onSecond: (network, cause) => seconds(network, cause),
    onInvalidRanking: (network) => invalidRankings(network),
    onReload: (result) => reloads(result),
    onBeat: (network, durationMs) => beatDurations.set({ network }, durationMs / 1000),
    onBeatFailure: (network) => failedBeats(network),
    onReportFailure: (network) => failedReports(network),
    onRequest(network, code, durationMs) {
      requests(network, code);
      const observer = observers.get(network) ?? durations.labels(network);
      observers.set(network, observer);
      observer.observe(durationMs / 1000);
    },
  };
}

function registerGauges({ networks, now }: MetricsSources, registers: Registry[]): void {
  function gauge(
    name: string,
    help: string,
    labelNames: readonly string[],
    collect: (gauge: Gauge) => void,
  ): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        collect(this);
      },
    });
  }

  gauge('rpc_balancer_upstream_in_flight', 'Attempts in flight', ['network', 'upstream'], (self) => {
    for (const { name, state } of networks()) {
      for (const member of state.members) self.set({ network: name, upstream: member.id }, member.inFlight);
    }
  });
  gauge(
    'rpc_balancer_upstream_in_flight_elsewhere',
    'Lasting attempts in flight at another replica, in the mean of all others',
    ['network', 'upstream'],
    (self) => {
      for (const { name, state } of networks()) {
        for (const { id, inFlightElsewhere } of state.members)
          self.set({ network: name, upstream: id }, inFlightElsewhere);
      }
    },
  );
  gauge(
    'rpc_balancer_upstream_excluded',
    '1 while an upstream is not picked for a reason',
    ['network', 'upstream', 'reason', 'kind'],
    (self) => {
      for (const { name, state } of networks()) {
        const reasons = reasonsNow(state, now());
        for (const member of state.members) {
          const reason = reasons[member.index];
          if (reason)
            self.set(
              { network: name, upstream: member.id, reason, kind: isHard(reason) ? 'hard' : 'soft' },
              1,
            );
        }
      }
    },
  );
  gauge('rpc_balancer_network_head_blocks', 'Head of the network', ['network'], (self) => {
    for (const { name, state } of networks()) {
      const head = state.snapshot?.ranking.head;
      if (head) self.set({ network: name }, head.number);
    }
  });
  gauge('rpc_balancer_network_stalled', '1 while there is no new block, though due', ['network'], (self) => {
    for (const { name, state } of networks()) {
      const ranking = state.snapshot?.ranking;
      if (ranking?.head) self.set({ network: name }, ranking.stalledSince === undefined ? 0 : 1);
    }
  });
  gauge(
    'rpc_balancer_ranking_age_seconds',
    'Time since the last ranking was accepted',
    ['network'],
    (self) => {
      for (const { name, state } of networks()) {
        if (state.snapshot) self.set({ network: name }, (now() - state.snapshot.acceptedAt) / 1000);
      }
    },
  );
  gauge(
    'rpc_balancer_ranking_fresh',
    '1 while the accepted ranking is not too old, 0 without one',
    ['network'],
    (self) => {
      for (const { name, state } of networks()) {
        const { snapshot, rankingMaxAgeMs, probed } = state;
        const fresh = snapshot !== null && !isStale(snapshot, now(), rankingMaxAgeMs);
        if (probed) self.set({ network: name }, fresh ? 1 : 0);
      }
    },
  );
  gauge('rpc_balancer_ranking_epoch', 'Fencing token of the accepted ranking', ['network'], (self) => {
    for (const { name, state } of networks()) {
      if (state.snapshot) self.set({ network: name }, state.snapshot.ranking.epoch);
    }
  });
  gauge(
    'rpc_balancer_config_mismatch',
    '1 while the publisher has another configuration of the network',
    ['network'],
    (self) => {
      for (const { name, state, hash } of networks()) {
        if (state.snapshot) self.set({ network: name }, state.snapshot.ranking.configHash === hash ? 0 : 1);
      }
    },
  );
  gauge(
    'rpc_balancer_upstream_unresolved',
    '1 while the host name of an upstream does not resolve',
    ['network', 'upstream'],
    (self) => {
      for (const { name, names } of networks()) {
        for (const upstream of names.unresolved()) self.set({ network: name, upstream }, 1);
      }
    },
  );
}
