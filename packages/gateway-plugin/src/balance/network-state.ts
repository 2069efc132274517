// Decides: the balancing state of one network in this replica, and why each upstream may not be picked right now.
// Must not know: requests, answers, Redis.
import {
  isHard,
  type NetworkConfig,
  type Preference,
  type Reason,
  type Strategy,
  type UpstreamConfig,
} from '@rpc-balancer/shared';
import { isFailed, restEndsAt, trialWaitMs, waitsForTrial } from './ejection.ts';
import { Heads, type HeadsOptions } from './heads.ts';
import { type Changes, createMember, isFull, type Member, reconfigureMember } from './member.ts';
import { RecentWrites } from './recent-writes.ts';
import { type HealthRules, healthRulesOf } from './rules.ts';
import { isStale, probedReason, type Snapshot, wasRestarted } from './snapshot.ts';

/** Who may be picked, worked out by standing.ts. */
export interface Standing {
  /** Of {@link Changes} when this was worked out. */
  readonly changeCount: number;
  /** From this instant on it must be worked out anew, epoch ms. */
  readonly until: number;
  /** In configuration order; without `full`, which changes with every attempt. */
  readonly reasons: readonly (Reason | null)[];
  /** Whom a request without wishes may be given to, loads aside: the best tier's preferred ones. */
  readonly first: readonly Member[];
  /** Whether some upstream has a limit on its load or lacks methods, which must be asked for each request. */
  readonly conditional: boolean;
}

export interface NetworkState {
  /** Replaced as a whole, when addresses or the configuration change. */
  members: readonly Member[];
  readonly strategy: Strategy;
  readonly prefer: readonly Preference[];
  readonly maxLagBlocks: number;
  readonly fallbackLagBlocks: number | null;
  readonly slowStartMs: number | null;
  /** Where this gateway stands; null when it does not say, or no upstream says. */
  readonly zone: string | null;
  /** Whether the head that clients see may not go back. */
  readonly monotonicHead: boolean;
  readonly heads: Heads;
  readonly writes: RecentWrites;
  /** False for `probe: off`: then only passive health speaks. */
  readonly probed: boolean;
  readonly rankingMaxAgeMs: number;
  readonly rules: HealthRules;
  readonly changes: Changes;
  /** Replaced by {@link adoptSnapshot}, never edited. */
  snapshot: Snapshot | null;
  /** Who may be picked, worked out at the last change. */
  standing: Standing | null;
  /** Whether the snapshot is too old for more than its hard reasons. */
  stale: boolean;
  /** Whether the local tier was left because it is too far behind. */
  fallenBack: boolean;
  /** Who has all calls under `single_best`. */
  winner: Member | null;
  /** Whether trials are the whole cluster's, each won in the background; false while there is nobody to win them from. */
  ticketed: boolean;
  /** When a request came last. */
  askedAt: number;
  /** How late what replicas tell each other is: the shortest time that the store took for the last of it, in ms. */
  storeDelayMs: number;
  /** Whether an upstream has failures that no success elsewhere has confirmed. */
  unconfirmed: boolean;
  /** Called when there is something to tell the other replicas; set by who tells. */
  tell: () => void;
}

export interface StateOptions {
  readonly rankingMaxAgeMs: number;
  /** The zone of this gateway. */
  readonly zone?: string | undefined;
}

export function createNetworkState(config: NetworkConfig, options: StateOptions): NetworkState {
  const changes = { count: 0 };
  const settings = settingsOf(config, options);
  const { rules } = settings;
  return {
    ...settings,
    members: config.upstreams.map((upstream, at) => createMember(upstream, at, { changes, rules })),
    heads: new Heads(headsOptionsOf(config)),
    writes: new RecentWrites(),
    changes,
    snapshot: null,
    standing: null,
    stale: false,
    fallenBack: false,
    winner: null,
    ticketed: false,
    askedAt: 0,
    storeDelayMs: 0,
    unconfirmed: false,
    tell: () => {},
  };
}

/** Takes on another configuration, but for its upstreams; the snapshot stays until the next ranking. */
export function reconfigureState(state: NetworkState, config: NetworkConfig, options: StateOptions): void {
  Object.assign(state, settingsOf(config, options));
  state.heads.reconfigure(headsOptionsOf(config));
}

function settingsOf(config: NetworkConfig, { rankingMaxAgeMs, zone }: StateOptions) {
  return {
    strategy: config.strategy,
    prefer: config.prefer,
    maxLagBlocks: config.maxLagBlocks,
    fallbackLagBlocks: config.fallbackLagBlocks,
    slowStartMs: config.slowStart,
    monotonicHead: config.monotonicHead,
    zone: zone !== undefined && config.upstreams.some((upstream) => upstream.zone === zone) ? zone : null,
    probed: config.probe !== null,
    rankingMaxAgeMs,
    rules: healthRulesOf(config.compat),
  };
}

function headsOptionsOf({ maxLagBlocks, probe }: NetworkConfig): HeadsOptions {
  return { maxLagBlocks, settleMs: probe === null ? 0 : probe.interval + probe.timeout };
}

export function adoptSnapshot(state: NetworkState, snapshot: Snapshot): void {
  for (const member of state.members)
    if (wasRestarted(state.snapshot, snapshot, member.id)) member.recoveredAt = snapshot.acceptedAt;
  state.snapshot = snapshot;
  state.changes.count++;
  state.heads.read(snapshot);
}

/**
 * From now on these are the network's upstreams. One whose id stays keeps its counts and its health.
 * @param stays false for a member that has become another upstream
 */
export function replaceMembers(
  state: NetworkState,
  upstreams: readonly UpstreamConfig[],
  stays: (member: Member) => boolean = () => true,
): void {
  const before = new Map(state.members.filter(stays).map((member) => [member.id, member]));
  state.members = upstreams.map((upstream, index) => {
    const member = before.get(upstream.id) ?? createMember(upstream, index, state);
    reconfigureMember(member, upstream, index, state);
    return member;
  });
  if (state.winner && !state.members.includes(state.winner)) state.winner = null;
  state.changes.count++;
}

/** One reason (or none) per member, in configuration order. Hard reasons come first: they decide. */
export function reasonsNow(state: NetworkState, now: number): (Reason | null)[] {
  return lastingReasons(state, now).map((lasting, at) => {
    const member = state.members[at];
    return member ? withLoad(member, lasting) : null;
  });
}

/** The reason now: `full` comes and goes with each attempt, and is binding where a soft one is not. */
export function withLoad(member: Member, lasting: Reason | null): Reason | null {
  return (lasting === null || !isHard(lasting)) && isFull(member) ? 'full' : lasting;
}

/** The reasons that last until something is heard or a time is over: all but those of the load and of a call. */
export function lastingReasons(state: NetworkState, now: number): (Reason | null)[] {
  const { members, snapshot } = state;
  const stale = snapshot !== null && isStale(snapshot, now, state.rankingMaxAgeMs);
  const allFailed = areAllFailed(state);
  return members.map((member) => reasonOf(state, member, now, { stale, allFailed }));
}

interface Circumstances {
  readonly stale: boolean;
  readonly allFailed: boolean;
}

function reasonOf(
  state: NetworkState,
  member: Member,
  now: number,
  { stale, allFailed }: Circumstances,
): Reason | null {
  if (member.disabled) return 'disabled';
  if (member.drained) return 'drained';
  const probed = state.probed ? probedReason(state.snapshot, member, stale) : null;
  if (probed !== null && isHard(probed)) return probed;
  const failed = isFailed(member, state.members.length);
  const ticketed = state.ticketed && state.rules.shared;
  if (failed && waitsForTrial(member, now, trialWaitMs(member, allFailed), ticketed)) return 'ejected';
  if (member.throttledUntil > now) return 'throttled';
  return probed ?? refusedReason(state, member, now) ?? (member.silentUntil > now ? 'silent' : null);
}

/** Real traffic was answered 401 or 403: believed until the next good probe, without probes for `failTimeout`. */
function refusedReason({ snapshot, probed }: NetworkState, member: Member, now: number): Reason | null {
  const believedFrom = probed && snapshot ? snapshot.acceptedAt : now - member.failTimeoutMs;
  return member.unauthorizedAt > believedFrom ? 'unauthorized' : null;
}

/** When one of the reasons may end by the mere passing of time, epoch ms; infinity when none does. */
export function nextEndOf(state: NetworkState, now: number): number {
  const { members, snapshot } = state;
  const allFailed = areAllFailed(state);
  let end = Number.POSITIVE_INFINITY;
  const consider = (at: number) => {
    if (at >= now && at < end) end = at;
  };
  if (snapshot) consider(snapshot.acceptedAt + state.rankingMaxAgeMs);
  for (const member of members) {
    if (member.fails > 0) consider(restEndsAt(member, trialWaitMs(member, allFailed)));
    consider(member.ticketUntil);
    if (member.unauthorizedAt > 0) consider(member.unauthorizedAt + member.failTimeoutMs);
    consider(member.throttledUntil);
    consider(member.silentUntil);
  }
  return end;
}

/** Whether every upstream that could be used at all has reached `maxFails`. */
export function areAllFailed(state: NetworkState): boolean {
  const { members } = state;
  return members.every((member) => isFailed(member, members.length) || isOut(state, member));
}

/** Not to be used whatever its traffic says: by the configuration, an operator, or a hard verdict of the probes. */
function isOut({ snapshot, probed }: NetworkState, member: Member): boolean {
  if (member.disabled || member.drained) return true;
  const reason = probed ? snapshot?.upstreams.get(member.id)?.reason : null;
  return reason != null && isHard(reason);
}
