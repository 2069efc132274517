// Decides: which upstreams have the block that a request asks for, as far as is known.
// Must not know: requests, answers. An unknown head is neither 0 nor the network's: it comes after those known to have
// the block and before those known not to.
import type { ChainView } from '@rpc-balancer/shared';
import type { Anchor, BlockNeed } from './heads.ts';
import { isFull, type Member } from './member.ts';
import type { NetworkState } from './network-state.ts';
import { isStale, type Snapshot } from './snapshot.ts';
import { standingOf } from './standing.ts';

/** A call as far as its blocks go. */
export interface Viewing {
  readonly view: ChainView | null;
  /** An answer that was not good enough. */
  readonly lastResort: unknown;
}

/** What an upstream needs to answer all of these; null for nothing. */
export function needOf(state: NetworkState, calls: readonly Viewing[], now: number): BlockNeed | null {
  let head = 0;
  let since = 0;
  let finalized = 0;
  let anyTier = true;
  for (const { view, lastResort } of calls) {
    const named = view?.named;
    if (!view || !named) continue;
    const { number, hash, tag } = named;
    const height = Math.max(number ?? 0, hash === null ? 0 : (state.heads.heightOf(hash) ?? 0));
    if (height > head) {
      head = height;
      since = 0;
      anyTier = true;
    }
    if (tag === 'finalized' || tag === 'safe') finalized = freshSnapshot(state, now)?.ranking.finalized ?? 0;
    // An answer that shows its own head is checked when it is there: so every upstream's head becomes known.
    const isChecked = tag === 'latest' && view.shown !== null && lastResort === null;
    const isLatest = tag === 'latest' || tag === 'pending';
    if (isLatest && !isChecked && state.monotonicHead && state.heads.mark > head) {
      head = state.heads.mark;
      since = state.heads.roseAt;
      anyTier = lastResort !== null;
    }
  }
  return head === 0 && finalized === 0 ? null : { head, since, finalized, anyTier };
}

const NOBODY: readonly Member[] = [];

/** Whom others come before for this need: of those that can be picked, all but the ones that are nearest to having it. */
export function behindOf(
  state: NetworkState,
  need: BlockNeed,
  tried: readonly Member[],
  now: number,
): readonly Member[] {
  const fresh = freshSnapshot(state, now);
  if (fresh !== null && need.head <= fresh.lowestHead && need.finalized <= fresh.lowestFinalized)
    return NOBODY;
  const { reasons } = standingOf(state, now);
  const nearest: number[] = []; // By tier, or one for all.
  const groupOf = (member: Member) => (need.anyTier ? 0 : member.tierRank);
  for (const member of state.members) {
    if (reasons[member.index] !== null || isFull(member) || tried.includes(member)) continue;
    const group = groupOf(member);
    nearest[group] = Math.max(nearest[group] ?? 0, nearnessOf(state, member, need, now));
  }
  return state.members.filter(
    (member) => nearnessOf(state, member, need, now) < (nearest[groupOf(member)] ?? 0),
  );
}

/** How many blocks an upstream lacks that nobody has who could be picked instead, as far as is known. */
export function missingBlocks(
  state: NetworkState,
  member: Member,
  need: BlockNeed,
  tried: readonly Member[],
  now: number,
): number {
  if (nearnessOf(state, member, need, now) >= UNKNOWN) return 0;
  if (!need.anyTier && isSomewhere(state, need, tried, now)) return 0;
  return Math.max(0, need.head - knownHead(state, member, now));
}

/** Whether an upstream that could be picked now is known to have what is needed. */
export function isSomewhere(
  state: NetworkState,
  need: BlockNeed,
  tried: readonly Member[],
  now: number,
): boolean {
  const { reasons } = standingOf(state, now);
  return state.members.some(
    (member) =>
      reasons[member.index] === null &&
      !isFull(member) &&
      !tried.includes(member) &&
      nearnessOf(state, member, need, now) === HAS,
  );
}

const HAS = Number.POSITIVE_INFINITY;
/** Above every height: not known to have it, nor to lack it. */
const UNKNOWN = Number.MAX_SAFE_INTEGER;

/** {@link HAS}, {@link UNKNOWN}, or the height that it has instead. */
function nearnessOf(state: NetworkState, member: Member, need: BlockNeed, now: number): number {
  if (need.head > 0) {
    const head = knownHead(state, member, now);
    if (head < 0) return UNKNOWN;
    if (head < need.head) return lookedAt(state, member, now) < need.since ? UNKNOWN : head;
  }
  if (need.finalized === 0) return HAS;
  const finalized = freshSnapshot(state, now)?.upstreams.get(member.id)?.finalized ?? null;
  if (finalized === null) return UNKNOWN;
  return finalized >= need.finalized ? HAS : finalized;
}

/** The highest of what the probes and its own answers have shown; -1 for unknown. */
export function knownHead(state: NetworkState, member: Member, now: number): number {
  const sampled = sampledHead(state, member, now);
  return isShownBelieved(state, member, sampled, now) ? Math.max(sampled, member.shownHead) : sampled;
}

/** When something was last heard of its head. */
function lookedAt(state: NetworkState, member: Member, now: number): number {
  const sampledAt = sampledHead(state, member, now) < 0 ? 0 : (state.snapshot?.acceptedAt ?? 0);
  return Math.max(sampledAt, member.shownAt);
}

function sampledHead(state: NetworkState, member: Member, now: number): number {
  return freshSnapshot(state, now)?.upstreams.get(member.id)?.head?.number ?? -1;
}

/** What an answer has shown is believed as long as a ranking would be, and until a sample that is surely younger. */
function isShownBelieved(state: NetworkState, member: Member, sampled: number, now: number): boolean {
  const { shownAt } = member;
  if (shownAt === 0 || now - shownAt > state.rankingMaxAgeMs) return false;
  if (member.shownHead > state.heads.ceiling(rankedHead(state, now), now)) return false;
  const overruledAt = sampled < 0 ? Number.POSITIVE_INFINITY : shownAt + state.heads.settleMs;
  return (state.snapshot?.acceptedAt ?? 0) <= overruledAt;
}

function freshSnapshot({ snapshot, rankingMaxAgeMs }: NetworkState, now: number): Snapshot | null {
  return snapshot !== null && !isStale(snapshot, now, rankingMaxAgeMs) ? snapshot : null;
}

/** The head that the ranking believes, while it is fresh. */
export function rankedHead(state: NetworkState, now: number): Anchor | null {
  const fresh = freshSnapshot(state, now);
  if (!fresh?.ranking.head) return null;
  const { head, blockIntervalMs } = fresh.ranking;
  return { number: head.number, at: fresh.acceptedAt, blockIntervalMs };
}
