// Decides: who holds a lease where one process is the whole cluster, and which ranking is accepted.
// Must not know: what a ranking says. The clock is handed in.
import type { StoreEvent } from '../wire/events.ts';
import { encodeRanking, isNewer } from '../wire/ranking.ts';
import type { Lease, Publishing } from './store.ts';

interface NetworkState {
  epoch: number;
  lease: { readonly holder: string; readonly epoch: number; until: number } | null;
  ranking: {
    readonly epoch: number;
    readonly seq: number;
    readonly text: string;
    readonly until: number;
  } | null;
}

export function createMemoryPublishing(now: () => number, emit: (event: StoreEvent) => void): Publishing {
  const networks = new Map<string, NetworkState>();

  function stateOf(network: string): NetworkState {
    const state = networks.get(network) ?? { epoch: 0, lease: null, ranking: null };
    networks.set(network, state);
    return state;
  }

  function isHeld({ network, holder, epoch }: Lease): boolean {
    const { lease } = stateOf(network);
    return lease !== null && lease.holder === holder && lease.epoch === epoch && lease.until > now();
  }

  return {
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
    async publish(lease, ranking, maxAgeMs) {
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
  };
}
