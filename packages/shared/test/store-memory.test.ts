// The memory store does what every store does.
import { createClock } from '../../../test/kit/clock.ts';
import { createMemoryStore, type Store } from '../src/index.ts';
import { storeConformance } from './store-conformance.ts';

storeConformance('memory store', async () => {
  const clock = createClock();
  // In embedded mode one process has one store; two views of a cluster are the same object.
  const stores = new Map<string, Store>();
  return {
    open(clusterId) {
      const store = stores.get(clusterId) ?? createMemoryStore(clock.now);
      stores.set(clusterId, store);
      return store;
    },
    advance: clock.advance,
    announces: false,
    stop: async () => {},
  };
});
