// Decides: how a program that the tests need is installed unasked: by root on Debian, and nowhere else.
// Must not know: which program.
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** Where Debian puts servers, which is not on everybody's PATH. */
const SERVER_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin'];

/** The path of the first of these programs on PATH or beside it, or null. */
export function findOnPath(programs: readonly string[]): string | null {
  const given = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  const directories = [...given, ...SERVER_DIRECTORIES];
  const paths = programs.flatMap((program) => directories.map((directory) => join(directory, program)));
  return paths.find(isExecutable) ?? null;
}

const APT_GET = '/usr/bin/apt-get';

/** Rejects with `refusal`, which says what to install, where that cannot be done or does not help. */
export async function installByApt(name: string, refusal: string): Promise<void> {
  if (process.getuid?.() !== 0 || !isExecutable(APT_GET)) throw new Error(refusal);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // One at a time, whichever test process asks: apt refuses a second one instead of waiting.
  const run = (...args: readonly string[]) =>
    promisify(execFile)('flock', [APT_GET, APT_GET, ...args], { env });
  try {
    await run('update');
    await run('install', '-y', '--no-install-recommends', name);
  } catch (cause) {
    throw new Error(refusal, { cause });
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
