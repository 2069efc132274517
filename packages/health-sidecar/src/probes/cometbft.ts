// Decides: what one probe asks a CometBFT upstream, and which sample its answer makes.
// Must not know: other upstreams, the network's head, when the next probe is.
import { foreignText, type UpstreamConfig } from '@rpc-balancer/shared';
import type { GoodSample, ProbeFailure, Sample } from '../samples.ts';
import { type Answer, createCall, createUriCall, nonsense } from './call.ts';
import type { ProbeContext, Protocol } from './protocol.ts';
import { decimalOf, hashOf, instantOf, isRecord, valueAt } from './values.ts';

/** As long as MaxChainIDLen of CometBFT lets it be. */
const CHAIN_ID = /^[\x21-\x7e]{1,50}$/;

/** How a POST fails that something in front of the node does not let through. */
const BARRED: readonly ProbeFailure[] = ['probe_failed', 'unauthorized'];

export const cometbft: Protocol = {
  callsMax: 2,
  probeOnce,
  push: {
    path: '/websocket',
    method: 'subscribe',
    params: { query: "tm.event='NewBlockHeader'" },
    // A header does not say its own hash.
    headIn(message) {
      const header = valueAt(message, '/result/data/value/header');
      const number = isRecord(header) ? decimalOf(header.height) : null;
      if (!isRecord(header) || number === null) return null;
      return { number, hash: null, headerAt: instantOf(header.time) };
    },
  },
};

async function probeOnce(upstream: UpstreamConfig, context: ProbeContext): Promise<Sample> {
  const answer = await status(upstream, context);
  const sampledAt = context.now();
  if (answer.kind === 'failed') return { failure: answer.failure, detail: answer.detail, sampledAt };
  return { ...(goodSample(answer, context) ?? nonsense([answer])), sampledAt };
}

/** As JSON-RPC; what lets no POST through is asked by its URI, and is believed to be broken if that fails, too. */
async function status(upstream: UpstreamConfig, context: ProbeContext): Promise<Answer> {
  const posted = await createCall(upstream, context)('status', []);
  const isBarred = posted.kind === 'failed' && BARRED.includes(posted.failure);
  return isBarred && !context.signal.aborted ? createUriCall(upstream, context)('status') : posted;
}

function goodSample(answer: Answer, { redact }: ProbeContext): Omit<GoodSample, 'sampledAt'> | null {
  if (answer.kind !== 'result' || !isRecord(answer.value)) return null;
  const { node_info: node, sync_info: sync } = answer.value;
  if (!isRecord(node) || !isRecord(sync) || typeof sync.catching_up !== 'boolean') return null;
  const number = decimalOf(sync.latest_block_height);
  const { network, version } = node;
  if (number === null || typeof network !== 'string' || !CHAIN_ID.test(network)) return null;
  return {
    failure: null,
    latencyMs: answer.latencyMs,
    identity: network,
    syncing: sync.catching_up,
    head: {
      number,
      hash: hashOf(sync.latest_block_hash),
      headerAt: instantOf(sync.latest_block_time),
    },
    finalized: number, // A block of CometBFT is final when it is there.
    ...(typeof version === 'string' && { facts: { version: foreignText(version, redact) } }),
  };
}
