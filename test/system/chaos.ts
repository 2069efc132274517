// Decides: what befalls sidecars and their Redis, in an order that a seed decides.
// Must not know: what must hold meanwhile.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisServer } from '../kit/redis.ts';
import type { Sidecar } from '../kit/sidecar.ts';
import { instanceOf } from './watch.ts';

/** Two are left alone, so that a take-over is possible while others sleep. */
const BUSY_MAX = 3;
/** A paused process sleeps through its lease up to so many times over. */
const PAUSE_TTLS_MAX = 3;

export interface ChaosOptions {
  readonly durationMs: number;
  readonly ttlMs: number;
  readonly random: () => number;
  /** Every place is taken at the beginning; a killed one gets a new process. */
  readonly sidecars: Sidecar[];
  readonly start: () => Promise<Sidecar>;
  readonly redis: RedisServer;
  /** The instance that publishes. */
  readonly publisher: () => string | undefined;
}

export interface Havoc {
  readonly counts: Readonly<Record<'kills' | 'pauses' | 'flushes' | 'reloads' | 'restores', number>>;
  /** Every process there was. */
  readonly all: readonly Sidecar[];
}

/** Until the time is over and every process runs again. */
export async function wreak(options: ChaosOptions): Promise<Havoc> {
  const { durationMs, ttlMs, random, sidecars, start, redis, publisher } = options;
  const counts = { kills: 0, pauses: 0, flushes: 0, reloads: 0, restores: 0 };
  const all = [...sidecars];
  const busy = new Map<number, Promise<void>>();
  const endsAt = performance.now() + durationMs;

  /** Half of the time the publisher, if it is free. */
  function victim(): number | null {
    const free = sidecars.map((_, at) => at).filter((at) => !busy.has(at));
    if (busy.size >= BUSY_MAX) return null;
    const leading = free.find((at) => instanceOf(sidecars[at] as Sidecar) === publisher()); // `at` is one of its places.
    if (leading !== undefined && random() < 0.6) return leading;
    return free[Math.floor(random() * free.length)] ?? null;
  }

  async function replace(at: number, sidecar: Sidecar): Promise<void> {
    counts.kills++;
    await sidecar.kill();
    const next = await start();
    sidecars[at] = next;
    all.push(next);
  }

  async function pause(sidecar: Sidecar): Promise<void> {
    counts.pauses++;
    sidecar.process.kill('SIGSTOP');
    await delay(random() * PAUSE_TTLS_MAX * ttlMs);
    sidecar.process.kill('SIGCONT');
  }

  async function disturbRedis(): Promise<void> {
    if (random() < 0.8) {
      counts.flushes++;
      await redis.cli('flushall');
    } else {
      counts.reloads++;
      await redis.cli('debug', 'reload');
    }
  }

  async function step(): Promise<void> {
    const at = victim();
    const sidecar = at === null ? undefined : sidecars[at];
    if (at === null || sidecar === undefined || random() < 0.3) return disturbRedis();
    const work = random() < 0.45 ? replace(at, sidecar) : pause(sidecar);
    busy.set(
      at,
      work.finally(() => busy.delete(at)),
    );
  }

  const restore = oldDump(redis);
  const restoreAt = endsAt - durationMs / 3;
  await restore.keep();
  while (performance.now() < endsAt) {
    await delay(300 + random() * 600);
    if (counts.restores === 0 && performance.now() > restoreAt) {
      counts.restores++;
      await restore.bringBack();
    } else await step();
  }
  await Promise.all(busy.values());
  return { counts, all };
}

function oldDump(redis: RedisServer) {
  const dump = join(redis.dir, 'dump.rdb');
  const old = join(redis.dir, 'old.rdb');
  return {
    async keep(): Promise<void> {
      await redis.cli('save');
      copyFileSync(dump, old);
    },
    /** As after a crash and a restore from a backup. */
    async bringBack(): Promise<void> {
      await redis.kill();
      copyFileSync(old, dump);
      await redis.restart();
    },
  };
}
