// Decides: what an attempt's verdict does to the upstream's passive health.
// Must not know: requests, answers.
import {
  clearFailures,
  endAttempt,
  recordFailure,
  recordNothing,
  recordSuccess,
  recordThrottled,
  recordUnauthorized,
  type Trial,
} from '../balance/ejection.ts';
import { recordLatency, recordWait } from '../balance/latency.ts';
import type { Member } from '../balance/member.ts';
import type { Verdict } from './outcome.ts';

/** Whether the verdict is a reset of a reused socket, for which the upstream is not to blame yet. */
export function isForgiven(member: Member, verdict: Verdict): boolean {
  return verdict.stale && member.reset === 'none';
}

/**
 * Ends the attempt and counts it.
 * @param begunAt of the attempt, for its latency; null where that says nothing, as of an answer that a client takes slowly
 */
export function record(
  member: Member,
  verdict: Verdict,
  trial: Trial | null,
  now: number,
  begunAt: number | null = null,
): void {
  endAttempt(member);
  if (verdict.outcome === 'throttled') member.usage.throttled(now);
  if (begunAt !== null) recordTime(member, verdict, now - begunAt, now);
  if (!member.rules.neutralEnds) recordAsNginx(member, verdict, now);
  else if (isForgiven(member, verdict)) {
    member.reset = 'forgiven';
    recordNothing(member, trial);
  } else if (verdict.counts) {
    recordFailure(member, now);
    if (member.reset === 'forgiven') recordFailure(member, now);
    member.reset = 'counted';
  } else if (verdict.outcome === 'aborted') recordNothing(member, trial);
  else if (verdict.outcome === 'throttled') {
    recordThrottled(member, now, verdict.retryAfterMs);
    recordNothing(member, trial);
  } else if (verdict.outcome === 'unauthorized') {
    recordUnauthorized(member, now);
    recordNothing(member, trial);
  } else if (verdict.outcome !== 'failed') recordSuccess(member, now);
  // A refusal of the request itself shows neither: nothing is cleared, and a trial is used up.
}

/** An attempt that lost a race to another, or that a client left, shows how slow its upstream is at least. */
function recordTime(member: Member, { outcome }: Verdict, ms: number, now: number): void {
  if (outcome === 'answered') recordLatency(member, ms, now);
  else if (outcome === 'aborted' || outcome === 'timed_out') recordWait(member, ms, now);
}

/** nginx knows failures and ends: one that shows nothing (the client left) clears as a success does. */
function recordAsNginx(member: Member, verdict: Verdict, now: number): void {
  if (verdict.counts) recordFailure(member, now);
  else if (verdict.outcome === 'answered') recordSuccess(member, now);
  else clearFailures(member);
}
