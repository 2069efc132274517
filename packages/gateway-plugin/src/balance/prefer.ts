// Decides: which of the eligible upstreams come first before the strategy chooses: tier, zone, then head, latency and load.
// Must not know: reasons, requests. What is close counts as equal, or the choice would flap with every probe.
import type { Preference, RankedUpstream, Reason } from '@rpc-balancer/shared';
import { loadOf, type Member } from './member.ts';
import type { NetworkState } from './network-state.ts';

/** Latencies within a fifth of the best, or within 5 ms of it, are equal: probes scatter by as much. */
const LATENCY_TOLERANCE_RATIO = 0.2;
const LATENCY_TOLERANCE_MS = 5;

/** Loads within a fifth of the lowest, or within 0.1 of it, are equal: so much a load average moves by itself. */
const LOAD_TOLERANCE_RATIO = 0.2;
const LOAD_TOLERANCE = 0.1;

/** A zone is left when its least loaded upstream has this many in flight and twice as many as the best elsewhere. */
const SPILL_LOAD = 8;
const SPILL_RATIO = 2;

/**
 * The members of the first tier that has any, in configuration order.
 * @param eligible who may be picked
 * @param bearable those and, with `fallbackLagBlocks`, whoever only lags: it says how much lag of its tier is borne
 */
export function firstTier(
  { fallbackLagBlocks, fallenBack }: NetworkState,
  eligible: readonly Member[],
  bearable: readonly Member[],
): readonly Member[] {
  if (fallbackLagBlocks === null) return bestTier(eligible);
  const others = bestTier(eligible.filter((member) => !isLocal(member)));
  if (fallenBack && others.length > 0) return others;
  const locals = eligible.filter(isLocal);
  if (locals.length > 0) return locals;
  const lagging = fallenBack ? [] : bearable.filter(isLocal);
  return lagging.length > 0 ? lagging : others;
}

/** Whether nothing speaks against it but a lag that `fallbackLagBlocks` is to judge. */
export function isBearable({ fallbackLagBlocks }: NetworkState, reason: Reason | null): boolean {
  return reason === null || (fallbackLagBlocks !== null && reason === 'lagging');
}

/** The tier is taken back when it is at most half as far behind as it was left at, so that it does not flap. */
export function isTooFarBehind(state: NetworkState, bearable: readonly Member[]): boolean {
  const { fallbackLagBlocks, fallenBack } = state;
  if (fallbackLagBlocks === null) return false;
  const lag = Math.min(...bearable.filter(isLocal).map((member) => lagOf(state, member)));
  if (!Number.isFinite(lag)) return false;
  return fallenBack ? lag > fallbackLagBlocks / 2 : lag > fallbackLagBlocks;
}

function isLocal({ tier }: Member): boolean {
  return tier === 'local';
}

function bestTier(members: readonly Member[]): readonly Member[] {
  const rank = Math.min(...members.map(({ tierRank }) => tierRank));
  const best = members.filter(({ tierRank }) => tierRank === rank);
  return best.length === members.length ? members : best;
}

/** The members of this gateway's zone, unless they have so much more to do that the others serve sooner. */
export function inZone(state: NetworkState, members: readonly Member[]): readonly Member[] {
  const { zone } = state;
  if (zone === null) return members;
  const own = members.filter((member) => member.zone === zone);
  if (own.length === 0) return members;
  const ownLoad = leastLoad(own);
  const spills =
    ownLoad >= SPILL_LOAD && ownLoad > SPILL_RATIO * leastLoad(members.filter((m) => m.zone !== zone));
  return spills ? members : own;
}

function leastLoad(members: readonly Member[]): number {
  return Math.min(...members.map((member) => loadOf(member) / member.share));
}

/** Narrowed by each preference in turn; a later one only tells apart what the earlier ones call equal. */
export function preferred(state: NetworkState, members: readonly Member[]): readonly Member[] {
  let left = members;
  for (const preference of state.prefer) left = left.length > 1 ? closest(state, left, preference) : left;
  return left;
}

function closest(state: NetworkState, members: readonly Member[], preference: Preference): readonly Member[] {
  const measure = { head: lagOf, latency: latencyOf, load: machineLoadOf }[preference];
  const values = members.map((member) => measure(state, member));
  const best = Math.min(...values);
  const limit = best + toleranceOf(state, preference, best);
  const close = members.filter((_, at) => (values[at] ?? 0) <= limit);
  return close.length === members.length ? members : close;
}

/** Heads: one block where one upstream takes all; else whatever `maxLagBlocks` bears, since reads are spread. */
function toleranceOf({ strategy, maxLagBlocks }: NetworkState, preference: Preference, best: number): number {
  if (preference === 'head') return strategy === 'single_best' ? 1 : maxLagBlocks;
  return preference === 'latency'
    ? Math.max(best * LATENCY_TOLERANCE_RATIO, LATENCY_TOLERANCE_MS)
    : Math.max(best * LOAD_TOLERANCE_RATIO, LOAD_TOLERANCE);
}

/** Unknown is not 0: it comes last. */
function lagOf(state: NetworkState, member: Member): number {
  return rankedOf(state, member)?.lagBlocks ?? Number.POSITIVE_INFINITY;
}

/** As the probes saw it, so that all replicas see the same. */
function latencyOf(state: NetworkState, member: Member): number {
  return rankedOf(state, member)?.latencyP50Ms ?? Number.POSITIVE_INFINITY;
}

/** What its machine says of itself; not what this gateway sends there. */
function machineLoadOf(state: NetworkState, member: Member): number {
  return rankedOf(state, member)?.load ?? Number.POSITIVE_INFINITY;
}

/** Nothing that a stale ranking measured is believed any more. */
function rankedOf({ snapshot, stale }: NetworkState, { id }: Member): RankedUpstream | undefined {
  return stale ? undefined : snapshot?.upstreams.get(id);
}
