// Decides: how recent writes are kept where one process is the whole cluster.
// Must not know: Redis. The clock is handed in.
import type { StoreEvent } from '../wire/events.ts';
import { RECENT_WRITES_MAX, type WriteSharing } from './store.ts';

interface Kept {
  readonly text: string;
  readonly until: number;
}

export function createMemoryWrites(now: () => number, emit: (event: StoreEvent) => void): WriteSharing {
  const networks = new Map<string, readonly Kept[]>();
  const keptOf = (network: string) => (networks.get(network) ?? []).filter(({ until }) => until > now());

  return {
    async noteWrite(network, { upstream, subjects }, ttlMs) {
      const kept = [
        ...keptOf(network),
        { text: JSON.stringify({ upstream, subjects }), until: now() + ttlMs },
      ];
      networks.set(network, kept.slice(-RECENT_WRITES_MAX));
      emit({ type: 'written', network, upstream, subjects });
    },
    async readWrites(network) {
      return keptOf(network).map(({ text }) => text);
    },
  };
}
