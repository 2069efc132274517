// Decides: whether this replica can serve, and what is wrong if it cannot or only just.
// Must not know: HTTP. A constant answer would say nothing about the nodes.
import type { Reason, StoreHealth, StoreHistory } from '@rpc-balancer/shared';
import { reasonsNow } from '../balance/network-state.ts';
import { isStale } from '../balance/snapshot.ts';
import type { Network } from '../upstream/network.ts';

/** `ok`: an upstream is eligible. `degraded`: only by ignoring soft reasons. `down`: nobody would answer. */
export type NetworkCondition = 'ok' | 'degraded' | 'down';

export interface NetworkReadiness {
  readonly state: NetworkCondition;
  readonly required: boolean;
  readonly reasons: Readonly<Record<string, Reason>>;
  /** Such as `publisher_missing` or `config_mismatch`, each with what to do. */
  readonly problems: readonly string[];
  /** Of the ranking that it goes by, null without one: it rises when another publishes, or Redis lost its data. */
  readonly epoch: number | null;
}

export interface Readiness {
  readonly ready: boolean;
  readonly degraded: boolean;
  readonly problems: readonly string[];
  /** Nothing of this makes it degraded: it is over. */
  readonly store: Omit<StoreHistory, 'failures'>;
  readonly networks: Readonly<Record<string, NetworkReadiness>>;
}

/** Reasons with which an upstream would still answer: the soft ones of a living node, and those that pass with the load. */
const ANSWERS_STILL: ReadonlySet<Reason> = new Set([
  'unsupported',
  'behind_block',
  'silent',
  'syncing',
  'lagging',
  'stalled',
  'no_peers',
  'suspect',
  'unprobed',
  'full',
  'throttled',
]);

export function conditionOf(network: Network, now: number): NetworkCondition {
  const reasons = reasonsNow(network.state, now);
  if (reasons.some((reason) => reason === null)) return 'ok';
  return reasons.some((reason) => reason !== null && ANSWERS_STILL.has(reason)) ? 'degraded' : 'down';
}

export function networkReadiness(network: Network, now: number): NetworkReadiness {
  const reasons = reasonsNow(network.state, now);
  const named = network.state.members.flatMap((member) => {
    const reason = reasons[member.index];
    return reason ? [[member.id, reason] as const] : [];
  });
  return {
    state: conditionOf(network, now),
    required: network.config.required,
    reasons: Object.fromEntries(named),
    problems: problemsOf(network, now),
    epoch: network.state.snapshot?.ranking.epoch ?? null,
  };
}

/** A tenth of what a shared count may be old; without trouble it is a millisecond. */
const STORE_DELAY_MAX_MS = 100;

function problemsOf(network: Network, now: number): string[] {
  if (network.state.storeDelayMs <= STORE_DELAY_MAX_MS) return rankingProblems(network, now);
  return [
    `store_slow: Redis takes longer than ${STORE_DELAY_MAX_MS} ms, so that replicas hear of each other late; look at its load, its slow log and the network in between`,
    ...rankingProblems(network, now),
  ];
}

function rankingProblems({ state, hash, config }: Network, now: number): string[] {
  const { snapshot } = state;
  if (config.probe === null) return [];
  if (snapshot === null || isStale(snapshot, now, state.rankingMaxAgeMs)) {
    return [
      'publisher_missing: no fresh ranking; start a sidecar or set sidecar.embed: always, or check that it uses the same Redis, prefix and clusterId',
    ];
  }
  const { configHash, publisher, head, stalledSince } = snapshot.ranking;
  const mismatch = `config_mismatch: ${publisher} was given another configuration of this network; give both the same file`;
  const stall = `head_stalled: no new block since ${head?.number}, though several were due; serving on. Look at the chain, or at what all the nodes depend on`;
  return [...(configHash === hash ? [] : [mismatch]), ...(stalledSince === undefined ? [] : [stall])];
}

export function readinessOf(networks: Iterable<Network>, store: StoreHealth, now: number): Readiness {
  const entries = [...networks].map((network) => [network.name, networkReadiness(network, now)] as const);
  const all = entries.map(([, readiness]) => readiness);
  const ready =
    all.some(({ state }) => state !== 'down') &&
    all.every(({ state, required }) => state !== 'down' || !required);
  const { connectionsLost, lastLostAt, slotsMoved } = store;
  const problems = [store.problem, store.evictionRisk].filter((problem) => problem !== null);
  return {
    ready,
    degraded: problems.length > 0 || all.some(({ state, problems }) => state !== 'ok' || problems.length > 0),
    problems,
    store: { connectionsLost, lastLostAt, slotsMoved },
    networks: Object.fromEntries(entries),
  };
}
