// Decides: which Redis server program the tests and the demo run.
// Must not know: what it is started for.
import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const PROGRAMS = ['redis-server', 'valkey-server'];

/** The path of a Redis (or Valkey) server on PATH, or null. Installs nothing. */
export function findRedisServer(): string | null {
  const directories = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  const paths = PROGRAMS.flatMap((program) => directories.map((directory) => join(directory, program)));
  return paths.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Installs redis-server where that can be done unasked (root on Debian); else says what to install. */
export async function installRedisServer(): Promise<string> {
  const refusal =
    'no Redis for the tests; install redis-server or valkey-server (6.2 / 7.2 or newer), or start Docker';
  if (process.getuid?.() !== 0 || !isExecutable('/usr/bin/apt-get')) throw new Error(refusal);
  const run = promisify(execFile);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('apt-get', ['update'], { env });
    await run('apt-get', ['install', '-y', '--no-install-recommends', 'redis-server'], { env });
  } catch (cause) {
    throw new Error(refusal, { cause });
  }
  const installed = findRedisServer();
  if (installed === null) throw new Error(refusal);
  return installed;
}

/** Major version of a server program; Valkey counts on from Redis 7. */
export function redisMajor(path: string): number {
  const text = execFileSync(path, ['--version'], { encoding: 'utf8' });
  return Number(/v=(\d+)/.exec(text)?.[1] ?? 0);
}
