// Decides: what an attempt's reply means: does it count against the upstream, may the request go elsewhere, or is it the answer.
// Must not know: which upstream, how many attempts are left, the words of nodes. The one place that compares statuses.
import {
  type Envelope,
  endsAt,
  readEnvelope,
  retryAfterMs,
  type Safety,
  type Span,
} from '@rpc-balancer/shared';
import type { Reply } from './dispatch.ts';
import { isBatchUnread, meaningOf, readError } from './node-error.ts';

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
  /** The answer, if there was one, is lost. */
  readonly lost: boolean;
  /** May a read go elsewhere? `once`: one further attempt, since it may well be the request's own fault. */
  readonly read: 'yes' | 'once' | 'no';
  /** May anything else? `unsent`: only while no byte was written. */
  readonly other: 'yes' | 'unsent' | 'no';
}

/** Refusals come from something in front of the node, so nothing was executed; method not found likewise. */
const TABLE: Readonly<Record<Outcome, Row>> = {
  answered: { counts: false, lost: false, read: 'no', other: 'no' },
  unauthorized: { counts: false, lost: false, read: 'yes', other: 'yes' },
  throttled: { counts: false, lost: false, read: 'yes', other: 'yes' },
  unable: { counts: false, lost: false, read: 'yes', other: 'no' },
  internal: { counts: false, lost: false, read: 'once', other: 'no' },
  failed: { counts: true, lost: true, read: 'yes', other: 'unsent' },
  timed_out: { counts: true, lost: true, read: 'yes', other: 'unsent' },
  aborted: { counts: false, lost: true, read: 'no', other: 'no' },
};

export interface Verdict {
  readonly outcome: Outcome;
  readonly counts: boolean;
  /** Whether a byte of the request was written, so that the node may have executed it. */
  readonly sent: boolean;
  /** No answer came, so that nobody knows what the node did. */
  readonly lost: boolean;
  /** Nothing ran at the node although it answered (method not found). */
  readonly nothingRan: boolean;
  /** What the node said it lacks; this is remembered. */
  readonly lacks: 'method' | 'history' | null;
  /** A reset of a reused socket: the same upstream may be tried again. */
  readonly stale: boolean;
  /** What the refusal asked to wait, in ms; null where it named nothing. */
  readonly retryAfterMs: number | null;
}

/** Whether a call that must not run twice may have run although its answer is lost. */
export function isFateUnknown({ lost, sent, nothingRan }: Verdict, safety: Safety): boolean {
  return safety !== 'read' && lost && sent && !nothingRan;
}

export type GoesOn = 'yes' | 'once' | 'no';

export function goesOn(verdict: Verdict, safety: Safety): GoesOn {
  const row = TABLE[verdict.outcome];
  if (safety === 'read') return row.read;
  if (row.other === 'yes' || verdict.nothingRan) return 'yes';
  return row.other === 'unsent' && !verdict.sent ? 'yes' : 'no';
}

function verdict(outcome: Outcome, facts: Partial<Omit<Verdict, 'outcome'>> = {}): Verdict {
  const { counts, lost } = TABLE[outcome];
  return {
    outcome,
    counts,
    lost,
    sent: true,
    nothingRan: false,
    lacks: null,
    stale: false,
    retryAfterMs: null,
    ...facts,
  };
}

export const ANSWERED = verdict('answered');
/** A large answer that broke off after its beginning had been passed on. */
export const CUT = verdict('failed');
/** An answer that is right for this node's head, but not for the network's. */
export const BEHIND = verdict('unable');
export const ABORTED = verdict('aborted');
/** Nothing came for longer than `silence` allows, and somebody else was asked. */
export const SILENT = verdict('timed_out');
/** An element that is missing in an otherwise valid batch answer: like a node that cannot. */
export const MISSING = verdict('unable', { lost: true });

/**
 * Judges an attempt as a whole. `null`: nothing in transport or status speaks against it, so the body decides.
 * @param now wall clock in epoch ms, for a Retry-After that is a date
 */
export function judgeTransport(reply: Reply, now: number): Verdict | null {
  if (reply.kind === 'cancelled') return verdict('aborted', { sent: reply.sent });
  if (reply.kind === 'broken') {
    const sent = reply.phase !== 'connecting';
    const stale = reply.reusedSocket && !reply.timedOut;
    return verdict(reply.timedOut ? 'timed_out' : 'failed', { sent, stale });
  }
  // These come from something in front of the node, whatever their body says.
  if (reply.status === 429)
    return verdict('throttled', { retryAfterMs: retryAfterMs(reply.headers['retry-after'], now) });
  if (reply.status === 502 || reply.status === 503 || reply.status === 504) return verdict('failed');
  return null;
}

/** RFC 9110 section 15.5: said of the request's path, verb or size before anything is executed. */
const REFUSED_UNREAD = new Set([404, 405, 413, 414, 415, 431]);

/**
 * Judges an answer without a JSON-RPC body. A refusal of the request itself moves on but counts against nobody:
 * otherwise one client with a wrong path could have every upstream ejected.
 */
export function judgeNoJsonRpc(status: number): Verdict {
  if (status === 401 || status === 403) return verdict('unauthorized');
  const unread = REFUSED_UNREAD.has(status);
  return unread || status === 400
    ? verdict('failed', { counts: false, nothingRan: unread })
    : verdict('failed');
}

/** Whether an answer to nothing but notifications was taken: any success, with or without a body. */
export function judgeNotification(status: number): Verdict {
  return status >= 200 && status < 300 ? ANSWERED : judgeNoJsonRpc(status);
}

/** The JSON-RPC answer that `body` is: an object with `result`, or with an `error` whose code is a number. */
export function readAnswer(body: Uint8Array, cut: boolean): Envelope | null {
  const envelope = readEnvelope(body);
  if (!envelope) return null;
  const complete = envelope.end !== -1 && endsAt(body, envelope.end);
  if (!complete && !(cut && envelope.end === -1)) return null;
  return isAnswer(envelope) ? envelope : null;
}

/** Whether an object is an answer at all, and not a request or something else. */
export function isAnswer(envelope: Envelope): boolean {
  return !envelope.ambiguous && !envelope.method && (envelope.result ?? envelope.error) !== undefined;
}

/** Whether the value of a member is null; nothing else in JSON begins with an n. */
export function isNull(body: Uint8Array, span: Span): boolean {
  return body[span.start] === 0x6e;
}

/**
 * Judges one JSON-RPC answer. `null`: its error is none, so it is no JSON-RPC answer.
 * @param waitMs what a Retry-After beside it asks for
 */
export function judgeEnvelope(body: Uint8Array, envelope: Envelope, waitMs: number | null): Verdict | null {
  // JSON-RPC 1.0 servers send both members, one of them null.
  if (!envelope.error || (envelope.result && isNull(body, envelope.error))) return ANSWERED;
  if (envelope.error.end === -1) return ANSWERED; // Larger than what is held: hand it on.
  const error = readError(body.subarray(envelope.error.start, envelope.error.end));
  if (error === null) return null;
  switch (meaningOf(error)) {
    case 'no_method':
      return verdict('unable', { nothingRan: true, lacks: 'method' });
    case 'limit':
      return verdict('throttled', { retryAfterMs: waitMs });
    case 'switched_off':
      return verdict('unable', { lacks: 'method' });
    case 'no_history':
      return verdict('unable', { lacks: 'history' });
    case 'internal':
      return verdict('internal');
    case 'about_request':
      return ANSWERED;
  }
}

/** Judges one error object in answer to a whole batch. Unless it says that nothing ran, only reads may go on. */
export function judgeBatchRefusal(
  body: Uint8Array,
  envelope: Envelope,
  waitMs: number | null,
): Verdict | null {
  const error = envelope.error && readError(body.subarray(envelope.error.start, envelope.error.end));
  if (!error) return null; // One result for a whole batch is nobody's answer.
  if (meaningOf(error) === 'limit') return verdict('throttled', { retryAfterMs: waitMs });
  return verdict('unable', { nothingRan: isBatchUnread(error) });
}

/** Judges the reply of an attempt whose request was answered by another one: only the upstream's part in it. */
export function judgeLoser(reply: Reply, now: number): Verdict {
  const transport = judgeTransport(reply, now);
  if (transport !== null || reply.kind !== 'answered') return transport ?? ABORTED;
  return readAnswer(reply.body, reply.rest !== null) ? ANSWERED : judgeNoJsonRpc(reply.status);
}
