// Decides: what one probe asks a Substrate upstream, and which sample its answers make.
// Must not know: other upstreams, the network's head, when the next probe is.
import { foreignText, type UpstreamConfig } from '@rpc-balancer/shared';
import type { NodeFacts, Sample } from '../samples.ts';
import { type Answer, type Call, createCall, firstFailure, nonsense, resultOf } from './call.ts';
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
  const call = createCall(upstream, context);
  const [health, genesis, header, finalizedHash] = await Promise.all([
    call('system_health', []),
    call('chain_getBlockHash', [0]),
    call('chain_getHeader', []),
    call('chain_getFinalizedHead', []),
  ]);
  // Finality is never worth a failed probe.
  const failed = firstFailure([header], [health, genesis]);
  if (failed) return { failure: failed.failure, detail: failed.detail, sampledAt: context.now() };
  const number = numberIn(header);
  const state = healthIn(health);
  const identity = hashOf(resultOf(genesis))?.toLowerCase() ?? null;
  const isNoGenesis = genesis.kind === 'result' && identity === null;
  if (header.kind !== 'result' || number === null || state === null || isNoGenesis)
    return { ...nonsense([header]), sampledAt: context.now() };
  // A header does not say its own hash.
  const [hash, finalized, facts] = await Promise.all([
    call('chain_getBlockHash', [number]),
    finalizedNumber(call, hashOf(resultOf(finalizedHash))),
    context.describe ? describe(call, context) : undefined,
  ]);
  return {
    failure: null,
    sampledAt: context.now(),
    latencyMs: header.latencyMs,
    identity,
    ...state,
    head: { number, hash: hashOf(resultOf(hash)), headerAt: null },
    finalized,
    ...(facts && { facts }),
  };
}

function numberIn(header: Answer): number | null {
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

async function finalizedNumber(call: Call, hash: string | null): Promise<number | null> {
  return hash === null ? null : numberIn(await call('chain_getHeader', [hash]));
}

/** The runtime that the chain is at, and how many methods the node has. */
async function describe(call: Call, { redact }: ProbeContext): Promise<NodeFacts> {
  const [runtime, methods] = (
    await Promise.all([call('state_getRuntimeVersion', []), call('rpc_methods', [])])
  ).map(resultOf);
  const name = isRecord(runtime) ? runtime.specName : undefined;
  const version = isRecord(runtime) ? runtime.specVersion : undefined;
  const list = isRecord(methods) ? methods.methods : undefined;
  return {
    ...(typeof name === 'string' && { runtime: foreignText(redact(name)) }),
    ...(typeof version === 'number' && { runtimeVersion: version }),
    ...(Array.isArray(list) && { methodCount: list.length }),
  };
}
