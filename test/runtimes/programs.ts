// Decides: in which forms the sidecar is tried: its sources on each runtime, and the binary with Bun inside.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT, type Runtime, temporaryDirectory } from '../kit/paths.ts';
import { sidecarCommand } from '../kit/sidecar.ts';

export type Form = Runtime | 'binary';

export const FORMS: readonly Form[] = ['node', 'bun', 'deno', 'binary'];

const binary = join(temporaryDirectory(), 'rpc-balancer-sidecar');

/** As `pnpm sidecar:binary FILE` does. */
export async function buildBinary(): Promise<void> {
  await promisify(execFile)('npx', ['-y', 'pnpm@12', 'sidecar:binary', binary], { cwd: ROOT });
}

/** The program and its first arguments; the configuration lies in this place. */
export function commandOf(form: Form, configPath: string): readonly string[] {
  return form === 'binary' ? [binary] : sidecarCommand(form, configPath);
}
