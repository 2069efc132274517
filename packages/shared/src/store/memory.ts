// Decides: the store of embedded mode: one process, no Redis, the same rules.
// Must not know: Redis. The clock is handed in.

import { encodeDrain } from '../wire/drain.ts';
import type { StoreEvent } from '../wire/events.ts';
import { encodeRanking, isNewer, type Ranking } from '../wire/ranking.ts';
import { createMemorySharing } from './memory-sharing.ts';
import { createMemoryWrites } from './memory-writes.ts';
import type { Lease, PublishResult, Store, StoreHealth } from './store.ts';

interface NetworkState {
  epoch: number;
  lease: { readonly holder: string; readonly epoch: number; until: number } | null;
  ranking: {
    readonly epoch: number;
    readonly seq: number;
    readonly text: string;
    readonly until: number;
  } | null;
  /** By upstream. */
  readonly drains: Map<string, { readonly revision: number; readonly text: string }>;
}

const HEALTHY: StoreHealth = {
  ...{ connected: true, problem: null, evictionRisk: null },
  ...{ connectionsLost: 0, lastLostAt: null, slotsMoved: 0, failures: {} },
};

/** @param now the current time in epoch ms */
export function createMemoryStore(now: () => number): Store {
  const networks = new Map<string, NetworkState>();
  const listeners = new Set<(event: StoreEvent | null) => void>();

  function stateOf(network: string): NetworkState {
    const state = networks.get(network) ?? { epoch: 0, lease: null, ranking: null, drains: new Map() };
    networks.set(network, state);
    return state;
  }

  function isHeld({ network, holder, epoch }: Lease): boolean {
    const { lease } = stateOf(network);
    return lease !== null && lease.holder === holder && lease.epoch === epoch && lease.until > now();
  }

  function emit(event: StoreEvent): void {
    for (const listener of listeners) listener(event);
  }

  return {
    kind: 'memory',
    ...createMemoryWrites(now, emit),
    ...createMemorySharing(now, emit),
    async acquire(network, holder, ttlMs) {
      const state = stateOf(network);
      const { lease } = state;
      if (lease !== null && lease.holder !== holder && lease.until > now()) return null;
      const epoch = Math.max(state.epoch + 1, Math.floor(now()));
      state.epoch = epoch;
      state.lease = { holder, epoch, until: now() + ttlMs };
      return { network, holder, epoch };
    },
    async renew(lease, ttlMs) {
      const held = stateOf(lease.network).lease;
      if (!isHeld(lease) || held === null) return false;
      held.until = now() + ttlMs;
      return true;
    },
    async release(lease, heir = null) {
      if (!isHeld(lease)) return;
      stateOf(lease.network).lease = null;
      emit({ type: 'released', network: lease.network, ...(heir !== null && { heir }) });
    },
    async publish(lease: Lease, ranking: Ranking, maxAgeMs: number): Promise<PublishResult> {
      const state = stateOf(lease.network);
      const token = { epoch: lease.epoch, seq: ranking.seq };
      if (!isHeld(lease) || (state.ranking !== null && !isNewer(token, state.ranking))) return 'fenced';
      state.ranking = {
        ...token,
        text: encodeRanking({ ...ranking, epoch: lease.epoch }),
        until: now() + maxAgeMs,
      };
      emit({ type: 'ranking', network: lease.network, ...token });
      return 'accepted';
    },
    async readRanking(network) {
      const { ranking } = stateOf(network);
      return ranking !== null && ranking.until > now() ? ranking.text : null;
    },
    async writeDrain(network, drain) {
      const { drains } = stateOf(network);
      const before = drains.get(drain.upstream);
      const text = encodeDrain(drain);
      if (before?.text === text) return true;
      if (before && before.revision >= drain.revision) return false;
      drains.set(drain.upstream, { revision: drain.revision, text });
      emit({ type: 'drain', network });
      return true;
    },
    async readDrains(network) {
      return [...stateOf(network).drains.values()].map(({ text }) => text);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    health: () => HEALTHY,
    onHealth: () => () => {},
    async close() {
      listeners.clear();
    },
  };
}
