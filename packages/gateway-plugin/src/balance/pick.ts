// Decides: which upstream gets the next attempt: reasons, tier, zone, preference, then the strategy; or why nobody can.
// Must not know: what is sent. No I/O and no clock; it moves the network's own weights, as smooth weighting must.
import { isHard, type Reason } from '@rpc-balancer/shared';
import { restEndsAt, trialWaitMs } from './ejection.ts';
import { isFull, type Member } from './member.ts';
import { areAllFailed, type NetworkState, type Standing } from './network-state.ts';
import { firstTier, inZone, isBearable, preferred } from './prefer.ts';
import { standingOf } from './standing.ts';
import { choose } from './strategy.ts';
import { type Asked, isUnsupported } from './unsupported.ts';

/** What a request asks of its upstream. */
export interface Wanted {
  /** Members that it has been sent to already. */
  readonly tried: readonly Member[];
  /** What the upstream must be able to do; null for nothing special. */
  readonly tag: string | null;
  /** What is asked, for upstreams that lately said they cannot do it. */
  readonly asked: readonly Asked[];
  /** A node has said already that it cannot: an upstream of which the same is known is not worth another attempt. */
  readonly answered: boolean;
  /** Members that do not have the block that is asked for, as far as is known. */
  readonly behind: readonly Member[];
}

/** Nobody can be picked, and why. */
export interface Refusal {
  readonly reasons: Readonly<Record<string, Reason>>;
  /** Whether waiting for less load is what helps. */
  readonly overloaded: boolean;
  /** When it makes sense to come back, in ms. */
  readonly retryAfterMs: number;
}

/** Come back after this where no reason names an end. */
const RETRY_AFTER_DEFAULT_MS = 1000;

const LOAD_REASONS: ReadonlySet<Reason | null> = new Set(['full', 'throttled', 'budget_spent']);

/** Neither waiting nor less load helps against these. */
const LEFT_OUT: ReadonlySet<Reason | null> = new Set(['disabled', 'drained', 'wrong_chain']);

/** Soft reasons of an upstream that probably does not answer: others are asked before it. */
const SILENT_REASONS: ReadonlySet<Reason | null> = new Set([
  'unreachable',
  'probe_timeout',
  'probe_failed',
  'unauthorized',
  'silent',
]);

/** The member for the next attempt, or why there is none. Soft reasons are ignored before a request is refused, hard ones never. */
export function pick(
  state: NetworkState,
  wanted: Wanted,
  now: number,
  random: () => number,
): Member | Refusal {
  const standing = standingOf(state, now);
  const circumstances = { now, random };
  const usual = isUndemanding(state, standing, wanted, now) ? standing.first : [];
  const narrowed = state.zone === null ? usual : preferred(state, inZone(state, usual));
  return (
    choose(narrowed, state, circumstances) ??
    choose(candidates(state, standing, wanted, now), state, circumstances) ??
    refusal(state, wanted, now)
  );
}

export function isRefusal(picked: Member | Refusal): picked is Refusal {
  return 'reasons' in picked;
}

/** Whether no reason but the lasting ones speaks against anybody. */
function isUndemanding(
  { members }: NetworkState,
  { conditional }: Standing,
  { tried, tag, behind, asked }: Wanted,
  now: number,
): boolean {
  if (tried.length > 0 || tag !== null || behind.length > 0) return false;
  return !conditional || !members.some((member) => isFull(member) || lacks(member, asked, now));
}

function lacks(member: Member, asked: readonly Asked[], now: number): boolean {
  return member.unsupported.size > 0 && asked.some((call) => isUnsupported(member, call, now));
}

/** Looks at each member with the request's eyes; whoever has a soft reason only if nobody else is left. */
function candidates(state: NetworkState, standing: Standing, wanted: Wanted, now: number): readonly Member[] {
  const open = state.members.filter((member) => !wanted.tried.includes(member));
  const reasons = new Map(open.map((member) => [member, reasonFor(state, standing, member, wanted, now)]));
  const having = (admits: (reason: Reason | null) => boolean) =>
    open.filter((member) => admits(reasons.get(member) ?? null));
  const bearable = having((reason) => isBearable(state, reason)).filter(
    (member) => !wanted.behind.includes(member),
  );
  const mayHelp = (reason: Reason | null) => reason === null || isSoft(reason, wanted);
  for (const admits of [
    isNull,
    (reason: Reason | null) => mayHelp(reason) && !SILENT_REASONS.has(reason),
    mayHelp,
  ]) {
    const tier = firstTier(state, having(admits), bearable);
    if (tier.length > 0) return preferred(state, inZone(state, tier));
  }
  return [];
}

function isNull(reason: Reason | null): boolean {
  return reason === null;
}

function isSoft(reason: Reason, { answered }: Wanted): boolean {
  return !isHard(reason) && !(answered && reason === 'unsupported');
}

/** Hard reasons first: they decide. */
function reasonFor(
  state: NetworkState,
  { reasons }: Standing,
  member: Member,
  { tag, asked, behind }: Wanted,
  now: number,
): Reason | null {
  const lasting = reasons[member.index] ?? null;
  if (lasting !== null && isHard(lasting)) return lasting;
  if (isFull(member)) return 'full';
  if (tag !== null && !member.tags.has(tag) && state.members.some(({ tags }) => tags.has(tag)))
    return 'untagged';
  if (lasting !== null) return lasting;
  if (lacks(member, asked, now)) return 'unsupported';
  return behind.includes(member) ? 'behind_block' : null;
}

/** One reason per upstream that has one, as a request sees them, whatever it has tried before. */
export function reasonsFor(state: NetworkState, wanted: Wanted, now: number): Refusal['reasons'] {
  const standing = standingOf(state, now);
  return Object.fromEntries(
    state.members.flatMap((member) => {
      const reason = reasonFor(state, standing, member, wanted, now);
      return reason ? [[member.id, reason] as const] : [];
    }),
  );
}

/** Says why nobody can be picked, whatever the request tried before. */
export function refusal(state: NetworkState, wanted: Wanted, now: number): Refusal {
  const reasons = reasonsFor(state, wanted, now);
  const usable = state.members.filter(({ id }) => !LEFT_OUT.has(reasons[id] ?? null));
  const allFailed = areAllFailed(state);
  const ends = usable.map((member) => endOf(member, reasons[member.id] ?? null, now, allFailed));
  return {
    reasons,
    overloaded: usable.length > 0 && usable.every(({ id }) => LOAD_REASONS.has(reasons[id] ?? null)),
    retryAfterMs: Math.max(
      1,
      Math.min(...ends, usable.length > 0 ? Number.POSITIVE_INFINITY : RETRY_AFTER_DEFAULT_MS),
    ),
  };
}

function endOf(member: Member, reason: Reason | null, now: number, allFailed: boolean): number {
  if (reason === 'ejected') return restEndsAt(member, trialWaitMs(member, allFailed)) - now;
  if (reason === 'throttled') return member.throttledUntil - now;
  return RETRY_AFTER_DEFAULT_MS;
}

/** What {@link pick} would say, on a copy: no weight moves. */
export function preview(
  state: NetworkState,
  wanted: Wanted,
  now: number,
  random: () => number,
): Member | Refusal {
  const members = state.members.map((member) => ({ ...member }));
  const winner = state.winner === null ? null : (members[state.winner.index] ?? null);
  return pick({ ...state, members, winner, standing: null }, wanted, now, random);
}
