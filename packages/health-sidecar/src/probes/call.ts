// Decides: one JSON-RPC call of a probe: how it is sent, how much is read, what its answer is.
// Must not know: methods, retries, what follows from an answer.
import { endpointOf, foreignText, type UpstreamConfig } from '@rpc-balancer/shared';
import { errorText, type Fetcher, wasConnected } from '../runtime.ts';
import type { ProbeFailure } from '../samples.ts';

export interface ProbeContext {
  readonly fetcher: Fetcher;
  readonly timeoutMs: number;
  readonly attempts: number;
  /** Ends the probe early, when nobody wants its result any more. */
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
  readonly redact: (text: string) => string;
}

export type Answer =
  | { readonly kind: 'result'; readonly value: unknown; readonly latencyMs: number }
  /** The node is well and says no: it does not know the method or the block, or the answer is too large to be read. */
  | { readonly kind: 'unsupported'; readonly detail: string }
  | { readonly kind: 'failed'; readonly failure: ProbeFailure; readonly detail: string };

/** A header with the hashes of some thousand transactions fits. */
const BODY_BYTES_MAX = 1_048_576;

const STATUS_FAILURES: Readonly<Record<number, ProbeFailure>> = {
  401: 'unauthorized',
  403: 'unauthorized',
  429: 'throttled',
};

/** EIP-1474 "limit exceeded", and the HTTP status that some providers repeat as a code. */
const LIMIT_CODES: readonly unknown[] = [-32005, 429];

export type Call = (method: string, params: readonly unknown[]) => Promise<Answer>;

/** Makes the function that calls one upstream. It never rejects. */
export function createCall(upstream: UpstreamConfig, context: ProbeContext): Call {
  const { origin, path, query, headers } = endpointOf(upstream);
  const url = `${origin}${path === '' ? '/' : path}${query}`;
  const sent = {
    'content-type': 'application/json',
    accept: 'application/json',
    'accept-encoding': 'identity',
    ...headers,
  };
  return async (method, params) => {
    const timeout = AbortSignal.timeout(context.timeoutMs);
    const fail = (failure: ProbeFailure, text: string): Answer => {
      return { kind: 'failed', failure, detail: foreignText(`${method}: ${context.redact(text)}`) };
    };
    let connected = false;
    try {
      const startedAt = context.now();
      const response = await context.fetcher.fetch(url, {
        method: 'POST',
        headers: sent,
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
        signal: AbortSignal.any([context.signal, timeout]),
      });
      connected = true;
      const failure = STATUS_FAILURES[response.status] ?? (response.status >= 500 ? 'probe_failed' : null);
      if (failure !== null) {
        await response.body?.cancel();
        return fail(failure, `HTTP ${response.status}`);
      }
      const text = await readText(response);
      if (text === null)
        return { kind: 'unsupported', detail: `${method}: more than ${BODY_BYTES_MAX} bytes` };
      return answerOf(text, context.now() - startedAt) ?? fail('probe_failed', notJsonRpc(response));
    } catch (error) {
      if (timeout.aborted) return fail('probe_timeout', `no answer within ${context.timeoutMs} ms`);
      return fail(connected || wasConnected(error) ? 'probe_failed' : 'unreachable', errorText(error));
    }

    function answerOf(text: string, latencyMs: number): Answer | null {
      const body = parsed(text);
      if (!isRecord(body)) return null;
      const { error } = body;
      if (isRecord(error) && typeof error.code === 'number') {
        const message = `error ${error.code}: ${String(error.message)}`;
        if (LIMIT_CODES.includes(error.code)) return fail('throttled', message);
        return { kind: 'unsupported', detail: foreignText(`${method}: ${context.redact(message)}`) };
      }
      return 'result' in body ? { kind: 'result', value: body.result, latencyMs } : null;
    }
  };
}

/** The body, or null when there is more of it than we read. */
async function readText(response: Response): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > BODY_BYTES_MAX) return null; // Leaving the loop cancels the stream.
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function notJsonRpc(response: Response): string {
  return `HTTP ${response.status} without a JSON-RPC answer`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
