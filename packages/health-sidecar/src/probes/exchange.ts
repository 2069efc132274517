// Decides: one HTTP exchange of a probe: how it is sent, how much of its answer is read, why it failed.
// Must not know: what is asked, what an answer means.
import { endpointOf, foreignText, type Redact, type UpstreamConfig } from '@rpc-balancer/shared';
import { errorText, wasConnected } from '../runtime.ts';
import type { ProbeFailure } from '../samples.ts';
import type { ProbeContext } from './protocol.ts';

export interface Question {
  /** Says in a failure's detail what was asked. */
  readonly name: string;
  readonly verb: 'GET' | 'HEAD' | 'POST';
  /** Behind the path of the upstream, with its query; empty for the upstream's own. */
  readonly path: string;
  readonly body?: string;
  /** The statuses whose body is worth reading. */
  readonly isGood: (status: number) => boolean;
  /** Default {@link BODY_BYTES_MAX}. */
  readonly bytesMax?: number;
}

export interface FailedAnswer {
  readonly kind: 'failed';
  readonly failure: ProbeFailure;
  readonly detail: string;
}

export interface Answered {
  readonly kind: 'answered';
  readonly status: number;
  /** Null when there is more of it than we read. */
  readonly text: string | null;
  readonly latencyMs: number;
}

/** A header with the hashes of some thousand transactions fits. */
export const BODY_BYTES_MAX = 1_048_576;

const STATUS_FAILURES: Readonly<Record<number, ProbeFailure>> = {
  401: 'unauthorized',
  403: 'unauthorized',
  429: 'throttled',
};

export type Ask = (question: Question) => Promise<Answered | FailedAnswer>;

/** Makes the function that asks one upstream. It never rejects. */
export function createAsk(upstream: UpstreamConfig, context: ProbeContext): Ask {
  const { origin, path: ownPath, query, headers } = endpointOf(upstream);
  const { timeout: timeoutMs } = context.probe;
  const sent = {
    accept: 'application/json, */*;q=0.5',
    'accept-encoding': 'identity',
    ...headers,
  };
  return async ({ name, verb, path, body, isGood, bytesMax = BODY_BYTES_MAX }) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const fail = (failure: ProbeFailure, text: string) => failedAnswer(context, { name, failure, text });
    let connected = false;
    try {
      const startedAt = context.now();
      const response = await context.fetcher.fetch(`${origin}${joined(ownPath, path, query)}`, {
        method: verb,
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...sent },
        ...(body !== undefined && { body }),
        signal: AbortSignal.any([context.signal, timeout]),
      });
      connected = true;
      const { status } = response;
      if (!isGood(status)) {
        await response.body?.cancel();
        return fail(STATUS_FAILURES[status] ?? 'probe_failed', `HTTP ${status}`);
      }
      const text = await readText(response, bytesMax);
      return { kind: 'answered', status, text, latencyMs: context.now() - startedAt };
    } catch (error) {
      if (timeout.aborted) return fail('probe_timeout', `no answer within ${timeoutMs} ms`);
      return fail(connected || wasConnected(error) ? 'probe_failed' : 'unreachable', errorText(error));
    }
  };
}

/** Whether a JSON-RPC answer may be expected. What stands in front of a node answers with the others. */
export function isFromNode(status: number): boolean {
  return status < 500 && !(status in STATUS_FAILURES);
}

export function failedAnswer(
  { redact }: Pick<ProbeContext, 'redact'>,
  { name, failure, text }: { readonly name: string; readonly failure: ProbeFailure; readonly text: string },
): FailedAnswer {
  return { kind: 'failed', failure, detail: detailOf(name, text, redact) };
}

/** What was asked, and foreign words about it. */
export function detailOf(name: string, text: string, redact: Redact): string {
  return foreignText(`${name}: ${foreignText(text, redact)}`);
}

/** Path and query of a request. Of two queries the upstream's own comes last: it may be a key. */
function joined(ownPath: string, path: string, ownQuery: string): string {
  const [behind = '', query = ''] = path.split(/\?(.*)/s, 2);
  const queries = [query, ownQuery.slice(1)].filter((part) => part !== '');
  return `${ownPath}${behind}` === '' ? `/${asQuery(queries)}` : `${ownPath}${behind}${asQuery(queries)}`;
}

function asQuery(queries: readonly string[]): string {
  return queries.length === 0 ? '' : `?${queries.join('&')}`;
}

/** The body, or null when there is more of it than we read: the rest is given up unread. */
export async function readText(response: Response, bytesMax: number): Promise<string | null> {
  // Piece by piece costs time and memory; what cannot be too long is read at once.
  if (isSmall(response.headers, bytesMax)) return response.text();
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) return null; // Leaving the loop cancels the stream.
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** A length is that of the body only where the body is neither compressed nor, as some parsers let pass, chunked besides. */
function isSmall(headers: Headers, bytesMax: number): boolean {
  const told = headers.get('content-length');
  const isWhole = !headers.has('content-encoding') && !headers.has('transfer-encoding');
  return told !== null && Number(told) <= bytesMax && isWhole;
}
