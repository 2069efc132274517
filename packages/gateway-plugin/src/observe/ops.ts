// Decides: the operators' routes and what each answers.
// Must not know: Fastify, who is allowed to ask.
import { BalancerError } from '@rpc-balancer/shared';
import type { Registry } from 'prom-client';
import type { Network } from '../upstream/network.ts';
import { explain } from './explain.ts';
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

/** What of a request the operators' routes look at. */
export interface OpsRequest {
  readonly network: string;
  readonly method: string;
  /** The parameters as JSON text; empty for none. */
  readonly params: string;
}

type Respond = (asked: OpsRequest) => Promise<OpsAnswer>;

/** Path (with `:network` as a parameter, or in the query) to answer. */
export function opsRoutes(sources: OpsSources): ReadonlyMap<string, Respond> {
  const health = async () => json(OK, healthOf(sources));
  return new Map<string, Respond>([
    ['/health', health],
    ['/api/health', health],
    ['/ready', async () => ready(sources)],
    ['/ready/:network', async ({ network }) => readyNetwork(sources, network)],
    ['/status', async () => json(OK, sources.status())],
    ['/status/explain', async (asked) => explainCall(sources, asked)],
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
  const { ready, degraded, ...shown } = readiness();
  const state = isClosing() ? 'closing' : !ready ? 'unavailable' : degraded ? 'degraded' : 'ready';
  return json(ready && !isClosing() ? OK : UNAVAILABLE, { status: state, ...shown });
}

function readyNetwork({ network, now, isClosing }: OpsSources, name: string): OpsAnswer {
  const readiness = networkReadiness(known(network(name), name), now());
  return json(readiness.state === 'down' || isClosing() ? UNAVAILABLE : OK, readiness);
}

/** Longer than any method; it is repeated in the answer. */
const METHOD_CHARS_MAX = 256;

function explainCall({ network, now }: OpsSources, asked: OpsRequest): OpsAnswer {
  const found = known(network(asked.network), asked.network);
  if (asked.method === '' || asked.method.length > METHOD_CHARS_MAX) {
    throw new BalancerError('RPCB_INVALID_REQUEST', {
      detail: 'name the method to explain: ?network=mainnet&method=eth_call',
    });
  }
  return json(OK, explain(found, { method: asked.method, params: paramsIn(asked.params) }, now()));
}

function paramsIn(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    const detail = 'write params as JSON: &params=["0x1",false]';
    throw new BalancerError('RPCB_INVALID_REQUEST', { detail, cause });
  }
}

function known(found: Network | null, name: string): Network {
  if (found) return found;
  throw new BalancerError('RPCB_UNKNOWN_NETWORK', { detail: `"${name.slice(0, 64)}"` });
}

function json(status: number, value: unknown): OpsAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: JSON.stringify(value) };
}
