// Decides: what replicas tell each other of failures, which exclusion one takes over from the others, and who asks for a trial.
// Must not know: Redis, timers. The state of each upstream is its ClusterView, changed in place.
import type { Report, ReportedUpstream, Turn } from '@rpc-balancer/shared';
import { added, type ClusterView, type Failures } from './cluster-view.ts';
import { isFailed, isResting, trialWaitMs } from './ejection.ts';
import type { Member } from './member.ts';
import { areAllFailed, type NetworkState } from './network-state.ts';

/**
 * A replica whose network was asked for nothing for so long leaves trials to the others. Longer than a second, so that
 * clients who come back once a second, each time to another of ten replicas, find one that holds the trial.
 */
const INTEREST_MS = 10_000;

/**
 * Draws the conclusions from an own attempt that has ended and was counted.
 * @param failedBefore whether the upstream was excluded when it ended
 * @returns whether there is something to tell the others
 */
export function noteEnd(state: NetworkState, member: Member, failedBefore: boolean, now: number): boolean {
  if (!isShared(state, member)) return false;
  const { view } = member;
  const failed = isFailed(member, state.members.length);
  if (failedBefore !== failed) resetTrials(view); // By own attempts, whatever it was before.
  if (view.streak > 0) {
    state.unconfirmed ||= view.unconfirmed !== null;
    if (!failedBefore) forgetOld(member, now);
    adopt(state, member, now);
  } else if (failedBefore && !failed) view.admitted = true;
  return confirmOthers(state, member) || view.admitted;
}

/** A success shows that this replica's own network is well, so that failures elsewhere before it are the upstreams'. */
function confirmOthers(state: NetworkState, succeeded: Member): boolean {
  if (!state.unconfirmed) return false;
  let found = false;
  let left = false;
  for (const member of state.members) {
    const { unconfirmed, confirmed } = member.view;
    if (unconfirmed === null) continue;
    if (member !== succeeded && succeeded.succeededAt >= unconfirmed.lastAt) {
      member.view.confirmed = added(confirmed, unconfirmed);
      member.view.unconfirmed = null;
      found = true;
    } else left = true;
  }
  state.unconfirmed = left;
  return found;
}

/** What the others are to be told now; it counts as told with this call. */
export function takeReported(state: NetworkState, now: number): ReportedUpstream[] {
  const reported: ReportedUpstream[] = [];
  for (const member of state.members) {
    const { view } = member;
    if (view.confirmed === null && !view.admitted) continue;
    reported.push({
      id: member.id,
      admitted: view.admitted,
      fails: view.confirmed?.count ?? 0,
      streak: view.streak,
      ageMs: view.confirmed ? Math.max(0, now - view.confirmed.firstAt) : 0,
      ejected: isFailed(member, state.members.length),
    });
    view.told ||= view.confirmed !== null;
    view.confirmed = null;
    view.admitted = false;
  }
  return reported;
}

export interface Hearing {
  /** When the report was written, by own clock. */
  readonly writtenAt: number;
  /** Read at the start: of what happened before, only exclusions that still hold are taken over. */
  readonly past: boolean;
}

export interface Change {
  readonly member: Member;
  readonly ejected: boolean;
}

/** Takes in what another replica told; gives the exclusions that began or ended by it. */
export function applyReport(state: NetworkState, { by, upstreams }: Report, hearing: Hearing): Change[] {
  const changes: Change[] = [];
  for (const reported of upstreams) {
    const member = state.members.find(({ id }) => id === reported.id);
    if (!member || !isShared(state, member)) continue;
    if (reported.admitted && admit(state, member, hearing.writtenAt))
      changes.push({ member, ejected: false });
    if (reported.fails > 0 && hear(state, member, by, reported, hearing))
      changes.push({ member, ejected: true });
  }
  return changes;
}

function hear(
  state: NetworkState,
  member: Member,
  by: string,
  { fails, streak, ageMs, ejected }: ReportedUpstream,
  { writtenAt, past }: Hearing,
): boolean {
  const { view } = member;
  const firstAt = writtenAt - ageMs;
  if (firstAt <= view.clearedAt) return false; // It has succeeded here since.
  if (past && !ejected) return false;
  if (!isFailed(member, state.members.length)) forgetOld(member, writtenAt);
  const news: Failures = { count: past ? member.maxFails : fails, firstAt, lastAt: writtenAt };
  const sum = added(view.others.get(by) ?? null, news);
  view.others.set(by, past ? sum : { ...sum, count: Math.min(sum.count, streak) });
  return adopt(state, member, writtenAt);
}

/** Excludes the upstream if all replicas' failures since the last success here make `maxFails` within `failTimeout`. */
function adopt(state: NetworkState, member: Member, at: number): boolean {
  const { view } = member;
  if (isFailed(member, state.members.length)) return false;
  forgetOld(member, at);
  let fails = at - member.failedAt < member.failTimeoutMs ? view.streak : 0;
  for (const { count } of view.others.values()) fails += count;
  if (view.others.size === 0 || fails < member.maxFails) return false;
  member.fails = member.maxFails;
  member.checkedAt = Math.max(member.checkedAt, at);
  view.adoptedAt = member.checkedAt;
  member.changes.count++;
  return true;
}

/** Failures count together within `failTimeout`; an exclusion keeps those that caused it. */
function forgetOld({ view, failTimeoutMs }: Member, now: number): void {
  for (const [by, { lastAt }] of view.others) if (lastAt <= now - failTimeoutMs) view.others.delete(by);
}

/** Another's trial has succeeded: the exclusion ends, unless this replica alone has caused it and reaches others. */
function admit(state: NetworkState, member: Member, at: number): boolean {
  const { view } = member;
  const failed = isFailed(member, state.members.length);
  const alone = view.told && view.others.size === 0 && view.adoptedAt === 0;
  if (failed && alone && !areAllFailed(state)) return false;
  view.others.clear();
  view.clearedAt = Math.max(view.clearedAt, at);
  if (!failed) return false;
  member.fails = 0;
  member.ticketUntil = 0;
  member.changes.count++;
  view.streak = 0;
  resetTrials(view);
  return true;
}

/** Trials come more often where nobody else is left, so those are counted by themselves. */
export function turnOf(state: NetworkState): Turn {
  return areAllFailed(state) ? 'urgent' : 'usual';
}

/** The excluded upstreams for which this replica may ask for the cluster's next trial of this turn. */
export function trialsDue(state: NetworkState, turn: Turn, now: number): Member[] {
  if (now - state.askedAt > INTEREST_MS) return [];
  return state.members.filter((member) => {
    const { view, ticketUntil } = member;
    if (!isFailed(member, state.members.length) || ticketUntil > now || view.askAt[turn] > now) return false;
    return !isResting(member, now, trialWaitMs(member, turn === 'urgent')) || isDoubted(member);
  });
}

/** An exclusion begins or ends: nothing is known of its trials. */
function resetTrials(view: ClusterView): void {
  view.adoptedAt = 0;
  Object.assign(view.askAt, { usual: 0, urgent: 0 });
}

/** One other replica alone has caused the exclusion, and no trial has begun here: it may be that one's own fault. */
function isDoubted({ view, checkedAt }: Member): boolean {
  return view.streak === 0 && view.others.size === 1 && checkedAt === view.adoptedAt;
}

/** Whoever is never excluded, is not talked about. */
function isShared({ members }: NetworkState, { maxFails }: Member): boolean {
  return members.length > 1 && maxFails > 0;
}

/** A trial that was won, or that nobody can be asked for: the next request may be it until then. */
export function grantTrial(member: Member, until: number): void {
  member.ticketUntil = until;
  member.changes.count++;
}

/** The next trial is asked for by nobody here before then. */
export function deferTrial({ view }: Member, turn: Turn, askAt: number): void {
  view.askAt[turn] = askAt;
}

/** Whether a trial has begun since the last call that must be held for its whole turn. */
export function takeTrialBegun({ view }: Member): boolean {
  const begun = view.trialBegun;
  view.trialBegun = false;
  return begun;
}

/** With tickets, a trial needs one that is won in the background; without, its time alone decides. */
export function useTickets(state: NetworkState, ticketed: boolean): void {
  if (state.ticketed === ticketed) return;
  state.ticketed = ticketed;
  state.changes.count++;
}
