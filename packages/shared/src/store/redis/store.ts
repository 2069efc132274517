// Decides: the store of cluster mode: its parts over one set of connections, and how drains are kept.
// Must not know: what a ranking says, or who calls.
import { encodeDrain } from '../../wire/drain.ts';
import type { StoreEvent } from '../../wire/events.ts';
import { networkKeys } from '../../wire/keys.ts';
import { drain as storeDrain } from '../lua/drain.ts';
import type { Store } from '../store.ts';
import { Connections, type RedisStoreOptions } from './connections.ts';
import { createPublishing } from './publishing.ts';
import { createSharing } from './sharing.ts';
import { type Run, script } from './step.ts';
import { createRedisWrites } from './writes.ts';

/**
 * A store over Redis, Sentinel or Redis Cluster with two connections of its own. Connects in the background and for
 * ever: `health()` says how that goes. Its methods reject with a BalancerError `RPCB_STORE` within a second.
 */
export function createRedisStore(options: RedisStoreOptions): Store {
  const connections = new Connections(options);
  const { channel, health } = connections;
  const run: Run = (step, send, repeatable) => connections.run(step, send, repeatable);
  return {
    kind: 'redis',
    ...createPublishing(options, channel, run),
    ...createSharing(options, channel, run),
    ...createRedisWrites(options, channel, run),
    async writeDrain(network, drain) {
      const { drains } = networkKeys(options, network);
      const event = JSON.stringify({ type: 'drain', network } satisfies StoreEvent);
      const args = [drain.upstream, drain.revision, encodeDrain(drain), channel, event];
      return (await run('drain', script(storeDrain, [drains], args))) === 1;
    },
    async readDrains(network) {
      const { drains } = networkKeys(options, network);
      const values = await run('read_drains', (client) => client.hvals(drains));
      return values.map((value) => value.slice(value.indexOf('|') + 1));
    },
    subscribe: (listener) => connections.subscribe(listener),
    health: health.read,
    onHealth: health.listen,
    close: () => connections.close(),
  };
}
