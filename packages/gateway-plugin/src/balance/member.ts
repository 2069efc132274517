// Decides: what the balancer knows of one upstream: its settings and its state in this replica.
// Must not know: URLs, sockets, answers.
import type { Tier, UpstreamConfig } from '@rpc-balancer/shared';
import { TIERS } from '@rpc-balancer/shared';

/** One upstream as the balancer sees it. The network owns it; `pick` and `ejection` change it in place. */
export interface Member {
  readonly id: string;
  /** Position in the configuration; ties are broken by it. */
  readonly index: number;
  readonly tier: Tier;
  /** 0 for the tier that is used first. */
  readonly tierRank: number;
  readonly weight: number;
  readonly maxConns: number | null;
  /** 0: never ejected. */
  readonly maxFails: number;
  readonly failTimeoutMs: number;
  readonly disabled: boolean;
  /** Attempts sent and not yet settled. */
  inFlight: number;
  /** Smooth weighting, as in nginx: what has been gathered, and the weight it gathers by. */
  currentWeight: number;
  effectiveWeight: number;
  /** Failures since the last success that cleared them. */
  fails: number;
  failedAt: number;
  /** Time of the last failure, or of the last trial: the next trial is `failTimeoutMs` after it. */
  checkedAt: number;
  succeededAt: number;
  /** A reset of a reused socket says nothing about health, but only once until the next success. */
  resetForgiven: boolean;
  throttledUntil: number;
  /** Wait after the next refusal that names none; doubles while refusals go on. */
  throttleMs: number;
  /** When this replica was last answered 401 or 403; 0 for never. */
  unauthorizedAt: number;
  requests: number;
}

/** First wait after a refusal without Retry-After. */
export const THROTTLE_FIRST_MS = 1000;

export function createMember(config: UpstreamConfig, index: number): Member {
  return {
    id: config.id,
    index,
    tier: config.tier,
    tierRank: TIERS.indexOf(config.tier),
    weight: config.weight,
    maxConns: config.maxConns,
    maxFails: config.maxFails,
    failTimeoutMs: config.failTimeout,
    disabled: config.disabled,
    inFlight: 0,
    currentWeight: 0,
    effectiveWeight: config.weight,
    fails: 0,
    failedAt: 0,
    checkedAt: 0,
    succeededAt: 0,
    resetForgiven: false,
    throttledUntil: 0,
    throttleMs: THROTTLE_FIRST_MS,
    unauthorizedAt: 0,
    requests: 0,
  };
}
