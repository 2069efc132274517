// Decides: THE PATH OF WHAT IS NO JSON-RPC: pick -> send -> judge -> pass on, or round again while judgement and budget allow.
// Must not know: Fastify, Redis, the control path. Each step is a call to the leaf of that name.
import { isRepeatedByNginx } from '@rpc-balancer/shared';
import type { Member } from '../balance/member.ts';
import { isRefusal } from '../balance/pick.ts';
import { aim, assertPin, secondFor } from '../upstream/aim.ts';
import { comingHead, headShown } from '../upstream/await-head.ts';
import type { AttemptNote, Call } from '../upstream/call.ts';
import type { Answered, Reply, Sent } from '../upstream/dispatch.ts';
import { abandon, giveUp } from '../upstream/ending.ts';
import { Exchange, type PassedOn } from '../upstream/exchange.ts';
import type { HttpJudgement } from '../upstream/http-outcome.ts';
import { failureCode } from '../upstream/judge.ts';
import { noteLack } from '../upstream/lack.ts';
import type { Runner } from '../upstream/lateness.ts';
import type { Network } from '../upstream/network.ts';
import { relayAsNginx } from '../upstream/nginx-relay.ts';
import { ABORTED, ANSWERED, BEHIND, CUT, isFateUnknown, type Verdict } from '../upstream/outcome.ts';
import { race } from '../upstream/race.ts';
import { isForgiven } from '../upstream/record.ts';
import { type Answering, letThrough, review } from '../upstream/shown.ts';
import type { Asked } from './asked.ts';

/** Sends the request once: the proxy's part of an attempt. */
export interface Sending {
  send(exchange: Exchange, member: Member, onReply: (reply: Reply) => void): Sent;
}

type SendTo = (member: Member, onReply: (reply: Reply) => void) => Sent;

/**
 * Ends with a node's answer in `exchange.passed`, or with the failure of `asked.call`.
 * @throws BalancerError `RPCB_UNKNOWN_UPSTREAM`; then nothing was sent
 */
export async function passThrough(
  network: Network,
  { asked, passage, ...passedOn }: PassedOn & { readonly asked: Asked; readonly passage: Sending },
  now: () => number,
): Promise<Exchange> {
  const { call } = asked;
  assertPin(network, passedOn.pin);
  const exchange = new Exchange(network, passedOn, [call], now);
  const send: SendTo = (member, onReply) => passage.send(exchange, member, onReply);
  try {
    if (network.config.compat === 'nginx')
      await relayAsNginx(exchange, [call], { idempotent: isRepeatedByNginx(asked.verb), send });
    else await relay(exchange, asked, send);
  } finally {
    if (exchange.stream === null) exchange.end();
  }
  return exchange;
}

/** What is known of a request besides its attempts. */
interface Course {
  /** What a node said that another may better: the client's if nobody does. */
  lastResort: Answered | null;
  /** A node may have executed it, and its answer is lost. */
  fateUnknown: boolean;
  /** A node said "internal error" once; one second opinion is enough. */
  doubted: boolean;
  forgiven: boolean;
  /** A block that is just being announced was waited for, which is done once. */
  awaited: boolean;
}

/** Sends the request to one upstream after another until a node's answer can be passed on, or none can be had. */
async function relay(exchange: Exchange, { call, kind, safe, judge }: Asked, send: SendTo): Promise<void> {
  const { network, now, cancellation, pin } = exchange;
  const tried: Member[] = [];
  const attempts: AttemptNote[] = [];
  call.attempts = attempts;
  const tag = network.tagOf(call.method) ?? null;
  const course: Course = {
    ...{ lastResort: null, fateUnknown: false },
    ...{ doubted: false, forgiven: false, awaited: false },
  };
  for (let triesLeft = network.config.tries; ; ) {
    const { reason } = cancellation;
    if (reason !== null) return conclude(exchange, call, course, () => abandon(reason, [call]));
    const begunAt = now();
    const { wanted, need, member } = aim(network, [call], { tried, tag, triesLeft, pin }, begunAt);
    if (isRefusal(member))
      return conclude(exchange, call, course, () => giveUp(exchange, [call], attempts.length, member));
    const coming = course.awaited ? null : comingHead(network.state, member, need, tried, begunAt);
    if (coming !== null) {
      course.awaited = true;
      await headShown(network.state, coming, cancellation);
      continue;
    }

    const { runner, reply } = await race(member, {
      ...{ network, now, kind, repeatable: safe, send },
      another: () =>
        pin === null ? secondFor(network, { ...wanted, tried: [...tried, member] }, now()) : null,
      judge: (one) => judge(one, now()).verdict,
      onLoser(loser, verdict) {
        tried.push(loser.member);
        attempts.push(exchange.settle(loser, verdict));
        if (loser.reply?.kind === 'answered') keep(course, call, loser.reply);
      },
    });
    const endedAt = now();
    const judged = judge(reply, endedAt);
    if (judged.verdict === ANSWERED) network.lateness.durations.record(kind, endedAt - begunAt);
    const answering = { network, member: runner.member, tried, now: endedAt };
    const { verdict, goesOn } = reviewed(answering, call, reply, judged);
    // One reset of a kept connection costs no try, and the same upstream may have the next.
    if (isForgiven(runner.member, verdict) && !course.forgiven) course.forgiven = true;
    else {
      tried.push(runner.member);
      triesLeft--;
    }
    const stays = goesOn === 'no' || (goesOn === 'once' && course.doubted);
    course.doubted ||= goesOn === 'once';
    course.fateUnknown ||= isFateUnknown(verdict, call.safety);

    const isLast = stays || (triesLeft <= 0 && verdict !== BEHIND);
    const tellsFate = verdict === ANSWERED || !course.fateUnknown;
    if (reply.kind === 'answered' && isLast && tellsFate) {
      attempts.push({ upstream: runner.member.id, outcome: verdict.outcome });
      return pass(exchange, runner, reply, verdict);
    }
    attempts.push(exchange.settle(runner, verdict));
    call.lacked = verdict.lacks;
    noteLack(network.state, runner.member, call, endedAt);
    if (reply.kind === 'answered') keep(course, call, reply);
    if (stays) return conclude(exchange, call, course, () => (call.failure = { code: failureCode(reply) }));
  }
}

/** The judgement of an answer that shows the node's head, as of one to JSON-RPC: another upstream may have a newer one. */
function reviewed(
  answering: Omit<Answering, 'streamed'>,
  call: Call,
  reply: Reply,
  judged: HttpJudgement,
): HttpJudgement {
  if (reply.kind !== 'answered' || judged.verdict !== ANSWERED) return judged;
  call.answer = reply.body;
  const verdict = review({ ...answering, streamed: reply.rest !== null }, [call], ANSWERED);
  return verdict === ANSWERED ? judged : { verdict, goesOn: 'yes' };
}

/** The node's answer goes out as it is, large ones while they come. */
function pass(exchange: Exchange, runner: Runner, reply: Answered, verdict: Verdict): void {
  exchange.passed = reply;
  if (reply.rest) exchange.open(reply.rest, runner, { complete: verdict, cut: CUT, left: ABORTED });
  else exchange.settle(runner, verdict);
}

/** Of a large answer only the beginning is there; and nothing is better than the newest head that was shown. */
function keep(course: Course, { lastResort }: Call, reply: Answered): void {
  if (reply.rest) reply.rest.discard();
  else if (lastResort === null || lastResort === reply.body) course.lastResort = reply;
}

/** Nothing further is sent. That a node may have executed the request comes before whatever another has said. */
function conclude(exchange: Exchange, call: Call, course: Course, otherwise: () => void): void {
  if (course.fateUnknown) call.failure = { code: 'RPCB_FATE_UNKNOWN' };
  else if (course.lastResort !== null) {
    exchange.passed = course.lastResort;
    if (call.lastResort) letThrough(exchange.network, call, call.lastResort, exchange.now());
  } else otherwise();
}
