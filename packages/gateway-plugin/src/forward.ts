// Decides: THE DATA PATH: read -> pick -> dispatch -> judge -> answer, or round again while judgement and budget allow.
// Must not know: Fastify, Redis, the control path. Each step is a call to the leaf of that name.
import type { Member } from './balance/member.ts';
import { isRefusal } from './balance/pick.ts';
import { readRequest } from './guard/read.ts';
import { aim, assertPin, byTag, secondFor } from './upstream/aim.ts';
import { comingHead, headShown } from './upstream/await-head.ts';
import { writeBatch } from './upstream/batch.ts';
import { type AttemptNote, type Call, isOpen, isRepeatable } from './upstream/call.ts';
import { abandon, giveUp } from './upstream/ending.ts';
import { Exchange, type PassedOn } from './upstream/exchange.ts';
import { judgeBatch, judgeSingle } from './upstream/judge.ts';
import { noteLack } from './upstream/lack.ts';
import { BATCH } from './upstream/lateness.ts';
import type { Network } from './upstream/network.ts';
import { relayAsNginx } from './upstream/nginx-relay.ts';
import { ANSWERED, judgeLoser } from './upstream/outcome.ts';
import { race } from './upstream/race.ts';
import { isForgiven } from './upstream/record.ts';
import { review } from './upstream/shown.ts';

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
  assertPin(network, incoming.pin);
  const exchange = new Exchange(network, incoming, calls, now);
  try {
    const open = calls.filter(isOpen);
    if (network.config.compat === 'nginx') {
      const { body } = incoming;
      if (body && open.length > 0)
        await relayAsNginx(exchange, open, {
          idempotent: false, // As every POST, whatever it holds.
          send: (to, onReply) => exchange.send(to, body, 'whole', onReply),
        });
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
      judge: (reply) => judgeLoser(reply, now()),
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
    if (judged === ANSWERED) network.lateness.durations.record(kind, endedAt - begunAt);
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
