// Decides: what one probe asks an EVM upstream, and which sample its answers make.
// Must not know: other upstreams, the network's head, when the next probe is.
import type { Head, UpstreamConfig } from '@rpc-balancer/shared';
import type { GoodSample, Sample } from '../samples.ts';
import { createCallAll } from './batch.ts';
import { type Answer, createCall, firstFailure, nonsense, optional, resultOf } from './call.ts';
import type { ProbeContext, Protocol } from './protocol.ts';
import { hashOf, isQuantity, isRecord, notified, quantityOf } from './values.ts';

type Answers = Readonly<Record<'chainId' | 'syncing' | 'blockNumber' | 'latest', Answer>>;

/** The two calls for the head may be answered around a new block; further apart the node contradicts itself. */
const SAME_HEAD_BLOCKS = 2;

export const evm: Protocol = {
  callsMax: 5,
  probeOnce,
  push: {
    path: '',
    method: 'eth_subscribe',
    params: ['newHeads'],
    headIn: (message) => headerOf(notified(message)),
  },
};

async function probeOnce(upstream: UpstreamConfig, context: ProbeContext): Promise<Sample> {
  const [sample, finality] = await Promise.all([sampleOf(upstream, context), finalityOf(upstream, context)]);
  return sample.failure === null ? { ...sample, ...finality } : sample;
}

async function sampleOf(upstream: UpstreamConfig, context: ProbeContext): Promise<Sample> {
  const answers = await createCallAll(
    upstream,
    context,
  )({
    chainId: ['eth_chainId', []],
    syncing: ['eth_syncing', []],
    blockNumber: ['eth_blockNumber', []],
    latest: ['eth_getBlockByNumber', ['latest', false]],
  });
  const sampledAt = context.now();
  const required = [answers.blockNumber, answers.latest];
  const failed = firstFailure(required, [answers.chainId, answers.syncing]);
  if (failed) return { failure: failed.failure, detail: failed.detail, sampledAt };
  return { ...(goodSample(answers) ?? nonsense(required)), sampledAt };
}

function goodSample(answers: Answers): Omit<GoodSample, 'sampledAt'> | null {
  const head = headOf(answers);
  const syncing = syncingOf(answers.syncing);
  const { chainId, blockNumber, latest } = answers;
  if (head === null || syncing === null) return null;
  const identity = chainId.kind === 'result' ? identityOf(chainId.value) : null;
  if (chainId.kind === 'result' && identity === null) return null;
  // Until the head is known, so that who refuses batches is not measured by its cheapest call.
  const latencyMs = Math.max(...[blockNumber, latest].map(latencyOf));
  return { failure: null, latencyMs, identity, syncing, head };
}

function latencyOf(answer: Answer): number {
  return answer.kind === 'result' ? answer.latencyMs : 0;
}

async function finalityOf(
  upstream: UpstreamConfig,
  context: ProbeContext,
): Promise<Pick<GoodSample, 'finalized'>> {
  const call = createCall(upstream, optional(context));
  const answer = await call('eth_getBlockByNumber', ['finalized', false]);
  return answer.kind === 'failed' ? {} : { finalized: headerOf(resultOf(answer))?.number ?? null };
}

/** Number, hash and time of the header; of two numbers that contradict each other the higher, which others can judge. */
function headOf({ blockNumber, latest }: Answers): Head | null {
  const number = blockNumber.kind === 'result' ? quantityOf(blockNumber.value) : undefined;
  const header = latest.kind === 'result' ? headerOf(latest.value) : undefined;
  if (number === null || header === null) return null;
  if (number === undefined || header === undefined) {
    return header ?? (number === undefined ? null : { number, hash: null, headerAt: null });
  }
  if (Math.abs(number - header.number) <= SAME_HEAD_BLOCKS) return header;
  return { number: Math.max(number, header.number), hash: null, headerAt: null };
}

function headerOf(value: unknown): Head | null {
  const number = isRecord(value) ? quantityOf(value.number) : null;
  if (!isRecord(value) || number === null) return null;
  const seconds = quantityOf(value.timestamp);
  return { number, hash: hashOf(value.hash), headerAt: seconds === null ? null : seconds * 1000 };
}

/** `false`, or an object with the progress; a node that does not know the method is taken at its head's word. */
function syncingOf(answer: Answer): boolean | null {
  if (answer.kind !== 'result') return false;
  if (typeof answer.value === 'boolean') return answer.value;
  return isRecord(answer.value) ? true : null;
}

function identityOf(value: unknown): string | null {
  return isQuantity(value) ? BigInt(value).toString() : null;
}
