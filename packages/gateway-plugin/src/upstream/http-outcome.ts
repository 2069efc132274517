// Decides: what a reply to a request that is no JSON-RPC means in our own profile: by `retryOn`, or of a URI call by its body.
// Must not know: which upstream, how many attempts are left, Fastify.
import { type RetryOn, retryAfterMs, type Safety } from '@rpc-balancer/shared';
import type { Answered, Broken, Reply } from './dispatch.ts';
import { parseErrorOf, STATUSES } from './nginx-outcome.ts';
import {
  ANSWERED,
  type GoesOn,
  goesOn,
  judgeEnvelope,
  judgeNoJsonRpc,
  judgeTransport,
  readAnswer,
  type Verdict,
} from './outcome.ts';

export interface HttpJudgement {
  readonly verdict: Verdict;
  readonly goesOn: GoesOn;
}

/** RFC 9110 section 15: there is none above, and a server of Fastify says none. */
const STATUS_MAX = 599;

/** An answer that could not be passed on is none: as if its first line could not be read. */
export function sayable(reply: Reply): Reply {
  if (reply.kind !== 'answered' || reply.status <= STATUS_MAX) return reply;
  reply.rest?.discard();
  const error = Object.assign(new Error('there is no such status'), { name: 'HTTPParserError' });
  return { kind: 'broken', phase: 'waiting', timedOut: false, reusedSocket: false, error };
}

/** @param repeatable whether the verb may be sent again although it was sent */
export function judgeHttp(
  reply: Reply,
  retryOn: ReadonlySet<RetryOn>,
  repeatable: boolean,
  now: number,
): HttpJudgement {
  const again = repeatable || retryOn.has('non_idempotent');
  if (reply.kind === 'answered') return judgeStatus(reply, retryOn, again, now);
  const verdict = judgeTransport(reply, now) ?? ANSWERED; // Null is said of answers alone.
  if (reply.kind === 'cancelled') return { verdict, goesOn: 'no' };
  return { verdict, goesOn: retryOn.has(causeOf(reply)) && (again || !verdict.sent) ? 'yes' : 'no' };
}

function causeOf(reply: Broken): RetryOn {
  if (reply.timedOut) return 'timeout';
  return parseErrorOf(reply) === null ? 'error' : 'invalid_header';
}

/** Any other status is what the client wanted to know. */
function judgeStatus(
  reply: Answered,
  retryOn: ReadonlySet<RetryOn>,
  again: boolean,
  now: number,
): HttpJudgement {
  const listed = STATUSES[reply.status];
  if (!listed || !retryOn.has(listed.on)) return { verdict: ANSWERED, goesOn: 'no' };
  if (listed.outcome === 'throttled') {
    const waitMs = retryAfterMs(reply.headers['retry-after'], now);
    return { verdict: { ...ANSWERED, outcome: 'throttled', retryAfterMs: waitMs }, goesOn: 'yes' }; // Nothing was executed.
  }
  // 403 may well be about the client's own credentials, which go along: it says nothing lasting about the upstream.
  const failed = listed.outcome === 'failed';
  const verdict: Verdict = { ...ANSWERED, outcome: failed ? 'failed' : 'unable', counts: failed };
  return { verdict, goesOn: again ? 'yes' : 'no' };
}

/** A URI call is answered with a JSON-RPC body, under whatever status: CometBFT answers 500 to what it does not have. */
export function judgeUri(reply: Reply, safety: Safety, now: number): HttpJudgement {
  const verdict =
    judgeTransport(reply, now) ?? (reply.kind === 'answered' ? judgeBody(reply, now) : ANSWERED);
  return { verdict, goesOn: goesOn(verdict, safety) };
}

function judgeBody({ status, headers, body, rest }: Answered, now: number): Verdict {
  const envelope = readAnswer(body, rest !== null);
  const own = envelope && judgeEnvelope(body, envelope, retryAfterMs(headers['retry-after'], now));
  return own ?? judgeNoJsonRpc(status);
}
