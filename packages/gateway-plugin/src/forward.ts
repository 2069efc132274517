// Decides: THE DATA PATH: read -> pick -> dispatch -> judge -> answer, or round again while judgement and budget allow.
// Must not know: Fastify, Redis, the control path. Each step is a call to the leaf of that name.
import { BalancerError, type ErrorCode } from '@rpc-balancer/shared';
import type { Member } from './balance/member.ts';
import { isRefusal, type Refusal } from './balance/pick.ts';
import { readRequest } from './guard/read.ts';
import { aim, byTag, secondFor } from './upstream/aim.ts';
import { comingHead, headShown } from './upstream/await-head.ts';
import { writeBatch } from './upstream/batch.ts';
import { type AttemptNote, type Call, isOpen, isRepeatable } from './upstream/call.ts';
import type { CancelReason } from './upstream/cancellation.ts';
import { Exchange, type PassedOn } from './upstream/exchange.ts';
import { judgeBatch, judgeSingle } from './upstream/judge.ts';
import { noteLack } from './upstream/lack.ts';
import { BATCH } from './upstream/lateness.ts';
import type { Network } from './upstream/network.ts';
import { relayAsNginx } from './upstream/nginx-relay.ts';
import { ANSWERED } from './upstream/outcome.ts';
import { race } from './upstream/race.ts';
import { isForgiven } from './upstream/record.ts';
import { letThrough, review } from './upstream/shown.ts';

/** What a client asked, as plain data. */
export interface Incoming extends PassedOn {
  readonly body: Buffer | null;
}

/** What came of it: every call has its answer or its failure. */
export interface Forwarded {
  readonly batch: boolean;
  readonly calls: readonly Call[];
  readonly exchange: Exchange;
}

/**
 * Answers every call of the request, or says why it cannot.
 * @throws BalancerError `RPCB_PARSE`, `RPCB_INVALID_REQUEST`, `RPCB_TOO_LARGE` or `RPCB_UNKNOWN_UPSTREAM` when the whole body is refused; then nothing was sent.
 */
export async function forward(network: Network, incoming: Incoming, now: () => number): Promise<Forwarded> {
  const { batch, calls } = readRequest(incoming.body, {
    batchLimit: network.limits.batchLimit,
    safetyOf: network.safetyOf,
  });
  const { pin } = incoming;
  if (pin !== null && !network.state.members.some(({ id }) => id === pin))
    throw new BalancerError('RPCB_UNKNOWN_UPSTREAM', {
      detail: `x-rpcb-use names none of "${network.name}"`,
    });
  const exchange = new Exchange(network, incoming, calls, now);
  try {
    const open = calls.filter(isOpen);
    if (network.config.compat === 'nginx') {
      if (incoming.body && open.length > 0) await relayAsNginx(exchange, open, incoming.body);
    } else if (batch) {
      const writes = open.filter((call) => call.safety === 'write');
      const others = byTag(
        network,
        open.filter((call) => call.safety !== 'write'),
      );
      const together = others.map((group) => relay(exchange, group, 'batch'));
      await Promise.all([...together, relayInOrder(exchange, writes)]);
    } else await relay(exchange, open, 'single');
  } finally {
    if (exchange.stream === null) exchange.end();
  }
  return { batch, calls, exchange };
}

/** The writes of a batch go one by one: their order may be the order of their nonces. */
async function relayInOrder(exchange: Exchange, calls: readonly Call[]): Promise<void> {
  for (const call of calls) await relay(exchange, [call], 'batch');
}

/** Sends the calls together to one upstream after another until each has an answer or a failure. */
async function relay(exchange: Exchange, calls: readonly Call[], shape: 'single' | 'batch'): Promise<void> {
  const { network, now, cancellation } = exchange;
  const tried: Member[] = [];
  let forgiven = false;
  let awaited = false;
  const attempts: AttemptNote[] = [];
  for (const call of calls) call.attempts = attempts;
  const tag = network.tagOf(calls[0]?.method ?? '') ?? null;
  for (let open = calls, triesLeft = network.config.tries; open.length > 0; open = open.filter(isOpen)) {
    if (cancellation.reason !== null) return abandon(cancellation.reason, open);
    const begunAt = now();
    const { wanted, need, member } = aim(
      network,
      open,
      { tried, tag, triesLeft, pin: exchange.pin },
      begunAt,
    );
    if (isRefusal(member)) return giveUp(exchange, open, attempts.length, member);
    const coming = awaited ? null : comingHead(network.state, member, need, tried, begunAt);
    if (coming !== null) {
      awaited = true;
      await headShown(network.state, coming, cancellation);
      continue;
    }

    const single = shape === 'single' ? open[0] : undefined;
    const body = single ? single.bytes : writeBatch(open);
    const kind = open.length === 1 ? (open[0]?.method ?? BATCH) : BATCH;
    const { runner, reply } = await race(member, {
      network,
      now,
      kind,
      repeatable: open.every(isRepeatable),
      send: (to, onReply) => exchange.send(to, body, shape, onReply),
      another: () =>
        exchange.pin === null ? secondFor(network, { ...wanted, tried: [...tried, member] }, now()) : null,
      onLoser(loser, verdict) {
        tried.push(loser.member);
        attempts.push(exchange.settle(loser, verdict));
      },
    });
    const endedAt = now();
    const judged = single ? judgeSingle(reply, single, endedAt) : judgeBatch(reply, open, endedAt);
    const rest = reply.kind === 'answered' ? reply.rest : null;
    const streamed = single !== undefined && rest !== null;
    const answering = { network, member: runner.member, tried, now: endedAt, streamed };
    const verdict = review(answering, open, judged);
    if (judged === ANSWERED) network.lateness.durations.record(kind, endedAt - runner.begunAt);
    if (rest && single && verdict === ANSWERED) return exchange.open(rest, runner);
    rest?.discard();
    // One reset of a kept connection costs no try, and the same upstream may have the next.
    if (isForgiven(runner.member, verdict) && !forgiven) forgiven = true;
    else {
      tried.push(runner.member);
      triesLeft--;
    }
    attempts.push(exchange.settle(runner, verdict));
    for (const call of open) noteLack(network.state, runner.member, call, endedAt);
  }
}

/** The request is over: nothing further is sent. What is still open has not been sent, or may be sent again. */
function abandon(reason: CancelReason, open: readonly Call[]): void {
  fail(open, reason === 'deadline' ? 'RPCB_DEADLINE' : 'RPCB_ATTEMPTS_FAILED');
}

/** Nobody is left to be tried: what a node has said is the answer, else the reason why nobody is. */
function giveUp(
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
