// Decides: THE DATA PATH: read -> pick -> dispatch -> judge -> answer, or round again while judgement and budget allow.
// Must not know: Fastify, Redis, the control path. Each step is a call to the leaf of that name.
import { beginAttempt, trialWaitMs } from './balance/ejection.ts';
import type { Member } from './balance/member.ts';
import { areAllFailed } from './balance/network-state.ts';
import { pick, refusal } from './balance/pick.ts';
import { readRequest } from './guard/read.ts';
import { writeBatch } from './upstream/batch.ts';
import { type Call, isOpen } from './upstream/call.ts';
import { dispatch } from './upstream/dispatch.ts';
import { judgeBatch, judgeSingle } from './upstream/judge.ts';
import type { Network } from './upstream/network.ts';
import { ANSWERED } from './upstream/outcome.ts';
import { isForgiven } from './upstream/record.ts';
import { type Luggage, Trip } from './upstream/trip.ts';

/** What a client asked, as plain data. */
export interface Incoming extends Luggage {
  readonly body: Buffer | null;
}

/** What came of it: every call has its answer or its failure. */
export interface Forwarded {
  readonly batch: boolean;
  readonly calls: readonly Call[];
  readonly trip: Trip;
}

/**
 * Answers every call of the request, or says why it cannot.
 * @throws BalancerError `RPCB_PARSE`, `RPCB_INVALID_REQUEST` or `RPCB_TOO_LARGE` when the whole body is refused; then nothing was sent.
 */
export async function forward(network: Network, incoming: Incoming, now: () => number): Promise<Forwarded> {
  const { batch, calls } = readRequest(incoming.body, {
    batchLimit: network.limits.batchLimit,
    safetyOf: network.safetyOf,
  });
  const trip = new Trip(network, incoming, calls, now);
  try {
    const open = calls.filter(isOpen);
    if (batch) {
      const writes = open.filter((call) => call.safety === 'write');
      const others = open.filter((call) => call.safety !== 'write');
      await Promise.all([relay(trip, others, 'batch'), relayInOrder(trip, writes)]);
    } else await relay(trip, open, 'single');
  } finally {
    if (trip.stream === null) trip.end();
  }
  return { batch, calls, trip };
}

/** The writes of a batch go one by one: their order may be the order of their nonces. */
async function relayInOrder(trip: Trip, calls: readonly Call[]): Promise<void> {
  for (const call of calls) await relay(trip, [call], 'batch');
}

/** Sends the calls together to one upstream after another until each has an answer or a failure. */
async function relay(trip: Trip, calls: readonly Call[], shape: 'single' | 'batch'): Promise<void> {
  const { network, now } = trip;
  const tried = new Set<Member>();
  for (let open = calls, tries = 0; open.length > 0; open = open.filter(isOpen), tries++) {
    const begunAt = now();
    const member = tries < network.config.tries ? pick(network.state, tried, begunAt) : null;
    if (member === null) return giveUp(trip, open, tries);

    const trial = beginAttempt(member, begunAt, trialWaitMs(member, areAllFailed(network.state)));
    const single = shape === 'single' ? open[0] : undefined;
    const body = single ? single.bytes : writeBatch(open);
    const reply = await dispatch(
      network.connectionsOf(member),
      trip.shipment(body, shape),
      trip.cancellation,
    );
    const endedAt = now();
    const verdict = single ? judgeSingle(reply, single, endedAt) : judgeBatch(reply, open, endedAt);

    const rest = reply.kind === 'answered' ? reply.rest : null;
    if (rest && single && verdict === ANSWERED) return trip.open(rest, member, trial);
    rest?.discard();
    if (!isForgiven(member, verdict)) tried.add(member);
    trip.settle(member, verdict, trial, endedAt);
  }
}

/** Nobody is left to be tried: what a node has said is the answer, else the reason why nobody is. */
function giveUp(trip: Trip, open: readonly Call[], tries: number): void {
  const { reasons, overloaded, retryAfterMs } = refusal(trip.network.state, trip.now());
  const code = overloaded ? 'RPCB_OVERLOADED' : tries === 0 ? 'RPCB_NO_UPSTREAM' : 'RPCB_ATTEMPTS_FAILED';
  trip.reasons = reasons;
  if (code !== 'RPCB_ATTEMPTS_FAILED') trip.retryAfterMs = retryAfterMs;
  for (const call of open) {
    if (call.lastResort) call.answer = call.lastResort;
    else call.failure = { code };
  }
}
