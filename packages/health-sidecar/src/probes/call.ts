// Decides: one JSON-RPC call of a probe, by POST or as a URI, and what its answer is.
// Must not know: methods, retries, what follows from an answer.
import type { UpstreamConfig } from '@rpc-balancer/shared';
import type { FailedSample } from '../samples.ts';
import {
  type Answered,
  BODY_BYTES_MAX,
  createAsk,
  detailOf,
  type FailedAnswer,
  failedAnswer,
  isFromNode,
} from './exchange.ts';
import type { ProbeContext } from './protocol.ts';
import { isRecord, parsedJson } from './values.ts';

export type Answer =
  | { readonly kind: 'result'; readonly value: unknown; readonly latencyMs: number }
  /** The node is well and says no: it does not know the method or the block, or the answer is too large to be read. */
  | { readonly kind: 'unsupported'; readonly detail: string }
  | FailedAnswer;

/** EIP-1474 "limit exceeded", and the HTTP status that some providers repeat as a code. */
const LIMIT_CODES: readonly unknown[] = [-32005, 429];

export type MethodCall = readonly [method: string, params: readonly unknown[]];

type Call = (...call: MethodCall) => Promise<Answer>;

/** Makes the function that calls one upstream. It never rejects. */
export function createCall(upstream: UpstreamConfig, context: ProbeContext): Call {
  const ask = createAsk(upstream, context);
  return async (method, params) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const answer = await ask({ name: method, verb: 'POST', path: '', body, isGood: isFromNode });
    return answer.kind === 'failed' ? answer : answerIn(answer, method, context);
  };
}

/** The same for a method without parameters that is called as `GET /method`, as CometBFT allows. It never rejects. */
export function createUriCall(upstream: UpstreamConfig, context: ProbeContext) {
  const ask = createAsk(upstream, context);
  return async (method: string): Promise<Answer> => {
    const name = `GET ${method}`;
    const answer = await ask({ name, verb: 'GET', path: `/${method}`, isGood: isFromNode });
    return answer.kind === 'failed' ? answer : answerIn(answer, name, context);
  };
}

function answerIn({ status, text, latencyMs }: Answered, name: string, context: ProbeContext): Answer {
  if (text === null) return { kind: 'unsupported', detail: `${name}: more than ${BODY_BYTES_MAX} bytes` };
  return answerOf(parsedJson(text), { name, status, latencyMs }, context);
}

/** What an envelope says. */
export function answerOf(
  body: unknown,
  { name, status, latencyMs }: Pick<Answered, 'status' | 'latencyMs'> & { readonly name: string },
  context: ProbeContext,
): Answer {
  if (isRecord(body)) {
    const { error } = body;
    if (isRecord(error) && typeof error.code === 'number') {
      const words = typeof error.message === 'string' ? error.message : 'no message';
      const message = `error ${error.code}: ${words}`;
      if (LIMIT_CODES.includes(error.code))
        return failedAnswer(context, { name, failure: 'throttled', text: message });
      return { kind: 'unsupported', detail: detailOf(name, message, context.redact) };
    }
    if ('result' in body) return { kind: 'result', value: body.result, latencyMs };
  }
  const text = `HTTP ${status} without a JSON-RPC answer`;
  return failedAnswer(context, { name, failure: 'probe_failed', text });
}

/** For calls that a probe can do without: they are waited for half as long, as they hold up what is known. */
export function optional(context: ProbeContext): ProbeContext {
  return { ...context, probe: { ...context.probe, timeout: context.probe.timeout / 2 } };
}

/** What fails a probe: any failure of what is required; elsewhere a refusal is as good as "not supported". */
export function firstFailure(
  required: readonly Answer[],
  optional: readonly Answer[],
): FailedAnswer | undefined {
  return (
    required.find(isFailed) ?? optional.filter(isFailed).find(({ failure }) => failure !== 'unauthorized')
  );
}

function isFailed(answer: Answer): answer is FailedAnswer {
  return answer.kind === 'failed';
}

/** What is said of answers that are there and make no sample. */
export function nonsense(required: readonly Answer[]): Omit<FailedSample, 'sampledAt'> {
  const refused = required.find((answer) => answer.kind === 'unsupported');
  return { failure: 'probe_failed', detail: refused?.detail ?? 'an answer is not what the method answers' };
}

/** What a call answered; undefined when it was not made, or not answered with a result. */
export function resultOf(answer: Answer | undefined): unknown {
  return answer?.kind === 'result' ? answer.value : undefined;
}
