// Decides: what can befall Redis, or the way there, and how it ends.
// Must not know: who suffers from it, or how that shows.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RedisServer } from '../kit/redis.ts';
import type { TcpPath } from '../kit/tcp-path.ts';

export interface Scene {
  readonly redis: RedisServer;
  /** The way of every program to Redis. */
  readonly path: TcpPath;
}

export interface Trouble {
  readonly name: string;
  begin(scene: Scene): Promise<unknown>;
  end?(scene: Scene): Promise<unknown>;
}

/** In either direction. */
export const LATENCY_MS = 300;

/** What comes back with an old dump is kept by {@link keepDump}. */
export const TROUBLES = {
  restart: {
    name: 'restart without its data',
    begin: ({ redis }) => redis.kill(),
    end: ({ redis }) => redis.restart(),
  },
  pause: {
    name: 'CLIENT PAUSE',
    begin: ({ redis }) => redis.cli('client', 'pause', 60_000, 'all'),
    // Nothing but the end of the process lifts a pause of all commands.
    end: ({ redis }) => redis.restart(),
  },
  fullMemory: {
    name: 'full memory with noeviction',
    begin: ({ redis }) => redis.cli('config', 'set', 'maxmemory', '1'),
    end: ({ redis }) => redis.cli('config', 'set', 'maxmemory', '0'),
  },
  cut: {
    name: 'a path that is cut',
    begin: async ({ path }) => path.cut(),
    end: async ({ path }) => path.mend(),
  },
  kill: {
    name: 'CLIENT KILL',
    async begin({ redis }) {
      await redis.cli('client', 'kill', 'type', 'pubsub');
      await redis.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
    },
  },
  flush: { name: 'FLUSHALL', begin: ({ redis }) => redis.cli('flushall') },
  oldDump: {
    name: 'an old dump',
    async begin({ redis }) {
      await redis.kill();
      copyFileSync(join(redis.dir, 'old.rdb'), join(redis.dir, 'dump.rdb'));
      await redis.restart();
    },
  },
  latency: {
    name: `${LATENCY_MS} ms of latency`,
    begin: async ({ path }) => path.slow(LATENCY_MS),
    end: async ({ path }) => path.slow(0),
  },
} as const satisfies Readonly<Record<string, Trouble>>;

export async function keepDump({ redis }: Pick<Scene, 'redis'>): Promise<void> {
  await redis.cli('save');
  copyFileSync(join(redis.dir, 'dump.rdb'), join(redis.dir, 'old.rdb'));
}
