// Decides: what the balancer knows of one upstream: its settings and its state in this replica.
// Must not know: URLs, sockets, answers.
import {
  type Drain,
  type Reason,
  THROTTLE_FIRST_MS,
  TIERS,
  type Tier,
  type UpstreamConfig,
  Usage,
} from '@rpc-balancer/shared';
import { type ClusterView, createClusterView } from './cluster-view.ts';
import type { HealthRules } from './rules.ts';

/** Rises when something has changed that decides who may be picked; all members of a network share one. */
export interface Changes {
  count: number;
}

/** What an upstream said it lacks. */
interface Lack {
  /** Infinite: the method. A height: the history that the method needs, up to this block. */
  readonly upToBlock: number;
  readonly until: number;
}

/** One upstream as the balancer sees it. The network owns it; `pick` and `ejection` change it in place. */
export interface Member {
  readonly id: string;
  /** Position among the network's members, in the order of the configuration; ties are broken by it. */
  index: number;
  readonly tier: Tier;
  /** 0 for the tier that is used first. */
  readonly tierRank: number;
  readonly weight: number;
  readonly maxConns: number | null;
  /** 0: never ejected. */
  readonly maxFails: number;
  readonly failTimeoutMs: number;
  readonly disabled: boolean;
  readonly tags: ReadonlySet<string>;
  readonly zone: string | null;
  /** Why an operator wants no new attempts here; null while nobody does. Set by {@link setDrained}. */
  drained: Drain | null;
  readonly changes: Changes;
  /** How its failures are counted. */
  readonly rules: HealthRules;
  /** Attempts sent and not yet settled. */
  inFlight: number;
  /** The lowest `inFlight` since the last heartbeat: those attempts last, and are told to the other replicas. */
  inFlightLow: number;
  /** What another replica has of such attempts in the mean, as far as they have told. */
  inFlightElsewhere: number;
  /** What is shared of it with the other replicas. */
  readonly view: ClusterView;
  /** Until when the next attempt may be the trial of the whole cluster, if it is excluded; 0 for not. */
  ticketUntil: number;
  /** The reason of the last look, for those that must know whether a success may change it. */
  reason: Reason | null;
  /** Since when, by the look that found it. */
  reasonAt: number;
  /** The weight that counts now: less than `weight` while it climbs back (slowStart). */
  share: number;
  /** Since when it may be picked again after it could not; 0 from the start. */
  recoveredAt: number;
  /** Peak-sensitive moving average over successes, and when it was updated; null before the first. */
  latencyMs: number | null;
  latencyAt: number;
  /** What it lately said it lacks, by method. */
  readonly unsupported: Map<string, Lack>;
  /** Smooth weighting, as in nginx: what has been gathered, and the weight it gathers by. */
  currentWeight: number;
  effectiveWeight: number;
  /** Failures since the last success that cleared them. */
  fails: number;
  failedAt: number;
  /** Time of the last failure, or of the last trial: the next trial is `failTimeoutMs` after it. */
  checkedAt: number;
  succeededAt: number;
  /**
   * A reset of a reused socket says nothing about health, but only once until the next success; a failure that follows
   * it shows that the socket was not to blame, and counts for both.
   */
  reset: 'none' | 'forgiven' | 'counted';
  throttledUntil: number;
  /** Wait after the next refusal that names none; doubles while refusals go on. */
  throttleMs: number;
  /** Soft-excluded until then, since it answered nothing for too long; 0 when it is not. */
  silentUntil: number;
  /** When this replica was last answered 401 or 403; 0 for never. */
  unauthorizedAt: number;
  requests: number;
  /** What this replica uses of its limit, and what it says is left. */
  readonly usage: Usage;
  /** The head that its own answers have shown, and when; 0 before the first. */
  shownHead: number;
  shownAt: number;
}

/** Attempts in flight over all replicas: own are exact, those elsewhere are what was last heard. */
export function loadOf(member: Member): number {
  return member.inFlight + member.inFlightElsewhere;
}

/** Of this replica alone: what others have is known too late to be a limit. */
export function isFull(member: Member): boolean {
  return member.maxConns !== null && member.inFlight >= member.maxConns;
}

/** What the members of a network have in common. */
type Shared = Pick<Member, 'changes' | 'rules'>;

/** One literal with every field: an object that grows is slower to read, and `pick` reads a thousand of them. */
export function createMember(config: UpstreamConfig, index: number, { changes, rules }: Shared): Member {
  return {
    // First what a pick looks at, so that it lies together: with a thousand upstreams memory is what a pick waits for.
    inFlight: 0,
    inFlightElsewhere: 0,
    share: config.weight,
    weight: config.weight,
    effectiveWeight: config.weight,
    currentWeight: 0,
    id: config.id,
    index,
    tier: config.tier,
    tierRank: TIERS.indexOf(config.tier),
    maxConns: config.maxConns,
    maxFails: config.maxFails,
    failTimeoutMs: config.failTimeout,
    disabled: config.disabled,
    tags: new Set(config.tags),
    zone: config.zone ?? null,
    changes,
    rules,
    drained: null,
    inFlightLow: 0,
    view: createClusterView(),
    ticketUntil: 0,
    reason: null,
    reasonAt: 0,
    recoveredAt: 0,
    latencyMs: null,
    latencyAt: 0,
    unsupported: new Map(),
    fails: 0,
    failedAt: 0,
    checkedAt: 0,
    succeededAt: 0,
    reset: 'none',
    throttledUntil: 0,
    throttleMs: THROTTLE_FIRST_MS,
    silentUntil: 0,
    unauthorizedAt: 0,
    requests: 0,
    usage: new Usage(),
    shownHead: 0,
    shownAt: 0,
  };
}

/** What the configuration says of a member; the rest has happened to it. */
const SETTINGS = [
  ...(['index', 'tier', 'tierRank', 'weight', 'maxConns', 'maxFails'] as const),
  ...(['failTimeoutMs', 'disabled', 'tags', 'zone', 'rules'] as const),
];

/** Gives an upstream other settings in place: attempts in flight hold it, and what happened to it so far stays. */
export function reconfigureMember(
  member: Member,
  config: UpstreamConfig,
  index: number,
  shared: Shared,
): void {
  member.share = config.weight; // Whoever climbs back goes on climbing with the next look.
  if (member.weight !== config.weight) member.effectiveWeight = config.weight;
  if (!shared.rules.shared) member.inFlightElsewhere = 0;
  const fresh = createMember(config, index, shared);
  Object.assign(member, Object.fromEntries(SETTINGS.map((key) => [key, fresh[key]])));
}

export function setDrained(member: Member, drained: Drain | null): void {
  if (member.drained === drained) return;
  member.drained = drained;
  member.changes.count++;
}
