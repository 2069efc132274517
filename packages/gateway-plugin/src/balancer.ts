// Decides: what the host's code may ask of us: `fastify.rpcBalancer`. One for all registrations on an instance.
// Must not know: Fastify, routes.
import { BalancerError, readEnvelope, type StoreHealth } from '@rpc-balancer/shared';
import { forward } from './forward.ts';
import type { Gateway } from './gateway.ts';
import { errorOf } from './guard/answer.ts';
import { type ExplainedCall, type Explanation, explain } from './observe/explain.ts';
import type { Metrics } from './observe/metrics.ts';
import { type Readiness, readinessOf } from './observe/readiness.ts';
import { networkStatus, type Status } from './observe/status.ts';
import { Cancellation } from './upstream/cancellation.ts';
import type { Network } from './upstream/network.ts';

/** The result of a call, in the bytes that the node wrote. */
export interface CallResult {
  readonly bytes: Buffer;
  /** Parsed on demand. Integers above 2^53 lose digits here, as everywhere in JavaScript; `bytes` has them all. */
  json(): unknown;
}

/** What a node's JSON-RPC error said; in `details` of `RPCB_NODE_ERROR`. */
export interface NodeErrorDetails {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

export interface RpcBalancer {
  status(): Status;
  readiness(): Readiness;
  /**
   * Says which upstream a call of this method would go to, and why each of the others would not get it. Moves nothing.
   * @throws BalancerError `RPCB_UNKNOWN_NETWORK`
   */
  explain(network: string, call: ExplainedCall): Explanation;
  /**
   * Calls a method as a client would, with failover.
   * @throws BalancerError `RPCB_UNKNOWN_NETWORK`, `RPCB_NODE_ERROR` (the node's own error, in `details`), or what the routes answer
   */
  call(network: string, method: string, params?: unknown): Promise<CallResult>;
}

export interface BalancerOptions {
  readonly instance: string;
  readonly version: string;
  readonly startedAt: number;
  readonly now: () => number;
  readonly metrics: Metrics;
}

export class Balancer implements RpcBalancer {
  readonly #gateways: Gateway[] = [];
  readonly options: BalancerOptions;

  constructor(options: BalancerOptions) {
    this.options = options;
  }

  get metrics(): Metrics {
    return this.options.metrics;
  }

  /** @throws BalancerError `RPCB_CONFIG` when one of the names is taken; to be asked before anything is opened */
  assertFree(names: readonly string[]): void {
    const taken = names.find((name) => this.find(name));
    if (taken === undefined) return;
    throw new BalancerError('RPCB_CONFIG', {
      detail: `the network "${taken}" is registered twice on one Fastify instance; give one of them another name`,
    });
  }

  add(gateway: Gateway): void {
    this.#gateways.push(gateway);
  }

  networks(): Network[] {
    return this.#gateways.flatMap((gateway) => [...gateway.networks.values()]);
  }

  find(name: string): { readonly gateway: Gateway; readonly network: Network } | null {
    for (const gateway of this.#gateways) {
      const network = gateway.networks.get(name);
      if (network) return { gateway, network };
    }
    return null;
  }

  /** Of all stores: out of reach if one is. */
  storeHealth(): StoreHealth {
    const all = this.#gateways.map((gateway) => gateway.store.health());
    return {
      connected: all.every(({ connected }) => connected),
      problem: all.find(({ problem }) => problem)?.problem ?? null,
      evictionRisk: all.find(({ evictionRisk }) => evictionRisk)?.evictionRisk ?? null,
    };
  }

  status(): Status {
    const { instance, version, startedAt, now } = this.options;
    const clustered = this.#gateways.some(({ mode }) => mode === 'cluster');
    return {
      instance,
      version,
      mode: clustered ? 'cluster' : 'embedded',
      uptimeMs: Math.round(now() - startedAt),
      store: { kind: clustered ? 'redis' : 'memory', ...this.storeHealth() },
      networks: Object.fromEntries(
        this.networks().map((network) => [network.name, networkStatus(network, now())]),
      ),
    };
  }

  readiness(): Readiness {
    return readinessOf(this.networks(), this.storeHealth(), this.options.now());
  }

  explain(name: string, call: ExplainedCall): Explanation {
    const found = this.find(name);
    if (!found) throw new BalancerError('RPCB_UNKNOWN_NETWORK', { detail: `"${name}"` });
    return explain(found.network, call, this.options.now());
  }

  async call(name: string, method: string, params: unknown = []): Promise<CallResult> {
    const found = this.find(name);
    if (!found) throw new BalancerError('RPCB_UNKNOWN_NETWORK', { detail: `"${name}"` });
    const { gateway, network } = found;
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
    const cancellation = gateway.running.add(new Cancellation());
    try {
      const holdBytes = network.limits.batchAnswerLimitBytes;
      const { calls, exchange } = await forward(
        network,
        { body, suffix: '', headers: [], cancellation, holdBytes },
        this.options.now,
      );
      const [call] = calls;
      if (!call) throw new BalancerError('RPCB_INVALID_REQUEST');
      if (exchange.stream) {
        exchange.stream.destroy();
        throw errorOf(
          call,
          {
            code: 'RPCB_TOO_LARGE',
            detail: `the result has more than ${holdBytes} bytes (gateway.batchAnswerLimit)`,
          },
          exchange,
        );
      }
      if (call.failure) throw errorOf(call, call.failure, exchange);
      return resultOf(call.answer ?? Buffer.alloc(0));
    } finally {
      gateway.running.remove(cancellation);
    }
  }
}

function resultOf(answer: Buffer): CallResult {
  const envelope = readEnvelope(answer);
  const error = envelope?.error ? answer.toString('utf8', envelope.error.start, envelope.error.end) : 'null';
  // JSON-RPC 1.0 servers send both members, one of them null.
  if (envelope?.result && error === 'null') {
    const bytes = answer.subarray(envelope.result.start, envelope.result.end);
    return { bytes, json: () => JSON.parse(bytes.toString()) };
  }
  const details = JSON.parse(error) as NodeErrorDetails; // judged to be an error object with a numeric code
  throw new BalancerError('RPCB_NODE_ERROR', { details });
}
