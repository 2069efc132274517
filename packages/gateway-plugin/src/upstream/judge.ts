// Decides: which calls an attempt's reply answers, which may go elsewhere, and how the attempt counts as a whole.
// Must not know: pick, tries, deadlines. What each reply means stands in outcome.ts.
import { type Envelope, type ErrorCode, retryAfterMs } from '@rpc-balancer/shared';
import { readBatch, restoreId } from './batch.ts';
import { type Call, idOf } from './call.ts';
import type { Answered, Reply } from './dispatch.ts';
import {
  ANSWERED,
  goesOn,
  isAnswer,
  isFateUnknown,
  isNull,
  judgeBatchRefusal,
  judgeEnvelope,
  judgeNoJsonRpc,
  judgeNotification,
  judgeTransport,
  MISSING,
  type Outcome,
  readAnswer,
  type Verdict,
} from './outcome.ts';

/** Judges the reply to one call that went as it is. */
export function judgeSingle(reply: Reply, call: Call, now: number): Verdict {
  const transport = judgeTransport(reply, now);
  if (reply.kind !== 'answered') return settle(call, transport ?? ANSWERED, null, reply);
  if (call.id === null && transport === null)
    return settle(call, judgeNotification(reply.status), reply.body, reply);
  const envelope = readAnswer(reply.body, reply.rest !== null);
  const own =
    envelope && answersTo(call, reply.body, envelope)
      ? judgeEnvelope(reply.body, envelope, waitOf(reply, now))
      : null;
  const body = envelope && own ? withOwnId(call, reply, envelope) : null;
  const verdict = transport ?? own ?? judgeNoJsonRpc(reply.status);
  // The beginning of a large answer is none, unless the rest of it is handed on as well.
  return settle(call, verdict, reply.rest && verdict !== ANSWERED ? null : body, reply);
}

/** Judges the reply to calls that went as one batch. */
export function judgeBatch(reply: Reply, calls: readonly Call[], now: number): Verdict {
  const transport = judgeTransport(reply, now);
  if (reply.kind !== 'answered' || transport) return settleAll(calls, transport ?? ANSWERED, reply);
  if (calls.every((call) => call.id === null))
    return settleAll(calls, judgeNotification(reply.status), reply);
  const batch = readBatch(reply.body, calls.length);
  const waitMs = waitOf(reply, now);
  if (batch === null) return judgeWhole(reply, calls, waitMs);
  if (reply.rest === null && (batch.elements.size === 0 || !batch.complete)) {
    return settleAll(calls, judgeNoJsonRpc(reply.status), reply);
  }
  const verdicts = calls.map((call, at) => {
    const element = batch.elements.get(at);
    if (call.id === null) return settle(call, ANSWERED, Buffer.alloc(0), reply);
    if (!element && reply.rest !== null) {
      call.lacked = null; // Another node may have said so before, this one has not.
      call.failure = {
        code: 'RPCB_TOO_LARGE',
        detail: 'the answers before this one fill gateway.batchAnswerLimit; ask for less at once',
      };
      return ANSWERED;
    }
    const verdict =
      element && isAnswer(element.envelope) ? judgeEnvelope(element.bytes, element.envelope, waitMs) : null;
    const bytes = element && verdict ? restoreId(element, idOf(call) ?? NULL) : null;
    return settle(call, verdict ?? MISSING, bytes, reply);
  });
  // A limit that one element met is a limit of the upstream; otherwise one answer shows that it is well.
  const telling = (outcome: Outcome) => verdicts.find((verdict) => verdict.outcome === outcome);
  return telling('throttled') ?? telling('answered') ?? verdicts[0] ?? ANSWERED;
}

/** One object in answer to a batch: the node's word on the batch as a whole, such as "batch too large". */
function judgeWhole(reply: Answered, calls: readonly Call[], waitMs: number | null): Verdict {
  const envelope = readAnswer(reply.body, false);
  const whole = envelope?.error ? judgeBatchRefusal(reply.body, envelope, waitMs) : null;
  if (!envelope || !whole) return settleAll(calls, judgeNoJsonRpc(reply.status), reply);
  for (const call of calls) {
    const bytes = restoreId({ bytes: reply.body, envelope }, idOf(call) ?? NULL);
    settle(call, whole, bytes, reply);
  }
  return whole;
}

function settleAll(calls: readonly Call[], verdict: Verdict, reply: Reply): Verdict {
  for (const call of calls) settle(call, verdict, null, reply);
  return verdict;
}

/** Closes the call unless the verdict lets it go elsewhere. */
function settle(call: Call, verdict: Verdict, bytes: Buffer | null, reply: Reply): Verdict {
  call.lacked = verdict.lacks;
  if (verdict.outcome === 'answered') {
    call.answer = bytes ?? Buffer.alloc(0);
    return verdict;
  }
  // Whatever a node said before: this one may have executed it, and that is what the client must know.
  if (isFateUnknown(verdict, call.safety)) {
    call.failure = { code: 'RPCB_FATE_UNKNOWN' };
    return verdict;
  }
  if (bytes && verdict.outcome !== 'failed') call.lastResort = bytes;
  const on = goesOn(verdict, call.safety);
  if (on === 'yes' || (on === 'once' && !call.doubted)) {
    call.doubted ||= on === 'once';
    return verdict;
  }
  if (call.lastResort) call.answer = call.lastResort;
  else call.failure = { code: failureCode(reply) };
  return verdict;
}

/** What there is to say of a request that ends with this attempt. */
export function failureCode(reply: Reply): ErrorCode {
  return reply.kind === 'cancelled' && reply.reason === 'deadline' ? 'RPCB_DEADLINE' : 'RPCB_ATTEMPTS_FAILED';
}

/** The body with the id as the client spelled it, where the node spelled the same value in another way. */
function withOwnId(call: Call, { body, rest }: Answered, envelope: Envelope): Buffer {
  const own = idOf(call);
  if (rest !== null || own === null || !envelope.id || isSpelledAlike(call, body, envelope)) return body;
  return isNull(body, envelope.id) ? body : restoreId({ bytes: body, envelope }, own);
}

function waitOf({ headers }: Answered, now: number): number | null {
  return retryAfterMs(headers['retry-after'], now);
}

/** Whether an answer carries the call's id; one to a request that a node could not read carries null. */
function answersTo(call: Call, body: Buffer, envelope: Envelope): boolean {
  const own = idOf(call);
  if (!envelope.id || own === null) return envelope.end === -1 || envelope.error !== undefined;
  if (isSpelledAlike(call, body, envelope)) return true;
  if (envelope.error && isNull(body, envelope.id)) return true;
  return sameValue(own, body.subarray(envelope.id.start, envelope.id.end));
}

/** Whether the answer repeats the id byte for byte, as it nearly always does. */
function isSpelledAlike({ bytes, id }: Call, body: Buffer, { id: theirs }: Envelope): boolean {
  if (!id || !theirs || id.end - id.start !== theirs.end - theirs.start) return false;
  for (let i = 0; i < id.end - id.start; i++) {
    if (bytes[id.start + i] !== body[theirs.start + i]) return false;
  }
  return true;
}

const NULL = Buffer.from('null');

/** The same id in another spelling, such as 1.0 for 1 or an escaped character. */
function sameValue(a: Buffer, b: Buffer): boolean {
  try {
    return JSON.stringify(JSON.parse(a.toString())) === JSON.stringify(JSON.parse(b.toString()));
  } catch {
    return false;
  }
}
