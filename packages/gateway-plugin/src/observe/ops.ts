// Decides: the operators' routes and what each answers.
// Must not know: Fastify, who is allowed to ask.
import { BalancerError } from '@rpc-balancer/shared';
import type { Registry } from 'prom-client';
import type { Network } from '../upstream/network.ts';
import { networkReadiness, type Readiness } from './readiness.ts';
import type { Status } from './status.ts';

export interface OpsSources {
  readonly status: () => Status;
  readonly readiness: () => Readiness;
  readonly network: (name: string) => Network | null;
  readonly isClosing: () => boolean;
  readonly registry: Registry;
  readonly now: () => number;
}

export interface OpsAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const OK = 200;
const UNAVAILABLE = 503;

/** Path (with `:network` as a parameter) to answer. */
export function opsRoutes(sources: OpsSources): ReadonlyMap<string, (network: string) => Promise<OpsAnswer>> {
  const health = async () => json(OK, healthOf(sources));
  return new Map<string, (network: string) => Promise<OpsAnswer>>([
    ['/health', health],
    ['/api/health', health],
    ['/ready', async () => ready(sources)],
    ['/ready/:network', async (name) => readyNetwork(sources, name)],
    ['/status', async () => json(OK, sources.status())],
    [
      '/metrics',
      async () => ({
        status: OK,
        contentType: sources.registry.contentType,
        body: await sources.registry.metrics(),
      }),
    ],
  ]);
}

/** The process is alive. Whether it can serve is said by /ready. */
function healthOf({ status, now }: OpsSources): unknown {
  const { version, instance, uptimeMs } = status();
  return {
    status: 'ok',
    timestamp: new Date(now()).toISOString(),
    version,
    uptime: uptimeMs / 1000,
    instance,
  };
}

function ready({ readiness, isClosing }: OpsSources): OpsAnswer {
  const { ready, degraded, problems, networks } = readiness();
  const state = isClosing() ? 'closing' : !ready ? 'unavailable' : degraded ? 'degraded' : 'ready';
  return json(ready && !isClosing() ? OK : UNAVAILABLE, { status: state, problems, networks });
}

function readyNetwork({ network, now, isClosing }: OpsSources, name: string): OpsAnswer {
  const found = network(name);
  if (!found) throw new BalancerError('RPCB_UNKNOWN_NETWORK', { detail: `"${name.slice(0, 64)}"` });
  const readiness = networkReadiness(found, now());
  return json(readiness.state === 'down' || isClosing() ? UNAVAILABLE : OK, readiness);
}

function json(status: number, value: unknown): OpsAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: JSON.stringify(value) };
}
