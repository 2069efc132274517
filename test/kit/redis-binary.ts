// Decides: which Redis server program the tests and the demo run.
// Must not know: what it is started for.
import { execFileSync } from 'node:child_process';
import { findOnPath, installByApt } from './apt.ts';

/** The path of a Redis (or Valkey) server on PATH, or null. Installs nothing. */
export function findRedisServer(): string | null {
  return findOnPath(['redis-server', 'valkey-server']);
}

/** Installs redis-server where that can be done unasked (root on Debian); else says what to install. */
export async function installRedisServer(): Promise<string> {
  const refusal =
    'no Redis for the tests; install redis-server or valkey-server (6.2 / 7.2 or newer), or start Docker';
  await installByApt('redis-server', refusal);
  const installed = findRedisServer();
  if (installed === null) throw new Error(refusal);
  return installed;
}

/** Major version of a server program; Valkey counts on from Redis 7. */
export function redisMajor(path: string): number {
  const text = execFileSync(path, ['--version'], { encoding: 'utf8' });
  return Number(/v=(\d+)/.exec(text)?.[1] ?? 0);
}
