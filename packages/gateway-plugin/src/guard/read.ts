// Decides: whether a request body is JSON-RPC that may go to a node, and which calls it has.
// Must not know: upstreams. Whatever is refused here has reached no node.
import { isUtf8 } from 'node:buffer';
import {
  BalancerError,
  chainView,
  isNestedDeeper,
  readElements,
  readEnvelope,
  type Safety,
} from '@rpc-balancer/shared';
import type { Call } from '../upstream/call.ts';

/** serde_json, which reth and anvil read with, refuses 128 levels; no API of ours needs twenty. */
const NESTING_LEVELS_MAX = 127;

/** Longer than any method; it is repeated in errors. */
const METHOD_CHARS_MAX = 256;

export interface ReadRequest {
  readonly batch: boolean;
  readonly calls: readonly Call[];
}

export interface ReadOptions {
  readonly batchLimit: number;
  readonly safetyOf: (method: string) => Safety;
}

/**
 * Calls that are none carry their failure; the others are open.
 * @throws BalancerError `RPCB_PARSE`, `RPCB_INVALID_REQUEST` (an empty batch) or `RPCB_TOO_LARGE`
 */
export function readRequest(body: Buffer | null, { batchLimit, safetyOf }: ReadOptions): ReadRequest {
  const parsed = parse(body);
  const bytes = body ?? Buffer.alloc(0);
  if (!Array.isArray(parsed)) {
    return { batch: false, calls: [readCall(bytes, parsed, safetyOf)] };
  }
  if (parsed.length === 0)
    throw new BalancerError('RPCB_INVALID_REQUEST', { detail: 'the batch is empty; send at least one call' });
  if (parsed.length > batchLimit) {
    throw new BalancerError('RPCB_TOO_LARGE', {
      detail: `the batch has ${parsed.length} calls; send at most ${batchLimit} at once (gateway.batchLimit)`,
    });
  }
  const spans = readElements(bytes)?.spans ?? [];
  return {
    batch: true,
    calls: spans.map(({ start, end }, at) => readCall(bytes.subarray(start, end), parsed[at], safetyOf)),
  };
}

/** Checks that the whole body is JSON before anything of it is believed. */
function parse(body: Buffer | null): unknown {
  if (body === null || body.length === 0) {
    throw new BalancerError('RPCB_PARSE', { detail: 'the body is empty; send a JSON-RPC request' });
  }
  if (body.length > 2 * NESTING_LEVELS_MAX && isNestedDeeper(body, NESTING_LEVELS_MAX)) {
    throw new BalancerError('RPCB_PARSE', {
      detail: `it is nested deeper than ${NESTING_LEVELS_MAX} levels`,
    });
  }
  if (!isUtf8(body)) throw new BalancerError('RPCB_PARSE', { detail: 'it is not UTF-8' });
  try {
    return JSON.parse(body.toString());
  } catch (cause) {
    throw new BalancerError('RPCB_PARSE', { detail: 'look for a missing quote, comma or bracket', cause });
  }
}

function readCall(bytes: Buffer, parsed: unknown, safetyOf: ReadOptions['safetyOf']): Call {
  const envelope = readEnvelope(bytes);
  const { method, params } = (parsed ?? {}) as { method?: unknown; params?: unknown }; // Any JSON value.
  const wrong = problemOf(envelope, method);
  return {
    method: typeof method === 'string' ? method : '',
    safety: wrong === null ? safetyOf(method as string) : 'unknown', // problemOf has checked that it is a string
    view: wrong === null ? chainView(method as string, params) : null, // as above
    bytes,
    // A request that is none is answered even without an id (JSON-RPC 2.0 section 5: then the id is null).
    id: envelope?.id ?? null,
    answer: null,
    failure: wrong === null ? null : { code: 'RPCB_INVALID_REQUEST', detail: wrong },
    lastResort: null,
    lacked: null,
    doubted: false,
    attempts: [],
  };
}

function problemOf(envelope: ReturnType<typeof readEnvelope>, method: unknown): string | null {
  if (envelope === null) return 'a call is an object with "jsonrpc", "id", "method" and "params"';
  if (typeof method !== 'string' || method === '') return '"method" must be a text that is not empty';
  if (method.length > METHOD_CHARS_MAX) return `"method" has more than ${METHOD_CHARS_MAX} characters`;
  if (envelope.ambiguous)
    return 'a member stands twice or in another case (such as "Id"), so nodes would read it differently; send "jsonrpc", "id", "method", "params", each once';
  return null;
}
