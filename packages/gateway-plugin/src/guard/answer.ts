// Decides: how what came of a request is written: one JSON-RPC answer, an array of them, or an error of ours.
// Must not know: Fastify, attempts, upstreams.
import { isAscii } from 'node:buffer';
import type { Readable } from 'node:stream';
import { BalancerError, type ErrorCode, type Reason } from '@rpc-balancer/shared';
import { joinAnswers } from '../upstream/batch.ts';
import { type Call, type Failure, idOf } from '../upstream/call.ts';
import type { Answered } from '../upstream/dispatch.ts';
import type { Exchange } from '../upstream/exchange.ts';

/** What `error.data` tells about a failure besides its code; never a URL and no foreign text. */
export interface FailureDetails {
  readonly network?: string;
  readonly reasons?: Readonly<Record<string, Reason>>;
  readonly attempts?: readonly { readonly upstream: string; readonly outcome: string }[];
  readonly networks?: readonly string[];
}

export interface Answer {
  readonly status: number;
  /** Null: no content (nothing but notifications). */
  readonly body: Buffer | string | Readable | null;
  /** Of a stream, where the node said it: then a client notices a cut. */
  readonly streamBytes?: number | null;
  /** The error's code, or `ok`: the label of the request in the metrics. */
  readonly code: ErrorCode | 'ok';
  readonly retryAfterMs: number | null;
  /** Headers of a node's answer that goes out as it is; absent: JSON. */
  readonly passed?: Readonly<Record<string, string>>;
}

interface Handled {
  readonly batch: boolean;
  readonly calls: readonly Call[];
  readonly exchange: Exchange;
}

/** The answer to a request, whatever shape it had. */
export function answerOf({ batch, calls, exchange }: Handled, requestId: string): Answer {
  const [only] = calls;
  if (exchange.passed) return answerPassed(exchange.passed, exchange);
  if (exchange.failedWith !== null && only?.failure) {
    const error = errorOf(only, only.failure, exchange);
    return { ...answerError(error, batch ? null : idOf(only), requestId), status: exchange.failedWith };
  }
  return batch || !only ? answerBatch(calls, exchange, requestId) : answerSingle(only, exchange, requestId);
}

/** What a node says of its answer to JSON-RPC, beside the length. */
const PASSED_HEADERS = ['content-type', 'retry-after'];

function answerPassed({ status, headers, body }: Answered, { stream, streamBytes }: Exchange): Answer {
  const kept = PASSED_HEADERS.flatMap((name) => [headers[name] ?? []].flat().map((text) => [name, text]));
  const passed = Object.fromEntries(kept);
  return { status, body: stream ?? body, streamBytes, code: 'ok', retryAfterMs: null, passed };
}

/** Each failed element of a batch repeats them; the status page has all. */
const REASONS_MAX = 16;

const NULL_ID = Buffer.from('null');

export function answerSingle(call: Call, exchange: Exchange, requestId: string): Answer {
  if (exchange.stream) {
    const { stream: body, streamBytes } = exchange;
    return { status: 200, body, streamBytes, code: 'ok', retryAfterMs: null };
  }
  if (call.failure) return answerError(errorOf(call, call.failure, exchange), idOf(call), requestId);
  if (call.id === null) return { status: 204, body: null, code: 'ok', retryAfterMs: null };
  return { status: 200, body: call.answer && cheapest(call.answer), code: 'ok', retryAfterMs: null };
}

/** Of a longer one the copy costs more than it saves. */
const TEXT_BYTES_MAX = 4096;

/** node:http writes a text in one piece with the header, where bytes are a second one. Beyond ASCII it would not stay as it is. */
function cheapest(answer: Buffer): Buffer | string {
  return answer.length <= TEXT_BYTES_MAX && isAscii(answer) ? answer.toString('latin1') : answer;
}

/** Answers stand in request order; 200 whatever the elements hold. */
export function answerBatch(calls: readonly Call[], exchange: Exchange, requestId: string): Answer {
  const answers = calls.flatMap((call) => {
    if (call.id === null && call.failure?.code !== 'RPCB_INVALID_REQUEST') return [];
    if (call.failure) return [errorBody(errorOf(call, call.failure, exchange), idOf(call), requestId)];
    return call.answer ? [call.answer] : [];
  });
  const failed = calls.find((call) => call.failure)?.failure?.code;
  if (answers.length === 0) return { status: 204, body: null, code: failed ?? 'ok', retryAfterMs: null };
  return { status: 200, body: joinAnswers(answers), code: failed ?? 'ok', retryAfterMs: null };
}

/** @param id the id's own bytes; null where the request had none that could be read */
export function answerError(error: BalancerError<unknown>, id: Buffer | null, requestId: string): Answer {
  return {
    status: error.statusCode,
    body: errorBody(error, id, requestId),
    code: error.code,
    retryAfterMs: error.retryAfterMs ?? null,
  };
}

/** The error in answer to what was no JSON-RPC. */
export function answerHttpError(error: BalancerError<unknown>, requestId: string): Answer {
  const { code, message } = error;
  const details = (error.details ?? {}) as FailureDetails; // As below.
  const body = Buffer.from(JSON.stringify({ error: { code, message, ...details, requestId } }));
  return { status: error.statusCode, body, code, retryAfterMs: error.retryAfterMs ?? null };
}

export function errorOf(call: Call, failure: Failure, exchange: Exchange): BalancerError<FailureDetails> {
  const { reasons, retryAfterMs } = exchange;
  return new BalancerError(failure.code, {
    ...(failure.detail !== undefined && { detail: failure.detail }),
    ...(retryAfterMs !== null && { retryAfterMs }),
    details: {
      network: exchange.network.name,
      ...(reasons && { reasons: Object.fromEntries(Object.entries(reasons).slice(0, REASONS_MAX)) }),
      attempts: call.attempts,
    },
  });
}

function errorBody(error: BalancerError<unknown>, id: Buffer | null, requestId: string): Buffer {
  const details = (error.details ?? {}) as FailureDetails; // Only this package makes the errors that come here.
  const data = { code: error.code, ...details, requestId };
  const json = JSON.stringify({ code: error.jsonRpcCode, message: error.message, data });
  return Buffer.concat([
    Buffer.from('{"jsonrpc":"2.0","id":'),
    id ?? NULL_ID,
    Buffer.from(`,"error":${json}}`),
  ]);
}
