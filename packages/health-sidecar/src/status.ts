// Decides: what a sidecar shows of itself, and the routes that serve it.
// Must not know: probing, leases, ranking, metric names. It is told what happened.
import type { Budget, Reason, StoreHealth, StoreHistory } from '@rpc-balancer/shared';
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
  /** Nothing of this makes it degraded: it is over. */
  readonly store: Omit<StoreHistory, 'failures'>;
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
