// Decides: how several JSON-RPC calls of a probe go to one upstream: in one batch, or singly where batches are refused.
// Must not know: methods, retries, what follows from an answer.
import type { UpstreamConfig } from '@rpc-balancer/shared';
import type { ProbeFailure } from '../samples.ts';
import { type Answer, answerOf, createCall, type MethodCall } from './call.ts';
import { type Answered, BODY_BYTES_MAX, createAsk, isFromNode } from './exchange.ts';
import type { ProbeContext } from './protocol.ts';
import { isRecord, parsedJson } from './values.ts';

/** Makes each of the calls, which have names of the caller's, and gives their answers by these names. */
export type CallAll = <Calls extends Readonly<Record<string, MethodCall>>>(
  calls: Calls,
) => Promise<{ readonly [Name in keyof Calls]: Answer }>;

/** They are said of each call in a batch; what else fails a batch may be the batch itself. */
const SAID_OF_ALL: readonly ProbeFailure[] = ['unreachable', 'probe_timeout', 'throttled'];

/**
 * Makes the function that makes several calls at once. One exchange costs a fraction of several. What a batch leaves
 * unanswered or refuses is asked singly at once; if that is answered better, batches are refused, for as long as
 * `context.batches` remembers. It never rejects.
 */
export function createCallAll(upstream: UpstreamConfig, context: ProbeContext): CallAll {
  const call = createCall(upstream, context);
  const ask = createAsk(upstream, context);

  /** What each call was answered; nothing for one that the batch left out. */
  async function inBatch(calls: readonly MethodCall[]): Promise<readonly (Answer | undefined)[]> {
    const answer = await ask({
      name: calls.map(([method]) => method).join(', '),
      verb: 'POST',
      path: '',
      body: JSON.stringify(calls.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }))),
      isGood: isFromNode,
      bytesMax: calls.length * BODY_BYTES_MAX,
    });
    if (answer.kind === 'answered') return answersIn(answer, calls, context);
    return SAID_OF_ALL.includes(answer.failure) ? calls.map(() => answer) : [];
  }

  async function answersTo(calls: readonly MethodCall[]): Promise<readonly Answer[]> {
    const isBatch = calls.length > 1 && !context.batches.areRefused();
    const batched = isBatch ? await inBatch(calls) : [];
    return Promise.all(
      calls.map(async ([method, params], at) => {
        const first = batched[at];
        if (first !== undefined && first.kind !== 'unsupported') return first;
        const alone = await call(method, params);
        if (isBatch && alone.kind === 'result') context.batches.refused();
        return alone;
      }),
    );
  }

  return async <Calls extends Readonly<Record<string, MethodCall>>>(calls: Calls) => {
    const answers = await answersTo(Object.values(calls));
    const named = Object.keys(calls).map((name, at) => [name, answers[at]]);
    // There is one answer to each call, in their order.
    return Object.fromEntries(named) as { readonly [Name in keyof Calls]: Answer };
  };
}

function answersIn(
  { status, text, latencyMs }: Answered,
  calls: readonly MethodCall[],
  context: ProbeContext,
): readonly (Answer | undefined)[] {
  const body = text === null ? null : parsedJson(text);
  const elements = Array.isArray(body) ? body.filter(isRecord) : [];
  const byId = new Map(elements.map((element) => [element.id, element]));
  return calls.map(([name], id) => {
    const element = byId.get(id);
    return element && answerOf(element, { name, status, latencyMs }, context);
  });
}
