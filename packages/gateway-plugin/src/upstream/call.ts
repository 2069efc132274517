// Decides: what one JSON-RPC call is between the client and the upstreams.
// Must not know: HTTP, or who answers it.

import type { ChainView, ErrorCode, Safety, Span } from '@rpc-balancer/shared';
import type { Outcome, Verdict } from './outcome.ts';

/** One attempt, as an error tells of it. */
export interface AttemptNote {
  readonly upstream: string;
  readonly outcome: Outcome;
}

export interface Failure {
  readonly code: ErrorCode;
  readonly detail?: string;
}

export interface Call {
  readonly method: string;
  readonly safety: Safety;
  /** What it has to do with the head of the chain; null for nothing. */
  readonly view: ChainView | null;
  /** The call as the client wrote it. */
  readonly bytes: Buffer;
  /** Where the id stands in `bytes`; null for a notification. */
  readonly id: Span | null;
  /** The answer as it goes to the client; null while there is none. */
  answer: Buffer | null;
  /** Why there will be none. */
  failure: Failure | null;
  /** An answer that another upstream may better (a refusal, "method not found"): the client's if nobody does. */
  lastResort: Buffer | null;
  /** What the node that answered last said it lacks. */
  lacked: Verdict['lacks'];
  /** A node said "internal error" once; one second opinion is enough. */
  doubted: boolean;
  /** Those that this call took part in; at most `tries` and a forgiven one. */
  attempts: readonly AttemptNote[];
}

/** The id's own bytes: what the client must get back, whatever type it has. */
export function idOf(call: Call): Buffer | null {
  return call.id && call.bytes.subarray(call.id.start, call.id.end);
}

export function isOpen(call: Call): boolean {
  return call.answer === null && call.failure === null;
}

/** Whether there is an answer already, although another upstream may have a better one. */
export function isAnswered(call: Call): boolean {
  return call.lastResort !== null;
}

/** Whether it may be sent to two upstreams, and answered by both. */
export function isRepeatable(call: Call): boolean {
  return call.safety === 'read';
}
