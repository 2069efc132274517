// Decides: how a request travels under `compat: nginx`: whole and unread, from one upstream to the next, as through nginx.
// Must not know: what a reply means (nginx-outcome.ts), JSON-RPC.
import { ERRORS } from '@rpc-balancer/shared';
import { beginAttempt, trialWaitMs } from '../balance/ejection.ts';
import type { Member } from '../balance/member.ts';
import { areAllFailed } from '../balance/network-state.ts';
import { isRefusal, type Refusal } from '../balance/pick.ts';
import { pickFor } from '../balance/pin.ts';
import type { AttemptNote, Call } from './call.ts';
import type { Reply } from './dispatch.ts';
import type { Exchange } from './exchange.ts';
import { judgeAsNginx, NGINX_ENDS } from './nginx-outcome.ts';
import { isFateUnknown, type Verdict } from './outcome.ts';

export interface Unread {
  /** Whether nginx repeats its verb. */
  readonly idempotent: boolean;
  send(member: Member, onReply: (reply: Reply) => void): void;
}

/** Sends the request to one upstream after another until a node's own answer can be passed on, or none can be had. */
export async function relayAsNginx(
  exchange: Exchange,
  calls: readonly Call[],
  { idempotent, send }: Unread,
): Promise<void> {
  const { network, now, pin } = exchange;
  const { state, config } = network;
  const { members } = state;
  const lone = members.length === 1;
  const retryOn = new Set(config.retryOn);
  const attempts: AttemptNote[] = [];
  for (const call of calls) call.attempts = attempts;
  let tried: readonly Member[] = [];
  const enabledCount = members.filter(({ disabled }) => !disabled).length;
  // A request with a pin has nowhere to move on to, so that the node's own answer is passed on.
  let triesLeft = pin === null ? Math.min(config.tries, enabledCount) : 1;
  for (;;) {
    const begunAt = now();
    const member = pickFor(
      pin,
      state,
      { tried, tag: null, asked: [], answered: false, behind: [] },
      begunAt,
      network.random,
    );
    if (isRefusal(member)) return giveUp(exchange, calls, member);
    if (!lone) tried = [...tried, ...passedBy(member, members)];

    const trial = beginAttempt(member, begunAt, trialWaitMs(member, areAllFailed(state)));
    const reply = await new Promise<Reply>((resolve) => send(member, resolve));
    const runner = { member, begunAt, trial, sent: null, reply };
    const timeLeft = now() < exchange.deadlineAt;
    const allowance = { triesLeft, timeLeft, retryOn, lone, idempotent };
    const { verdict, movesOn, ...judged } = judgeAsNginx(reply, allowance);
    triesLeft = judged.triesLeft;

    if (reply.kind === 'answered' && !movesOn) {
      exchange.passed = reply;
      if (reply.rest) return exchange.open(reply.rest, runner, NGINX_ENDS);
    } else if (reply.kind === 'answered') reply.rest?.discard();
    attempts.push(exchange.settle(runner, verdict));
    if (!movesOn) return reply.kind === 'answered' ? undefined : stop(exchange, calls, verdict);
  }
}

/** Once a tier was left, a request does not come back to it. */
function passedBy(picked: Member, members: readonly Member[]): Member[] {
  return members.filter((member) => member === picked || member.tierRank < picked.tierRank);
}

/** No live upstream: 502, whatever a node has said before. */
function giveUp(exchange: Exchange, calls: readonly Call[], { reasons }: Refusal): void {
  exchange.reasons = reasons;
  exchange.failedWith = ERRORS.RPCB_ATTEMPTS_FAILED.statusCode;
  for (const call of calls) call.failure = { code: 'RPCB_ATTEMPTS_FAILED' };
}

/** The status is nginx's; the error in the body says to clients that repeat by themselves whether they may. */
function stop(exchange: Exchange, calls: readonly Call[], verdict: Verdict): void {
  const code = verdict.outcome === 'timed_out' ? 'RPCB_DEADLINE' : 'RPCB_ATTEMPTS_FAILED';
  exchange.failedWith = ERRORS[code].statusCode;
  for (const call of calls) {
    call.failure = { code: isFateUnknown(verdict, call.safety) ? 'RPCB_FATE_UNKNOWN' : code };
  }
}
