// Decides: what a replica keeps of one upstream to share its passive health with the other replicas.
// Must not know: what follows from it (shared-health.ts), how it travels.

import type { Turn } from '@rpc-balancer/shared';

export interface Failures {
  readonly count: number;
  /** Of the first and of the last of them, by own clock. */
  readonly firstAt: number;
  readonly lastAt: number;
}

export interface ClusterView {
  /** Own failures since the last own success. */
  streak: number;
  /** Last own success, or end of an exclusion by another's: older failures of others count no more. */
  clearedAt: number;
  /** Own failures since which nothing has succeeded elsewhere in the network: the fault may be this replica's. */
  unconfirmed: Failures | null;
  /** Own failures that the others are to be told. */
  confirmed: Failures | null;
  /** The others are to be told that a trial has succeeded. */
  admitted: boolean;
  /** Whether the others were told failures of the present streak. */
  told: boolean;
  /** What others have told since `clearedAt`, by instance. */
  readonly others: Map<string, Failures>;
  /** Value of the member's `checkedAt` when it was excluded by what others told; 0 when it was by own failures alone. */
  adoptedAt: number;
  /** The next trial of each turn is another's, or has just been asked for, until then. */
  readonly askAt: Record<Turn, number>;
  /** A trial that was won has begun: it is to be held until its turn is over. */
  trialBegun: boolean;
}

export function createClusterView(): ClusterView {
  return {
    streak: 0,
    clearedAt: 0,
    unconfirmed: null,
    confirmed: null,
    admitted: false,
    told: false,
    others: new Map(),
    adoptedAt: 0,
    askAt: { usual: 0, urgent: 0 },
    trialBegun: false,
  };
}

export function noteOwnFailure(view: ClusterView, now: number): void {
  view.streak++;
  view.unconfirmed = added(view.unconfirmed, { count: 1, firstAt: now, lastAt: now });
}

/** What was not told yet is undone, and what others told before counts no more. */
export function noteOwnSuccess(view: ClusterView, now: number): void {
  view.clearedAt = now;
  if (view.others.size > 0) view.others.clear();
  if (view.streak === 0) return;
  view.streak = 0;
  view.told = false;
  view.unconfirmed = null;
  view.confirmed = null;
}

export function added(sum: Failures | null, { count, firstAt, lastAt }: Failures): Failures {
  return sum
    ? { count: sum.count + count, firstAt: sum.firstAt, lastAt: Math.max(sum.lastAt, lastAt) }
    : { count, firstAt, lastAt };
}
