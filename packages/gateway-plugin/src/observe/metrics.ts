// Decides: names, labels and units of what is counted, and what else stands in the registry. Labels are configured ids and closed sets, never URLs or clients.
// Must not know: when they are scraped.
import { BalancerError, type ErrorCode, type StoreHealth } from '@rpc-balancer/shared';
import { Gauge, Histogram, Registry } from 'prom-client';
import type { AttemptListener, Network, SecondListener } from '../upstream/network.ts';
import { countOf } from './count.ts';
import { registerNetworks } from './network-metrics.ts';
import { registerRanked } from './ranked-metrics.ts';
import { registerStore } from './store-metrics.ts';
import { registerUpstreams } from './upstream-metrics.ts';

export interface Metrics {
  readonly registry: Registry;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onInvalidRanking: (network: string) => void;
  readonly onReload: (result: string) => void;
  readonly onBeat: (network: string, durationMs: number) => void;
  readonly onBeatFailure: (network: string) => void;
  readonly onReportFailure: (network: string) => void;
  readonly onRequest: (network: string, code: ErrorCode | 'ok', durationMs: number) => void;
}

export interface MetricsSources {
  readonly networks: () => Iterable<Network>;
  readonly store: () => StoreHealth;
  readonly now: () => number;
}

/** From 1 ms, what a node next door needs, to the default deadline and beyond. */
const DURATION_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];

const COUNTS = {
  requests: {
    name: 'rpc_balancer_requests_total',
    help: 'Requests answered, by network and code (ok or the error code)',
    labelNames: ['network', 'code'],
  },
  attempts: {
    name: 'rpc_balancer_attempts_total',
    help: 'Attempts, by upstream and outcome',
    labelNames: ['network', 'upstream', 'outcome'],
  },
  secondAttempts: {
    name: 'rpc_balancer_second_attempts_total',
    help: 'Reads that a second upstream was asked as well, by cause (slow, silent, excluded)',
    labelNames: ['network', 'cause'],
  },
  invalidRankings: {
    name: 'rpc_balancer_rankings_invalid_total',
    help: 'Rankings refused because they were no valid document',
    labelNames: ['network'],
  },
  reloads: {
    name: 'rpc_balancer_config_reloads_total',
    help: 'Changed configuration files, by result',
    labelNames: ['result'],
  },
  failedBeats: {
    name: 'rpc_balancer_beats_failed_total',
    help: 'Heartbeats that the store did not take',
    labelNames: ['network'],
  },
  failedReports: {
    name: 'rpc_balancer_reports_failed_total',
    help: 'Reports of failures that the store did not take',
    labelNames: ['network'],
  },
};

/** @throws BalancerError `RPCB_CONFIG` when the registry has our metrics from another instance */
export function createMetrics(sources: MetricsSources, registry = new Registry()): Metrics {
  if (registry.getSingleMetric(COUNTS.requests.name)) {
    throw new BalancerError('RPCB_CONFIG', {
      detail:
        'this metrics registry has our metrics already; register the plugin on the instance that both contexts share, or pass another registry',
    });
  }
  const { networks, store, now } = sources;
  const registers = [registry];
  registerNetworks(networks, now, registers);
  registerUpstreams(networks, now, registers);
  registerRanked(networks, registers);
  registerStore(store, registers);
  return {
    registry,
    onRequest: requestsIn(registers),
    onAttempt: countOf(registers, COUNTS.attempts),
    onSecond: countOf(registers, COUNTS.secondAttempts),
    onInvalidRanking: countOf(registers, COUNTS.invalidRankings),
    onReload: countOf(registers, COUNTS.reloads),
    onBeat: beatsIn(registers),
    onBeatFailure: countOf(registers, COUNTS.failedBeats),
    onReportFailure: countOf(registers, COUNTS.failedReports),
  };
}

/** Counted and timed. */
function requestsIn(registers: Registry[]): Metrics['onRequest'] {
  const count = countOf(registers, COUNTS.requests);
  const durations = new Histogram({
    name: 'rpc_balancer_request_duration_seconds',
    help: 'Time from the request to its answer (of a large answer: to its first byte)',
    labelNames: ['network'],
    buckets: DURATION_BUCKETS_S,
    registers,
  });
  const observers = new Map<string, Pick<Histogram.Internal<string>, 'observe'>>();
  return (network, code, durationMs) => {
    count(network, code);
    const observer = observers.get(network) ?? durations.labels(network);
    observers.set(network, observer);
    observer.observe(durationMs / 1000);
  };
}

function beatsIn(registers: Registry[]): Metrics['onBeat'] {
  const durations = new Gauge({
    name: 'rpc_balancer_beat_duration_seconds',
    help: 'How long the store took for the last heartbeat',
    labelNames: ['network'],
    registers,
  });
  return (network, durationMs) => durations.set({ network }, durationMs / 1000);
}
