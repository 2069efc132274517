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

/** They say the same of each call in a batch; what else fails a batch may be the batch itself. */
const SAID_OF_ALL: readonly ProbeFailure[] = ['unreachable', 'probe_timeout', 'throttled'];

/**
 * Makes the function that makes several calls at once. One exchange costs a fraction of several, and what refuses a
 * batch is asked singly at once, and for as long as `context.batches` remembers. It never rejects.
 */
export function createCallAll(upstream: UpstreamConfig, context: ProbeContext): CallAll {
  const call = createCall(upstream, context);
  const ask = createAsk(upstream, context);

  /** Null where the batch was refused. */
  async function inBatch(calls: readonly MethodCall[]): Promise<readonly Answer[] | null> {
    const answer = await ask({
      name: calls.map(([method]) => method).join(', '),
      verb: 'POST',
      path: '',
      body: JSON.stringify(calls.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }))),
      isGood: isFromNode,
      bytesMax: calls.length * BODY_BYTES_MAX,
    });
    if (answer.kind === 'answered') return answersIn(answer, calls, context);
    return SAID_OF_ALL.includes(answer.failure) ? calls.map(() => answer) : null;
  }

  async function answersTo(calls: readonly MethodCall[]): Promise<readonly Answer[]> {
    if (calls.length > 1 && !context.batches.areRefused()) {
      const answers = await inBatch(calls);
      if (answers !== null) return answers;
      context.batches.refused();
    }
    return Promise.all(calls.map(([method, params]) => call(method, params)));
  }

  return async <Calls extends Readonly<Record<string, MethodCall>>>(calls: Calls) => {
    const answers = await answersTo(Object.values(calls));
    const named = Object.keys(calls).map((name, at) => [name, answers[at]]);
    // There is one answer to each call, in their order.
    return Object.fromEntries(named) as { readonly [Name in keyof Calls]: Answer };
  };
}

/** Null unless every call was answered, and at least one of them as if it had come alone. */
function answersIn(
  { status, text, latencyMs }: Answered,
  calls: readonly MethodCall[],
  context: ProbeContext,
): readonly Answer[] | null {
  const body = text === null ? null : parsedJson(text);
  if (!Array.isArray(body)) return null;
  const byId = new Map(body.filter(isRecord).map((element) => [element.id, element]));
  const answers = calls.flatMap(([name], id) => {
    const element = byId.get(id);
    return element === undefined ? [] : [answerOf(element, { name, status, latencyMs }, context)];
  });
  const isOneHeard = answers.some(({ kind }) => kind !== 'unsupported');
  return answers.length === calls.length && isOneHeard ? answers : null;
}
