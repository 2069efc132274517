// Decides: the store of embedded mode: one process, no Redis, the same rules.
// Must not know: Redis. The clock is handed in.

import { encodeDrain } from '../wire/drain.ts';
import type { StoreEvent } from '../wire/events.ts';
import { createMemoryPublishing } from './memory-publishing.ts';
import { createMemorySharing } from './memory-sharing.ts';
import { createMemoryWrites } from './memory-writes.ts';
import type { Store, StoreHealth } from './store.ts';

const HEALTHY: StoreHealth = {
  ...{ connected: true, problem: null, evictionRisk: null },
  ...{ connectionsLost: 0, lastLostAt: null, slotsMoved: 0, failures: {} },
};

interface StoredDrain {
  readonly revision: number;
  readonly text: string;
}

/** @param now the current time in epoch ms */
export function createMemoryStore(now: () => number): Store {
  /** By network and upstream. */
  const drains = new Map<string, Map<string, StoredDrain>>();
  const listeners = new Set<(event: StoreEvent | null) => void>();

  function emit(event: StoreEvent): void {
    for (const listener of listeners) listener(event);
  }

  return {
    kind: 'memory',
    ...createMemoryPublishing(now, emit),
    ...createMemoryWrites(now, emit),
    ...createMemorySharing(now, emit),
    async writeDrain(network, drain) {
      const words = drains.get(network) ?? new Map<string, StoredDrain>();
      drains.set(network, words);
      const before = words.get(drain.upstream);
      const text = encodeDrain(drain);
      if (before?.text === text) return true;
      if (before && before.revision >= drain.revision) return false;
      words.set(drain.upstream, { revision: drain.revision, text });
      emit({ type: 'drain', network });
      return true;
    },
    async readDrains(network) {
      return [...(drains.get(network)?.values() ?? [])].map(({ text }) => text);
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
