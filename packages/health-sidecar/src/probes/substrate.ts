// Decides: what one probe asks a Substrate upstream, and which sample its answers make.
// Must not know: other upstreams, the network's head, when the next probe is.
import { foreignText, type UpstreamConfig } from '@rpc-balancer/shared';
import type { GoodSample, NodeFacts, Sample } from '../samples.ts';
import { createCallAll } from './batch.ts';
import { type Answer, createCall, firstFailure, nonsense, optional, resultOf } from './call.ts';
import type { ProbeContext, Protocol } from './protocol.ts';
import { hashOf, isRecord, notified, quantityOf } from './values.ts';

interface Health {
  readonly syncing: boolean;
  readonly lonely: boolean;
}

export const substrate: Protocol = {
  callsMax: 8,
  probeOnce,
  push: {
    path: '',
    method: 'chain_subscribeNewHeads',
    params: [],
    headIn(message) {
      const number = numberOf(notified(message));
      return number === null ? null : { number, hash: null, headerAt: null };
    },
  },
};

async function probeOnce(upstream: UpstreamConfig, context: ProbeContext): Promise<Sample> {
  const [sample, finality] = await Promise.all([sampleOf(upstream, context), finalityOf(upstream, context)]);
  return sample.failure === null ? { ...sample, ...finality } : sample;
}

async function sampleOf(upstream: UpstreamConfig, context: ProbeContext): Promise<Sample> {
  const { health, genesis, header } = await createCallAll(
    upstream,
    context,
  )({
    health: ['system_health', []],
    genesis: ['chain_getBlockHash', [0]],
    header: ['chain_getHeader', []],
  });
  const sampledAt = context.now();
  const failed = firstFailure([header], [health, genesis]);
  if (failed) return { failure: failed.failure, detail: failed.detail, sampledAt };
  const number = numberIn(header);
  const state = healthIn(health);
  const identity = hashOf(resultOf(genesis))?.toLowerCase() ?? null;
  const isNoGenesis = genesis.kind === 'result' && identity === null;
  if (header.kind !== 'result' || number === null || state === null || isNoGenesis)
    return { ...nonsense([header]), sampledAt };
  // A header does not say its own hash.
  const { hash, ...described } = await createCallAll(
    upstream,
    optional(context),
  )({ hash: ['chain_getBlockHash', [number]], ...(context.describe && DESCRIPTION) });
  return {
    failure: null,
    sampledAt,
    latencyMs: header.latencyMs,
    identity,
    ...state,
    head: { number, hash: hashOf(resultOf(hash)), headerAt: null },
    ...(context.describe && { facts: factsIn(described, context) }),
  };
}

async function finalityOf(
  upstream: UpstreamConfig,
  context: ProbeContext,
): Promise<Pick<GoodSample, 'finalized'>> {
  const call = createCall(upstream, optional(context));
  const told = await call('chain_getFinalizedHead', []);
  const hash = hashOf(resultOf(told));
  const header = hash === null ? told : await call('chain_getHeader', [hash]);
  return header.kind === 'failed' ? {} : { finalized: numberIn(header) };
}

function numberIn(header: Answer | undefined): number | null {
  return numberOf(resultOf(header));
}

function numberOf(header: unknown): number | null {
  return isRecord(header) ? quantityOf(header.number) : null;
}

/** A node that keeps the method from us is taken at its head's word. */
function healthIn(answer: Answer): Health | null {
  if (answer.kind !== 'result') return { syncing: false, lonely: false };
  const { value } = answer;
  if (!isRecord(value) || typeof value.isSyncing !== 'boolean') return null;
  return { syncing: value.isSyncing, lonely: value.shouldHavePeers === true && value.peers === 0 };
}

/** The runtime that the chain is at, and how many methods the node has. */
const DESCRIPTION = {
  runtime: ['state_getRuntimeVersion', []],
  methods: ['rpc_methods', []],
} as const;

function factsIn(
  described: { readonly [Name in keyof typeof DESCRIPTION]?: Answer },
  { redact }: ProbeContext,
): NodeFacts {
  const runtime = resultOf(described.runtime);
  const methods = resultOf(described.methods);
  const name = isRecord(runtime) ? runtime.specName : undefined;
  const version = isRecord(runtime) ? runtime.specVersion : undefined;
  const list = isRecord(methods) ? methods.methods : undefined;
  return {
    ...(typeof name === 'string' && { runtime: foreignText(name, redact) }),
    ...(typeof version === 'number' && { runtimeVersion: version }),
    ...(Array.isArray(list) && { methodCount: list.length }),
  };
}
