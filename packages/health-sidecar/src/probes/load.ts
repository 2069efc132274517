// Decides: how the load of an upstream is read once: what is asked, how much is read, which number counts.
// Must not know: heads, when it is read again, who is preferred by it.
import { endpointOf, foreignText, type LoadConfig, type Redact } from '@rpc-balancer/shared';
import { errorText, type Fetcher } from '../runtime.ts';
import { readText } from './exchange.ts';
import { checked, type Reading, readMetric } from './prometheus.ts';
import { parsedJson, valueAt } from './values.ts';

export interface LoadContext {
  readonly fetcher: Fetcher;
  /** Ends the reading early, when nobody wants it any more. */
  readonly signal: AbortSignal;
  readonly redact: Redact;
}

/** The pages of a node_exporter have some 200 kB, those of a busy node less than a megabyte. */
const BODY_BYTES_MAX = 4_194_304;

/** Reads the load within its own timeout. It never rejects. */
export async function readLoad(load: LoadConfig, context: LoadContext): Promise<Reading> {
  const timeout = AbortSignal.timeout(load.timeout);
  const problem = (text: string): Reading => ({ problem: foreignText(text, context.redact) });
  try {
    const { url, headers } = requestOf(load);
    const response = await context.fetcher.fetch(url, {
      method: 'GET',
      headers: { accept: load.metric === undefined ? 'application/json' : 'text/plain', ...headers },
      signal: AbortSignal.any([context.signal, timeout]),
    });
    if (!response.ok) {
      await response.body?.cancel();
      return problem(`HTTP ${response.status}`);
    }
    const text = await readText(response, BODY_BYTES_MAX);
    return text === null ? problem(`more than ${BODY_BYTES_MAX} bytes`) : readingIn(text, load);
  } catch (error) {
    return problem(timeout.aborted ? `no answer within ${load.timeout} ms` : errorText(error));
  }
}

/** The URL without user and password, which no fetch takes, and both as a header. */
function requestOf({ url: given }: LoadConfig): { url: string; headers: Readonly<Record<string, string>> } {
  const url = new URL(given);
  url.username = '';
  url.password = '';
  return { url: url.href, headers: endpointOf({ url: given, headers: {} }).headers };
}

function readingIn(text: string, { metric, labels, perCore, pointer = '' }: LoadConfig): Reading {
  if (metric !== undefined) return readMetric(text, { metric, labels, perCore });
  const document = parsedJson(text);
  return document === undefined ? { problem: 'the answer is no JSON' } : checked(valueAt(document, pointer));
}
