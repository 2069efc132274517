// Decides: what a sidecar shows of itself: its status document, metric names and labels, and the routes that serve them.
// Must not know: probing, leases, ranking. It is told what happened.
import type { Budget, Lease, Ranking, Reason, StoreHealth } from '@rpc-balancer/shared';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { serve } from 'srvx';
import type { NodeFacts } from './samples.ts';

export interface UpstreamStatus {
  readonly id: string;
  readonly reason: Reason | null;
  /** What the last failed probe said, redacted and cut; null while the last one succeeded. */
  readonly detail: string | null;
  readonly headNumber: number | null;
  /** When it last told of a head by itself, epoch ms; null until it did, and where it never does. */
  readonly pushedAt: number | null;
  readonly lagBlocks: number | null;
  readonly latencyP50Ms: number | null;
  readonly latencyP95Ms: number | null;
  readonly errorRatio: number;
  readonly score: number;
  /** When its uptime was seen to have gone back, epoch ms; null where it was not, or is not told. */
  readonly restartedAt: number | null;
  /** What it says of its software; null until it said something. */
  readonly facts: NodeFacts | null;
  readonly load: number | null;
  /** Why the load could not be read last time, redacted and cut; null while it could. */
  readonly loadDetail: string | null;
  readonly budget: Budget | null;
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
  /** Since when it has had no new block though several were due, epoch ms; null while it goes on. */
  readonly stalledSince: number | null;
  /** Of the last ranking that this process published under its lease, epoch ms. */
  readonly generatedAt: number | null;
  /** Empty while another sidecar holds the lease. */
  readonly upstreams: readonly UpstreamStatus[];
}

export interface SidecarStatus {
  readonly instance: string;
  readonly version: string;
  readonly startedAt: number;
  readonly store: StoreHealth & { readonly kind: 'memory' | 'redis' };
  readonly networks: readonly NetworkStatus[];
}

/** `degraded`: it works as far as it can; `problems` says what should be mended. */
export interface Readiness {
  readonly status: 'ok' | 'degraded' | 'stopped';
  readonly problems: readonly string[];
}

const PREFIX = 'rpc_balancer_sidecar_';
/** From a node in the same rack to the longest usual probe timeout. */
const DURATION_BUCKETS_SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export type Metrics = ReturnType<typeof createMetrics>;

/** Metrics in a registry of their own, so that a gateway which embeds the sidecar keeps its names. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name: `${PREFIX}${name}`, help, labelNames, registers });
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers });
  const ofNetwork = ['network'];
  const ofUpstream = ['network', 'upstream'];
  const ofReason = ['network', 'upstream', 'reason'];
  const durations = new Histogram({
    name: `${PREFIX}probe_duration_seconds`,
    help: 'Duration of successful probes, attempts included.',
    labelNames: ofUpstream,
    buckets: DURATION_BUCKETS_SECONDS,
    registers,
  });
  const failures = counter('probe_failures_total', 'Failed probes, by reason.', ofReason);
  const loadFailures = counter('load_failures_total', 'Loads that could not be read.', ofUpstream);
  const pushed = counter('pushed_heads_total', 'Heads of which upstreams told by themselves.', ofUpstream);
  const published = counter('published_total', 'Rankings published.', ofNetwork);
  const fenced = counter('fenced_total', 'Publications refused because of an old token.', ofNetwork);
  const reloads = counter('config_reloads_total', 'Changed configuration files, by result.', ['result']);
  const held = gauge('lease_held', '1 while this process may publish the network.', ofNetwork);
  const connected = gauge('store_connected', '1 while the store is in reach.', []);
  const evictionRisk = gauge('store_eviction_risk', '1 while Redis may evict control keys.', []);
  const sidecars = gauge('sidecars', 'Sidecars that live, this one included.', []);
  // Only the holder knows these; they end with its lease.
  const epoch = gauge('lease_epoch', 'Fencing token of the lease.', ofNetwork);
  const seq = gauge('ranking_seq', 'Number of the last ranking under the epoch.', ofNetwork);
  const head = gauge('network_head_block', 'Agreed head of the network.', ofNetwork);
  const agreedAt = gauge('network_head_timestamp_seconds', 'When the agreed head last moved.', ofNetwork);
  const finalized = gauge('network_finalized_block', 'Finalized block of the network.', ofNetwork);
  const interval = gauge('network_block_interval_seconds', 'Learned time between two blocks.', ofNetwork);
  const stalled = gauge('network_stalled', '1 while the network has no new block, though due.', ofNetwork);
  const upstreamHead = gauge('upstream_head_block', 'Highest block that the upstream reports.', ofUpstream);
  const lag = gauge('upstream_lag_blocks', 'Network head minus the head of the upstream.', ofUpstream);
  const score = gauge('upstream_score_ratio', '0 to 1, higher is better.', ofUpstream);
  const reasons = gauge('upstream_reason', '1 for the reason that speaks against the upstream.', ofReason);
  const load = gauge('upstream_load', 'Load of the upstream, in the unit of its source.', ofUpstream);
  const used = gauge('upstream_used_attempts', 'Sent by the cluster in the last minute.', ofUpstream);
  const throttled = gauge('upstream_throttled_attempts', 'Of them answered with a limit.', ofUpstream);
  const left = gauge('upstream_left_attempts', 'Left of its limit, as the node says.', ofUpstream);
  const networkGauges = [epoch, seq, head, agreedAt, finalized, interval, stalled];
  const upstreamGauges = [upstreamHead, lag, score, load, used, throttled, left];
  const told = new Map<string, Ranking>();

  /** Once for each page and not with each ranking: taking values out of a large table costs more than a round of probes. */
  function describe(): void {
    for (const one of [...networkGauges, ...upstreamGauges, reasons]) one.reset();
    for (const ranking of told.values()) describeRanking(ranking);
  }

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
    probed(network: string, upstream: string, failure: string | null, durationMs: number): void {
      if (failure === null) durations.observe({ network, upstream }, durationMs / 1000);
      else failures.inc({ network, upstream, reason: failure });
    },
    loadFailed(network: string, upstream: string): void {
      loadFailures.inc({ network, upstream });
    },
    pushed(network: string, upstream: string): void {
      pushed.inc({ network, upstream });
    },
    published(network: string, ranking: Ranking): void {
      told.set(network, ranking);
      published.inc({ network });
    },
    leased(network: string, lease: Lease | null): void {
      held.set({ network }, lease === null ? 0 : 1);
      if (lease === null) told.delete(network);
    },
    counted(count: number): void {
      sidecars.set(count);
    },
    /** Nothing is told any more of a network that this process has left. */
    removed(network: string): void {
      told.delete(network);
      held.remove({ network });
    },
    reloaded(result: string): void {
      reloads.inc({ result });
    },
    fenced(network: string): void {
      fenced.inc({ network });
    },
    async text(store: StoreHealth): Promise<string> {
      describe();
      connected.set(store.connected ? 1 : 0);
      evictionRisk.set(store.evictionRisk === null ? 0 : 1);
      return registry.metrics();
    },
  };
}

/** What the routes show; a sidecar is one. */
export interface Shown {
  status(): SidecarStatus;
  metrics(): Promise<string>;
  ready(): Readiness;
}

const HTTP = { ok: 200, notFound: 404, unavailable: 503 } as const;

/** The sidecar's routes as one web-standard handler. It proxies nothing: whatever else is asked is not found. */
export function createHandler(shown: Shown, now: () => number): (request: Request) => Promise<Response> {
  function health() {
    const { instance, version, startedAt } = shown.status();
    const uptime = (now() - startedAt) / 1000;
    return { status: 'ok', timestamp: new Date(now()).toISOString(), version, uptime, instance };
  }

  return async function handle(request) {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return json({ error: 'not found' }, HTTP.notFound);
    switch (new URL(request.url).pathname) {
      case '/health':
      case '/api/health':
        return json(health(), HTTP.ok);
      case '/ready': {
        const readiness = shown.ready();
        return json(readiness, readiness.status === 'stopped' ? HTTP.unavailable : HTTP.ok);
      }
      case '/status':
        return json(shown.status(), HTTP.ok);
      case '/metrics':
        return new Response(await shown.metrics(), {
          headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        });
      default:
        return json({ error: 'not found' }, HTTP.notFound);
    }
  };
}

function json(body: unknown, status: number): Response {
  return Response.json(body, { status, headers: { 'cache-control': 'no-store' } });
}

export interface StatusServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Listens until closed. @throws when the port cannot be had */
export async function listen(
  handler: (request: Request) => Promise<Response>,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<StatusServer> {
  const server = serve({ fetch: handler, hostname: host, port, silent: true, gracefulShutdown: false });
  await server.ready();
  return { url: server.url ?? '', close: async () => void (await server.close(true)) };
}
