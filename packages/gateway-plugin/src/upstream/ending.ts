// Decides: how calls end that nobody has answered: by what a node said before, else by a failure of ours.
// Must not know: pick, attempts.
import type { ErrorCode } from '@rpc-balancer/shared';
import type { Refusal } from '../balance/pick.ts';
import type { Call } from './call.ts';
import type { CancelReason } from './cancellation.ts';
import type { Exchange } from './exchange.ts';
import { letThrough } from './shown.ts';

/** The request is over: nothing further is sent. What is still open has not been sent, or may be sent again. */
export function abandon(reason: CancelReason, open: readonly Call[]): void {
  fail(open, reason === 'deadline' ? 'RPCB_DEADLINE' : 'RPCB_ATTEMPTS_FAILED');
}

/** Nobody is left to be tried: what a node has said is the answer, else the reason why nobody is. */
export function giveUp(
  exchange: Exchange,
  open: readonly Call[],
  attemptCount: number,
  { reasons, overloaded, retryAfterMs }: Refusal,
): void {
  const unattempted = attemptCount === 0 ? 'RPCB_NO_UPSTREAM' : 'RPCB_ATTEMPTS_FAILED';
  const code = overloaded ? 'RPCB_OVERLOADED' : unattempted;
  exchange.reasons = reasons;
  if (code !== 'RPCB_ATTEMPTS_FAILED') exchange.retryAfterMs = retryAfterMs;
  fail(open, code);
  for (const call of open) if (call.answer) letThrough(exchange.network, call, call.answer, exchange.now());
}

function fail(open: readonly Call[], code: ErrorCode): void {
  for (const call of open) {
    if (call.lastResort) call.answer = call.lastResort;
    else call.failure = { code };
  }
}
