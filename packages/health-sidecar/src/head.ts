// Decides: the head that we believe for the network (design 5, "Head of the network"), and who is implausibly far ahead of it.
// Must not know: the clock (`now` is handed in), probes, scores. It is never simply the maximum: one upstream can lie.
import type { Head, NetworkHead } from '@rpc-balancer/shared';

/** An upstream that is not disabled, not of another chain, does not say that it syncs, and has a fresh sample. */
export interface Candidate {
  readonly id: string;
  /** Candidates with the same voter are addresses of one name, and have one vote together. */
  readonly voter: string;
  readonly head: Head;
  readonly sampledAt: number;
  /** Since when its head has stood at this number. */
  readonly standsSince: number;
  /** When its head moved the last two times. */
  readonly moves: readonly number[];
  /** For how long nobody has looked: whether it has moved since is not known. */
  readonly unseenMs: number;
}

export interface HeadInput {
  /** How many voters there would be if all were heard. */
  readonly configuredCount: number;
  /** In the order of the configuration. */
  readonly candidates: readonly Candidate[];
  /** The last agreed head, ours or that of the publisher before us. */
  readonly past: Pick<NetworkHead, 'number' | 'headerAt' | 'agreedAt'> | null;
  readonly blockIntervalMs: number | null;
  readonly maxLagBlocks: number;
  readonly now: number;
}

export interface HeadResult {
  /** Null while nobody has a vote. */
  readonly head: NetworkHead | null;
  /** Those that stand still while the others move; they have no vote until they move. */
  readonly standing: ReadonlySet<string>;
  /** A head above this is implausible; null while there is no head. */
  readonly suspectAbove: number | null;
  readonly blockIntervalMs: number | null;
}

/** geth takes blocks up to 15 s ahead of its clock (allowedFutureBlockTime), so honest headers may be so far ahead. */
const CLOCK_DRIFT_MS = 15_000;
/** Headers carry whole seconds, so times this near may be equal. */
const HEADER_RESOLUTION_MS = 1000;
/** How long a block takes at most, and at least, until it is learned: a bound that is too narrow would shut out the honest. */
const UNLEARNED_INTERVAL_MAX_MS = 1000;
const UNLEARNED_INTERVAL_MIN_MS = 100;
/** How many block intervals an upstream may stand still, and how many times faster than learned a chain may grow. */
const TOLERANCE = 3;
/** Weight of the newest interval: ten blocks later nine tenths of an estimate are new. */
const INTERVAL_WEIGHT = 0.2;
/** One observation moves the estimate at most by this factor, so that a jump of the head cannot spoil it. */
const INTERVAL_FACTOR_MAX = 4;
const INTERVAL_MIN_MS = 50;
const INTERVAL_MAX_MS = 3_600_000;

/** No chain is said to stand still before: the first intervals that are learned may be parts of one. */
const STALL_MIN_MS = 10_000;
/** The same where no interval was learned, because there was no second block; longer than that of any chain in use. */
const UNLEARNED_STALL_MS = 300_000;

/**
 * Since when the network has had no new block, though several were due: the others may all be at the same height, and yet the
 * chain has stopped. Null while it goes on, or while that is not known.
 * @param lookMs how old may be what we know of the heads
 */
export function stalledSince(
  { head, blockIntervalMs }: HeadResult,
  { now, lookMs }: { readonly now: number; readonly lookMs: number },
): number | null {
  if (head === null) return null;
  const isLearned = blockIntervalMs !== null;
  const patienceMs = isLearned ? Math.max(TOLERANCE * blockIntervalMs, STALL_MIN_MS) : UNLEARNED_STALL_MS;
  // Who has just come has only the header to say for how long the chain has stood.
  const since = isLearned ? head.agreedAt : Math.min(head.agreedAt, head.headerAt ?? head.agreedAt);
  return now - since > patienceMs + lookMs ? since : null;
}

export function majorityOf(configuredCount: number): number {
  return Math.floor(configuredCount / 2) + 1;
}

export function agreeOnHead(input: HeadInput): HeadResult {
  const { candidates, past, now } = input;
  const standing = standingStill(input);
  const moving = candidates.filter(({ id }) => !standing.has(id));
  const voters = byVoter(moving).flatMap((addresses) => spokesmanOf(input, addresses));
  const number = agreedNumber(input, voters);
  if (number === null) {
    return { head: null, standing, suspectAbove: null, blockIntervalMs: input.blockIntervalMs };
  }
  const head = {
    ...believedHead(voters, number),
    agreedAt: past?.number === number ? past.agreedAt : now,
    confirmations: voters.filter((voter) => voter.head.number >= number).length,
  };
  // Samples are not of one instant: an honest upstream may be ahead by what the chain grew since the oldest of them.
  const oldestAt = Math.min(...voters.map((voter) => voter.sampledAt));
  const suspectAbove = number + input.maxLagBlocks + growth(now - oldestAt, input.blockIntervalMs);
  return { head, standing, suspectAbove, blockIntervalMs: learnInterval(input, number) };
}

/** Those of one voter together, in their order. */
export function byVoter<Voting extends { readonly voter: string }>(all: readonly Voting[]): Voting[][] {
  return [...Map.groupBy(all, ({ voter }) => voter).values()];
}

/** The addresses of a name agree among themselves as voters do: one that lies does not speak for the others. */
function spokesmanOf(input: HeadInput, addresses: readonly Candidate[]): Candidate[] {
  const number = agreedNumber({ ...input, configuredCount: addresses.length }, addresses);
  return addresses.filter(({ head }) => head.number === number).slice(0, 1);
}

function agreedNumber(input: HeadInput, voters: readonly Candidate[]): number | null {
  const numbers = voters.map(({ head }) => head.number);
  if (voters.length <= 1) return numbers[0] ?? null; // (c)
  const majority = majorityOf(input.configuredCount);
  if (voters.length > majority) return reachedBy(majority, numbers); // (a)
  const plausible = voters.filter(({ head }) => isPlausible(input, head)); // (b)
  if (!hasPast(input) || plausible.length === 0) return nearestInTime(voters, input.now);
  return reachedBy(
    1,
    plausible.map(({ head }) => head.number),
  );
}

/** The highest number that so many have reached. */
function reachedBy(count: number, numbers: readonly number[]): number | null {
  return numbers.toSorted((a, b) => b - a)[count - 1] ?? null;
}

/** A head whose header is of the future binds nobody: it was believed when nobody else was heard. */
function hasPast({ past, now }: HeadInput): boolean {
  return past !== null && !isOfTheFuture(past.headerAt, now);
}

/**
 * Whether the chain may have grown so far since the last agreed head, or, where that head's header was old already, between
 * the two headers: then who was believed was behind, and who is ahead of it need not lie.
 */
function isPlausible(input: HeadInput, { number, headerAt }: Head): boolean {
  const { past, now, blockIntervalMs, maxLagBlocks } = input;
  if (past === null || !hasPast(input)) return true;
  const isDated = headerAt !== null && !isOfTheFuture(headerAt, now);
  const apartMs = isDated && past.headerAt !== null ? Math.min(headerAt, now) - past.headerAt : 0;
  const elapsedMs = Math.max(now - past.agreedAt, apartMs);
  return number <= past.number + growth(elapsedMs, blockIntervalMs) + maxLagBlocks;
}

function isOfTheFuture(headerAt: number | null, now: number): boolean {
  return headerAt !== null && headerAt > now + CLOCK_DRIFT_MS;
}

/** The most blocks that a chain may grow in a time. */
function growth(elapsedMs: number, blockIntervalMs: number | null): number {
  return (TOLERANCE * Math.max(0, elapsedMs)) / (blockIntervalMs ?? UNLEARNED_INTERVAL_MIN_MS);
}

/** Header time nearest to now and not ahead of it; equal: the lower. Without a time it loses, from the future even more. */
function nearestInTime(voters: readonly Candidate[], now: number): number | null {
  const heads = voters.map(({ head }) => ({ number: head.number, distance: distanceOf(head, now) }));
  const nearest = Math.min(...heads.map(({ distance }) => distance));
  const equal = heads.filter(({ distance }) => distance <= nearest + HEADER_RESOLUTION_MS);
  return reachedBy(
    equal.length,
    equal.map(({ number }) => number),
  );
}

function distanceOf({ headerAt }: Head, now: number): number {
  if (headerAt === null) return Number.MAX_VALUE;
  return isOfTheFuture(headerAt, now) ? Number.POSITIVE_INFINITY : Math.abs(now - headerAt);
}

/**
 * Three block intervals without a move while most of the others moved twice. What is implausibly far ahead does not
 * count as moving: one liar must not take the vote of an honest upstream whose chain pauses.
 */
function standingStill(input: HeadInput): ReadonlySet<string> {
  const { candidates, now, blockIntervalMs } = input;
  const patienceMs = TOLERANCE * (blockIntervalMs ?? UNLEARNED_INTERVAL_MAX_MS);
  const still = candidates.filter((candidate) => {
    if (now - candidate.unseenMs - candidate.standsSince < patienceMs) return false;
    const hasMoved = ({ head, moves: [before, last] }: Candidate) =>
      last !== undefined && (before ?? 0) > candidate.standsSince && isPlausible(input, head);
    const others = byVoter(candidates.filter(({ id }) => id !== candidate.id));
    return most(others, (addresses) => most(addresses, hasMoved));
  });
  return new Set(still.map(({ id }) => id));
}

function most<One>(all: readonly One[], holds: (one: One) => boolean): boolean {
  return all.filter(holds).length > all.length / 2;
}

/** The hash that most of those at this number name; of equals the first in the configuration. */
function believedHead(voters: readonly Candidate[], number: number): Head {
  const there = voters.map(({ head }) => head).filter((head) => head.number === number);
  const named = there.filter(({ hash }) => hash !== null);
  const votesFor = (head: Head) => named.filter(({ hash }) => hash === head.hash).length;
  const [best] = named.toSorted((a, b) => votesFor(b) - votesFor(a));
  return best ?? { number, hash: null, headerAt: there[0]?.headerAt ?? null };
}

/**
 * Wall time per block between two agreed heads, smoothed. Nothing is learned where nobody at the new one was seen to move: then
 * others are believed than before, and the chain need not have grown.
 */
function learnInterval({ candidates, past, now, blockIntervalMs }: HeadInput, number: number): number | null {
  if (past === null || number <= past.number || now <= past.agreedAt) return blockIntervalMs;
  const { agreedAt } = past;
  if (!candidates.some(({ head, moves }) => head.number >= number && (moves.at(-1) ?? 0) > agreedAt))
    return blockIntervalMs;
  const observed = clamp((now - past.agreedAt) / (number - past.number), INTERVAL_MIN_MS, INTERVAL_MAX_MS);
  if (blockIntervalMs === null) return observed;
  const near = clamp(observed, blockIntervalMs / INTERVAL_FACTOR_MAX, blockIntervalMs * INTERVAL_FACTOR_MAX);
  return blockIntervalMs + INTERVAL_WEIGHT * (near - blockIntervalMs);
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
