// Decides: in what passive health differs between our own profile and nginx's; data only.
// Must not know: members, requests.
import type { NetworkConfig } from '@rpc-balancer/shared';

export interface HealthRules {
  /** Resolution of the clock that failures are timed by, in ms; 0: that of ours. */
  readonly tickMs: number;
  /** While every upstream is ejected, trials come this often instead of every `failTimeout`. */
  readonly trialWhenAllEjectedMs: number;
  /** Whether an end may say nothing about the upstream; else whatever is no failure is a success. */
  readonly neutralEnds: boolean;
  /** Whether the replicas of a cluster count together. */
  readonly shared: boolean;
}

const OWN: HealthRules = {
  tickMs: 0,
  trialWhenAllEjectedMs: 1000, // A recovered network is served again within a second.
  neutralEnds: true,
  shared: true,
};

/** nginx's: whole seconds, nothing is contacted before `failTimeout`, an aborted attempt clears like any other, and each worker counts for itself. */
const NGINX: HealthRules = {
  tickMs: 1000,
  trialWhenAllEjectedMs: Number.POSITIVE_INFINITY,
  neutralEnds: false,
  shared: false,
};

export function healthRulesOf(compat: NetworkConfig['compat']): HealthRules {
  return compat === 'nginx' ? NGINX : OWN;
}
