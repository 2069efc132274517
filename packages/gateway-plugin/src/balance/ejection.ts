// Decides: when real traffic takes an upstream out (nginx's max_fails and fail_timeout) and lets it back in.
// Must not know: what counts as a failure; times are handed in.
import { prolong, THROTTLE_FIRST_MS } from '@rpc-balancer/shared';
import { noteOwnFailure, noteOwnSuccess } from './cluster-view.ts';
import type { Member } from './member.ts';
import { isOutweighed } from './snapshot.ts';

/** Whether `maxFails` is reached; a lone upstream is never ejected, since there is nobody else (as in nginx). */
export function isFailed(member: Member, memberCount: number): boolean {
  return memberCount > 1 && member.maxFails > 0 && member.fails >= member.maxFails;
}

/** How long a failed upstream waits for its trial, in ms. */
export function trialWaitMs(member: Member, allFailed: boolean): number {
  const { rules, failTimeoutMs } = member;
  return allFailed ? Math.min(rules.trialWhenAllEjectedMs, failTimeoutMs) : failTimeoutMs;
}

/** Whether the last failure, or the last trial, was too short a time ago for a trial. */
export function isResting(member: Member, now: number, waitMs: number): boolean {
  return ticked(member, now) - member.checkedAt <= waitMs;
}

/** When {@link isResting} may change. */
export function restEndsAt({ checkedAt, rules }: Member, waitMs: number): number {
  return checkedAt + waitMs + rules.tickMs;
}

/** By the clock that its failures are timed by. */
function ticked({ rules }: Member, now: number): number {
  return rules.tickMs === 0 ? now : now - (now % rules.tickMs);
}

/**
 * Whether a failed upstream must go on waiting for its trial.
 * @param ticketed a trial is one of the whole cluster and needs a ticket, whatever the time
 */
export function waitsForTrial(member: Member, now: number, waitMs: number, ticketed: boolean): boolean {
  return ticketed ? member.ticketUntil <= now : isResting(member, now, waitMs);
}

/** A trial that was given out: to be returned, should the attempt end without saying anything about the upstream. */
export interface Trial {
  /** Whether the upstream was excluded; else the attempt is an ordinary one, the first since long after the last failure. */
  readonly excluded: boolean;
  readonly begunAt: number;
  readonly checkedBefore: number;
  readonly ticketUntil: number;
}

/** Notes that an attempt goes out. For a failed upstream this is its trial: until it ends, nobody else gets one. */
export function beginAttempt(member: Member, now: number, waitMs: number): Trial | null {
  member.inFlight++;
  member.requests++;
  member.usage.attempted(now);
  const { ticketUntil } = member;
  if (ticketUntil <= now && isResting(member, now, waitMs)) return null;
  const begunAt = ticked(member, now);
  const excluded = member.maxFails > 0 && member.fails >= member.maxFails;
  const trial = { excluded, begunAt, checkedBefore: member.checkedAt, ticketUntil };
  member.checkedAt = begunAt;
  if (ticketUntil > now) {
    member.ticketUntil = 0;
    member.view.trialBegun = true;
  }
  if (member.fails > 0) member.changes.count++;
  return trial;
}

export function endAttempt(member: Member): void {
  member.inFlight--;
  if (member.inFlight < member.inFlightLow) member.inFlightLow = member.inFlight;
}

export function recordFailure(member: Member, now: number): void {
  noteOwnFailure(member.view, now);
  member.fails++;
  member.failedAt = ticked(member, now);
  member.checkedAt = member.failedAt;
  member.changes.count++;
  if (member.maxFails > 0) {
    const cut = Math.floor(member.weight / member.maxFails);
    member.effectiveWeight = Math.max(0, member.effectiveWeight - cut);
  }
}

/** nginx's rule: failures are cleared only by an end that was picked more than `failTimeout` after the last of them. */
export function clearFailures(member: Member): void {
  if (member.fails === 0 || member.failedAt >= member.checkedAt) return;
  member.fails = 0;
  member.changes.count++;
}

export function recordSuccess(member: Member, now: number): void {
  if (member.silentUntil > 0 || member.unauthorizedAt > 0 || isOutweighed(member.reason))
    member.changes.count++;
  noteOwnSuccess(member.view, now);
  clearFailures(member);
  member.succeededAt = now;
  member.reset = 'none';
  member.throttleMs = THROTTLE_FIRST_MS;
  member.unauthorizedAt = 0;
  member.silentUntil = 0;
}

/** An attempt that says nothing (the client left): a trial is given back, so that the next request may try. */
export function recordNothing(member: Member, trial: Trial | null): void {
  if (!trial || member.checkedAt !== trial.begunAt) return;
  member.checkedAt = trial.checkedBefore;
  member.ticketUntil = trial.ticketUntil;
  member.changes.count++;
}

/** Nothing was answered for too long: no new calls until it answers, or for `failTimeout` if it has nothing in flight to answer. */
export function markSilent(member: Member, now: number): void {
  member.silentUntil = now + member.failTimeoutMs;
  member.changes.count++;
}

/** 401 or 403 to real traffic. */
export function recordUnauthorized(member: Member, now: number): void {
  member.unauthorizedAt = now;
  member.changes.count++;
}

/** @param askedMs what the upstream asked to wait; null where it named no time */
export function recordThrottled(member: Member, now: number, askedMs: number | null): void {
  if (member.silentUntil > 0) member.changes.count++;
  member.silentUntil = 0; // A refusal is an answer.
  if (prolong(member, now, { askedMs, mostMs: member.failTimeoutMs })) member.changes.count++;
}
