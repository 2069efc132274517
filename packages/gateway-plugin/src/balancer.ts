// Decides: what the host's code may ask of us: `fastify.rpcBalancer`. One for all registrations on an instance.
// Must not know: Fastify, routes.
import {
  BalancerError,
  type DrainCommand,
  type DrainNote,
  type ReloadResult,
  readDrainCommand,
  readEnvelope,
  type StoreHealth,
  type StoreHistory,
} from '@rpc-balancer/shared';
import { reasonsNow } from './balance/network-state.ts';
import { forward } from './forward.ts';
import type { Gateway } from './gateway.ts';
import { errorOf } from './guard/answer.ts';
import type { DrainAnswer, Drainer } from './observe/admin.ts';
import { type ExplainedCall, type Explanation, explain } from './observe/explain.ts';
import type { Metrics } from './observe/metrics.ts';
import { type Readiness, readinessOf } from './observe/readiness.ts';
import { networkStatus, type Status } from './observe/status.ts';
import { Cancellation } from './upstream/cancellation.ts';
import type { Network } from './upstream/network.ts';
import { readAnswer } from './upstream/outcome.ts';

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

export interface RpcBalancer extends Drainer {
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
  /**
   * No replica gives this upstream a new request until it is undrained; those in flight complete. Holds in this replica
   * at once, and resolves when the store has it.
   * @throws BalancerError `RPCB_UNKNOWN_NETWORK`, `RPCB_UNKNOWN_UPSTREAM`, `RPCB_INVALID_COMMAND` (a name or reason that is too long),
   * `RPCB_STORE` (it holds here, and the others learn it when the store is back)
   */
  drain(network: string, upstream: string, note?: Partial<DrainNote>): Promise<DrainAnswer>;
  /** Ends a drain; resolves and throws as {@link drain} does. */
  undrain(network: string, upstream: string, note?: Partial<DrainNote>): Promise<DrainAnswer>;
  /** Reads the configuration files now, as a program does on SIGHUP; the worst result of all, null if none came from a file. */
  reload(): ReloadResult | null;
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
      ...historyOf(all),
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

  drain(network: string, upstream: string, note: Partial<DrainNote> = {}): Promise<DrainAnswer> {
    return this.#say(true, { ...note, network, upstream });
  }

  undrain(network: string, upstream: string, note: Partial<DrainNote> = {}): Promise<DrainAnswer> {
    return this.#say(false, { ...note, network, upstream });
  }

  async #say(drained: boolean, given: Partial<DrainCommand>): Promise<DrainAnswer> {
    const command = readDrainCommand(given);
    if ('invalid' in command) throw new BalancerError('RPCB_INVALID_COMMAND', { detail: command.invalid });
    const { upstream, by, reason } = command;
    const found = this.find(command.network);
    if (!found) throw new BalancerError('RPCB_UNKNOWN_NETWORK', { detail: `"${command.network}"` });
    const { gateway, network } = found;
    if (![...network.state.members, ...network.config.upstreams].some(({ id }) => id === upstream))
      throw new BalancerError('RPCB_UNKNOWN_UPSTREAM', { detail: `"${upstream}" of "${network.name}"` });
    const { since } = await gateway.drains.say(network.name, { upstream, drained, by, reason });
    const left = reasonsNow(network.state, this.options.now()).includes(null);
    const warning =
      drained && !left
        ? `no other upstream of "${network.name}" is eligible: its requests fail until one is`
        : null;
    return { network: network.name, upstream, drained, since, by, reason, warning };
  }

  reload(): ReloadResult | null {
    const results = this.#gateways.map((gateway) => gateway.reload());
    const order = ['refused', 'applied', 'unchanged'] as const;
    return order.find((result) => results.includes(result)) ?? null;
  }

  async call(name: string, method: string, params: unknown = []): Promise<CallResult> {
    const found = this.find(name);
    if (!found) throw new BalancerError('RPCB_UNKNOWN_NETWORK', { detail: `"${name}"` });
    const { gateway, network } = found;
    if (network.config.protocol === 'http')
      throw new BalancerError('RPCB_NOT_FOUND', { detail: `"${name}" is an http network without methods` });
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
    const cancellation = gateway.running.add(new Cancellation());
    try {
      const holdBytes = network.limits.batchAnswerLimitBytes;
      const { calls, exchange } = await forward(
        network,
        { body, suffix: '', headers: [], pin: null, cancellation, holdBytes },
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
      const answer = call.answer ?? exchange.passed?.body;
      if (call.failure || !answer || !readAnswer(answer, false))
        throw errorOf(call, call.failure ?? { code: 'RPCB_ATTEMPTS_FAILED' }, exchange);
      return resultOf(answer);
    } finally {
      gateway.running.remove(cancellation);
    }
  }
}

/** What befell several stores together. */
function historyOf(all: readonly StoreHistory[]): StoreHistory {
  const lost = all.flatMap(({ lastLostAt }) => lastLostAt ?? []);
  const failures: Record<string, number> = {};
  for (const [step, count] of all.flatMap((one) => Object.entries(one.failures)))
    failures[step] = (failures[step] ?? 0) + count;
  return {
    connectionsLost: all.reduce((sum, one) => sum + one.connectionsLost, 0),
    lastLostAt: lost.length === 0 ? null : Math.max(...lost),
    slotsMoved: all.reduce((sum, one) => sum + one.slotsMoved, 0),
    failures,
  };
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
