// Decides: what an attempt's reply means: does it count against the upstream, may the request go elsewhere, or is it the answer.
// Must not know: which upstream, how many attempts are left. The one place that compares statuses, codes and foreign texts.
import { type Envelope, endsAt, readEnvelope, type Safety } from '@rpc-balancer/shared';
import type { Reply } from './dispatch.ts';

export type Outcome =
  | 'answered'
  | 'unauthorized'
  | 'throttled'
  | 'unable'
  | 'internal'
  | 'failed'
  | 'timed_out'
  | 'aborted';

interface Row {
  readonly counts: boolean;
  /** May a read go elsewhere? `once`: one further attempt, since it may well be the request's own fault. */
  readonly read: 'yes' | 'once' | 'no';
  /** May anything else? `unsent`: only while no byte was written. */
  readonly other: 'yes' | 'unsent' | 'no';
}

/** Refusals come from something in front of the node, so nothing was executed; method not found likewise. */
const TABLE: Readonly<Record<Outcome, Row>> = {
  answered: { counts: false, read: 'no', other: 'no' },
  unauthorized: { counts: false, read: 'yes', other: 'yes' },
  throttled: { counts: false, read: 'yes', other: 'yes' },
  unable: { counts: false, read: 'yes', other: 'no' },
  internal: { counts: false, read: 'once', other: 'no' },
  failed: { counts: true, read: 'yes', other: 'unsent' },
  timed_out: { counts: true, read: 'yes', other: 'unsent' },
  aborted: { counts: false, read: 'no', other: 'no' },
};

export interface Verdict {
  readonly outcome: Outcome;
  readonly counts: boolean;
  /** Whether a byte of the request was written, so that the node may have executed it. */
  readonly sent: boolean;
  /** Nothing ran at the node although it answered (method not found). */
  readonly nothingRan: boolean;
  /** A reset of a reused socket: the same upstream may be tried again. */
  readonly stale: boolean;
  /** What the refusal asked to wait, in ms; null where it named nothing. */
  readonly retryAfterMs: number | null;
}

export type GoesOn = 'yes' | 'once' | 'no';

export function goesOn(verdict: Verdict, safety: Safety): GoesOn {
  const row = TABLE[verdict.outcome];
  if (safety === 'read') return row.read;
  if (row.other === 'unsent') return verdict.sent ? 'no' : 'yes';
  return row.other === 'yes' || verdict.nothingRan ? 'yes' : 'no';
}

function verdict(outcome: Outcome, facts: Partial<Omit<Verdict, 'outcome'>> = {}): Verdict {
  const { counts } = TABLE[outcome];
  return { outcome, counts, sent: true, nothingRan: false, stale: false, retryAfterMs: null, ...facts };
}

export const ANSWERED = verdict('answered');
/** A large answer that broke off after its beginning had been passed on. */
export const CUT = verdict('failed');
export const ABORTED = verdict('aborted');
/** An element that is missing in an otherwise valid batch answer: like a node that cannot. */
export const MISSING = verdict('unable');

/**
 * Judges an attempt as a whole. `null`: nothing in transport or status speaks against it, so the body decides.
 * @param now wall clock in epoch ms, for a Retry-After that is a date
 */
export function judgeTransport(reply: Reply, now: number): Verdict | null {
  if (reply.kind === 'cancelled') return verdict('aborted', { sent: reply.sent });
  if (reply.kind === 'broken') {
    const sent = reply.phase !== 'connecting';
    return verdict(reply.timedOut ? 'timed_out' : 'failed', { sent, stale: reply.reusedSocket });
  }
  // These come from something in front of the node, whatever their body says.
  if (reply.status === 429)
    return verdict('throttled', { retryAfterMs: retryAfterMs(reply.headers['retry-after'], now) });
  if (reply.status === 502 || reply.status === 503 || reply.status === 504) return verdict('failed');
  return null;
}

/** Judges an answer without a JSON-RPC body. */
export function judgeNoJsonRpc(status: number): Verdict {
  return verdict(status === 401 || status === 403 ? 'unauthorized' : 'failed');
}

/** Whether an answer to nothing but notifications was taken: any success, with or without a body. */
export function judgeNotification(status: number): Verdict {
  return status >= 200 && status < 300 ? ANSWERED : judgeNoJsonRpc(status);
}

/** The JSON-RPC answer that `body` is: an object with `result`, or with an `error` whose code is a number. */
export function readAnswer(body: Uint8Array, cut: boolean): Envelope | null {
  const envelope = readEnvelope(body);
  if (!envelope || envelope.ambiguous || envelope.method) return null;
  const complete = envelope.end !== -1 && endsAt(body, envelope.end);
  if (!complete && !(cut && envelope.end === -1)) return null;
  return envelope.result || envelope.error ? envelope : null;
}

function isNull(body: Uint8Array, span: { start: number }): boolean {
  return body[span.start] === 0x6e; // n
}

interface NodeError {
  readonly code: number;
  readonly text: string;
}

/** Judges one JSON-RPC answer. `null`: its error is none, so it is no JSON-RPC answer. */
export function judgeEnvelope(body: Uint8Array, envelope: Envelope): Verdict | null {
  // JSON-RPC 1.0 servers send both members, one of them null.
  if (!envelope.error || (envelope.result && isNull(body, envelope.error))) return ANSWERED;
  if (envelope.error.end === -1) return ANSWERED; // Larger than what is held: hand it on.
  const error = readError(body.subarray(envelope.error.start, envelope.error.end));
  if (error === null) return null;
  if (error.code === -32601) return verdict('unable', { nothingRan: true });
  if (isLimit(error)) return verdict('throttled');
  if (isRevert(error)) return ANSWERED;
  if (LACKS.test(error.text)) return verdict('unable');
  return error.code === -32603 ? verdict('internal') : ANSWERED;
}

function readError(bytes: Uint8Array): NodeError | null {
  let error: unknown;
  try {
    error = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  } catch {
    return null;
  }
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  const { code, message, data } = error as { code: unknown; message?: unknown; data?: unknown }; // Any JSON object
  if (typeof code !== 'number') return null;
  return {
    code,
    text: `${String(message ?? '')} ${typeof data === 'string' ? data : JSON.stringify(data ?? '')}`,
  };
}

/** -32005: EIP-1474 "limit exceeded"; 429 as a code: Alchemy, Infura. -32005 of a range that is too wide is about the request. */
function isLimit({ code, text }: NodeError): boolean {
  return (code === -32005 && !/query returned more than|range|results/i.test(text)) || code === 429;
}

/** EIP-1474 code 3; Frontier and older clients answer -32603 or -32000 to every revert and say so in text or data. */
function isRevert({ code, text }: NodeError): boolean {
  return code === 3 || /revert/i.test(text) || /0x08c379a0|0x4e487b71/.test(text);
}

/**
 * "I have not got that": geth 1.13 "missing trie node", "header not found"; geth 1.14 "historical state … is not available", "state … is not available";
 * erigon 2 and reth 1 "pruned"; anvil 1 "BlockOutOfRangeError"; Nethermind 1.25 "No state available".
 */
const LACKS =
  /missing trie node|header not found|unknown block|block not found|state (?:\S+ )?is not available|pruned|history has been|no state available|BlockOutOfRange|ancient data/i;

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfterMs(header: string | string[] | undefined, now: number): number | null {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return null;
  if (/^\s*\d{1,9}\s*$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
