// Decides: where the repository's own programs and tools stand, and where a test may write.
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entrustDirectory } from './reaper.ts';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A file of the repository. */
export function inRepo(...parts: readonly string[]): string {
  return join(ROOT, ...parts);
}

/** The real binary of a package that wraps one, so that a signal reaches the program and not its wrapper. */
export function binaryOf(wrapper: string, inner: string): string {
  const fromRoot = createRequire(inRepo('package.json'));
  return createRequire(fromRoot.resolve(`${wrapper}/package.json`)).resolve(inner);
}

/** The binaries themselves: the commands beside them are wrappers, which pass no signal on. */
const BINARIES = { bun: ['bun', 'bin', 'bun.exe'], deno: ['deno', 'deno'] } as const;

/**
 * The program of a runtime: this Node, or the repository's bun and deno. RPCB_NODE, RPCB_BUN and RPCB_DENO name others,
 * such as the oldest that the sidecar supports.
 */
export function runtimeCommand(runtime: Runtime): string {
  const other = process.env[`RPCB_${runtime.toUpperCase()}`];
  if (other !== undefined) return other;
  if (runtime === 'node') return process.execPath;
  const command = inRepo('node_modules', ...BINARIES[runtime]);
  if (!existsSync(command)) throw new Error(`${runtime} is not installed; run pnpm install`);
  return command;
}

export type Runtime = 'node' | 'bun' | 'deno';

/** A new directory that is removed when the test process ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'rpc-balancer-test-'));
  entrustDirectory(directory);
  return directory;
}

/** The path itself, or a new file with the object as JSON, which is YAML. */
export function configFile(config: string | object): string {
  if (typeof config === 'string') return config;
  const path = join(temporaryDirectory(), 'config.json');
  writeFileSync(path, JSON.stringify(config, null, 2));
  return path;
}
