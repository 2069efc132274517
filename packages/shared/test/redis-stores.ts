// Decides: how tests open Redis stores.
// Must not know: what they are opened for.
import type { Cluster, Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { createRandom } from '../../../test/kit/clock.ts';
import { createRedisStore, type RedisConfig, type Store } from '../src/index.ts';
import type { Harness } from './store-conformance.ts';

export type RedisInput = Partial<RedisConfig>;

export function openStore(redis: RedisInput, clusterId = 'test', seed = 1): Store {
  const prefix = 'rpcb';
  return createRedisStore({
    redis: { ...redis, prefix, clusterId },
    prefix,
    clusterId,
    random: createRandom(seed),
    now: Date.now,
  });
}

/** A store that the test closes at its end. */
export function openStoreForTest(redis: RedisInput, clusterId?: string, seed?: number): Store {
  const store = openStore(redis, clusterId, seed);
  onTestFinished(() => store.close());
  return store;
}

export function openStoreOf(client: Redis | Cluster, clusterId = 'test'): Store {
  return createRedisStore({ client, prefix: 'rpcb', clusterId, random: createRandom(1), now: Date.now });
}

export function redisHarness(redis: RedisInput, stop: () => Promise<unknown>): Harness {
  return {
    open: (clusterId) => openStore(redis, clusterId),
    advance: () => {},
    announces: true,
    async stop() {
      await stop();
    },
  };
}
