// Decides: what an attempt's reply means under `compat: nginx`: the rules of ngx_http_upstream_next.
// Must not know: JSON-RPC, upstreams. The second outcome table, beside that of outcome.ts.
import type { RetryOn } from '@rpc-balancer/shared';
import type { Broken, Reply } from './dispatch.ts';
import { ABORTED, ANSWERED, type Outcome, type Verdict } from './outcome.ts';

/** What decides, besides the reply, whether another attempt follows. */
export interface Allowance {
  /** The attempt that has just ended included. */
  readonly triesLeft: number;
  readonly timeLeft: boolean;
  readonly retryOn: ReadonlySet<RetryOn>;
  /** The only upstream of its network: it is never blamed. */
  readonly lone: boolean;
  /** Whether nginx repeats the verb although it was sent. */
  readonly idempotent: boolean;
}

export interface NginxJudgement {
  readonly verdict: Verdict;
  readonly movesOn: boolean;
  readonly triesLeft: number;
}

/** A status that `retryOn` can name. */
export interface Listed {
  readonly on: RetryOn;
  readonly outcome: Outcome;
  /** Whether moving on because of it is a failure of the upstream. */
  readonly counts: boolean;
}

/** Any other status is passed on, and so are these unless the request moves on. */
export const STATUSES: Readonly<Record<number, Listed>> = {
  500: { on: 'http_500', outcome: 'failed', counts: true },
  502: { on: 'http_502', outcome: 'failed', counts: true },
  503: { on: 'http_503', outcome: 'failed', counts: true },
  504: { on: 'http_504', outcome: 'failed', counts: true },
  429: { on: 'http_429', outcome: 'throttled', counts: true },
  403: { on: 'http_403', outcome: 'unauthorized', counts: false },
  404: { on: 'http_404', outcome: 'unable', counts: false },
};

/** A large answer that breaks off, or is not wanted any more, after its beginning was passed on. */
export const NGINX_ENDS = { complete: ANSWERED, cut: ANSWERED, left: ABORTED } as const;

export function judgeAsNginx(reply: Reply, allowance: Allowance): NginxJudgement {
  const { triesLeft } = allowance;
  if (reply.kind === 'broken') return judgeBroken(reply, allowance);
  if (reply.kind === 'cancelled') {
    // What still runs when even the time of its own timeouts is over has timed out.
    const { sent } = reply;
    if (reply.reason === 'deadline')
      return judgeLost({ on: 'timeout', outcome: 'timed_out', sent }, allowance);
    return { verdict: ABORTED, movesOn: false, triesLeft: 0 };
  }
  const listed = STATUSES[reply.status];
  if (!listed || triesLeft <= 1 || !isAllowed(listed.on, true, allowance)) {
    return { verdict: ANSWERED, movesOn: false, triesLeft };
  }
  const { outcome, counts } = listed;
  return { verdict: { ...ANSWERED, outcome, counts }, movesOn: true, triesLeft: triesLeft - 1 };
}

function judgeBroken(reply: Broken, allowance: Allowance): NginxJudgement {
  const { timedOut, phase, reusedSocket } = reply;
  const sent = phase !== 'connecting';
  const outcome = timedOut ? 'timed_out' : 'failed';
  const malformed = parseErrorOf(reply);
  // The header had come, or what came is no HTTP: nginx has passed it on by now and counts nothing.
  if (phase === 'reading' || malformed === 'no HTTP') {
    return { verdict: { ...ANSWERED, outcome, lost: true }, movesOn: false, triesLeft: 0 };
  }
  if (timedOut) return judgeLost({ on: 'timeout', outcome, sent }, allowance);
  if (malformed === 'header') return judgeLost({ on: 'invalid_header', outcome, sent }, allowance);
  return judgeLost({ on: 'error', outcome, sent, granted: reusedSocket ? 1 : 0 }, allowance);
}

interface Loss {
  readonly on: RetryOn;
  readonly outcome: Outcome;
  readonly sent: boolean;
  /** A kept socket that the node gave up grants another try. */
  readonly granted?: number;
}

/** There is no header: a failure in any case, listed or not. */
function judgeLost({ on, outcome, sent, granted = 0 }: Loss, allowance: Allowance): NginxJudgement {
  const triesLeft = (allowance.lone ? 0 : allowance.triesLeft - 1) + granted;
  return {
    verdict: { ...ANSWERED, outcome, sent, lost: true, counts: !allowance.lone },
    movesOn: triesLeft > 0 && isAllowed(on, sent, allowance),
    triesLeft,
  };
}

/** Once sent, what is not idempotent is repeated only on request. */
function isAllowed(on: RetryOn, sent: boolean, { retryOn, timeLeft, idempotent }: Allowance): boolean {
  return timeLeft && retryOn.has(on) && (!sent || idempotent || retryOn.has('non_idempotent'));
}

/** llhttp 9 of a first line that is none of HTTP; whatever else it complains of stands in the headers. */
const NO_HTTP = /Expected (?:HTTP|dot|space after version)|Invalid (?:HTTP|major|minor|status)/;

/** undici leaves the code of such an error out, so that its text must tell. */
export function parseErrorOf({ error }: Broken): 'no HTTP' | 'header' | null {
  if (error.name !== 'HTTPParserError') return null;
  return NO_HTTP.test(error.message) ? 'no HTTP' : 'header';
}
