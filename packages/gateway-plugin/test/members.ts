// Decides: how tests of the pure rooms make a network's balancing state and what a sidecar says of it.
// Must not know: sockets.
import {
  type ConfigInput,
  type NetworkConfig,
  type RankedUpstream,
  type Ranking,
  type Reason,
  validateConfig,
} from '@rpc-balancer/shared';
import { createRandom } from '../../../test/kit/clock.ts';
import { beginAttempt, type Trial, trialWaitMs } from '../src/balance/ejection.ts';
import type { Member } from '../src/balance/member.ts';
import {
  adoptSnapshot,
  areAllFailed,
  createNetworkState,
  type NetworkState,
} from '../src/balance/network-state.ts';
import { isRefusal, pick, type Wanted } from '../src/balance/pick.ts';
import { nextSnapshot } from '../src/balance/snapshot.ts';

type NetworkInput = ConfigInput['networks'][string];
export type UpstreamInput = Partial<NetworkInput['upstreams'][number]>;

/** Old enough for real clocks and young enough for headers. */
export const RANKING_MAX_AGE_MS = 30_000;

/** A network of upstreams `a`, `b`, `c` …, through the real schema. */
export function configOf(
  upstreams: readonly UpstreamInput[],
  network: Partial<Omit<NetworkInput, 'upstreams'>> = {},
): NetworkConfig {
  const config = validateConfig({
    networks: {
      net: {
        ...network,
        upstreams: upstreams.map((upstream, at) => ({
          id: String.fromCharCode(97 + at),
          url: 'http://127.0.0.1:1',
          ...upstream,
        })),
      },
    },
  });
  const { net } = config.networks;
  if (!net) throw new Error('the network was just given');
  return net;
}

/** Without probes: only passive health speaks. */
export function unprobed(
  upstreams: readonly UpstreamInput[],
  network: Partial<Omit<NetworkInput, 'upstreams'>> = {},
): NetworkState {
  return createNetworkState(configOf(upstreams, { probe: 'off', ...network }), {
    rankingMaxAgeMs: RANKING_MAX_AGE_MS,
  });
}

/** With a ranking that gives the upstreams these reasons, in configuration order. */
export function probed(
  upstreams: readonly UpstreamInput[],
  reasons: readonly (Reason | null)[],
  now: number,
  network: Partial<Omit<NetworkInput, 'upstreams'>> = {},
): NetworkState {
  const state = createNetworkState(configOf(upstreams, network), { rankingMaxAgeMs: RANKING_MAX_AGE_MS });
  state.snapshot = nextSnapshot(null, rankingOf(reasons), now);
  return state;
}

/** A newer ranking that says this of the upstreams, in configuration order. */
export function rank(state: NetworkState, facts: readonly Partial<RankedUpstream>[], now: number): void {
  const seq = (state.snapshot?.ranking.seq ?? 0) + 1;
  const ranking = rankingOf(
    facts.map(({ reason = null }) => reason),
    { seq },
  );
  const upstreams = ranking.upstreams.map((upstream, at) => ({ ...upstream, ...facts[at] }));
  const next = nextSnapshot(state.snapshot, { ...ranking, upstreams }, now);
  if (!next) throw new Error('the sequence has just been raised');
  adoptSnapshot(state, next);
}

export function rankingOf(reasons: readonly (Reason | null)[], { epoch = 1, seq = 1 } = {}): Ranking {
  return {
    version: 1,
    network: 'net',
    epoch,
    seq,
    publisher: 'sidecar-of-the-test',
    generatedAt: 0,
    configHash: 'hash',
    identity: '1',
    head: null,
    finalized: null,
    blockIntervalMs: null,
    upstreams: reasons.map((reason, at) => rankedOf(String.fromCharCode(97 + at), reason)),
  };
}

function rankedOf(id: string, reason: Reason | null): RankedUpstream {
  return {
    id,
    reason,
    head: null,
    finalized: null,
    lagBlocks: null,
    latencyP50Ms: null,
    latencyP95Ms: null,
    errorRatio: 0,
    score: reason === null ? 1 : 0,
    load: null,
    budget: null,
  };
}

export interface Attempt {
  readonly member: Member;
  readonly trial: Trial | null;
}

/** Whom a request would get that wants this and nothing else; null when nobody can be picked. */
export function picked(
  state: NetworkState,
  now: number,
  wanted: Partial<Wanted> = {},
  random: () => number = createRandom(1),
): Member | null {
  const found = pick(state, wantedOf(wanted), now, random);
  return isRefusal(found) ? null : found;
}

export function wantedOf(wanted: Partial<Wanted> = {}): Wanted {
  return {
    tried: [],
    tag: null,
    asked: [{ method: 'eth_call', view: null }],
    answered: false,
    behind: [],
    ...wanted,
  };
}

/** Picks and begins an attempt, as the data path does; null when nobody can be picked. */
export function attempt(state: NetworkState, now: number, tried: readonly Member[] = []): Attempt | null {
  const member = picked(state, now, { tried });
  if (member === null) return null;
  const trial = beginAttempt(member, now, trialWaitMs(member, areAllFailed(state)));
  return { member, trial };
}

export function memberOf(state: NetworkState, at: number): Member {
  const member = state.members[at];
  if (!member) throw new Error(`there is no member ${at}`);
  return member;
}
