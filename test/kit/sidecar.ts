// Decides: how a test starts the real sidecar program, from its sources, on one of its three runtimes.
import { configFile, inRepo, ROOT, type Runtime, runtimeCommand } from './paths.ts';
import { startProcess } from './process.ts';
import { type Program, programOf } from './program.ts';

export interface SidecarOptions {
  /** An object as in the file, or the file's path. */
  readonly config: object | string;
  /** Default node. */
  readonly runtime?: Runtime;
  /** Default 0. */
  readonly port?: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

export type Sidecar = Program & { readonly configPath: string };

const LEADING_ARGS = {
  node: [],
  bun: [],
  deno: ['run', '--quiet', '--allow-all', '--node-modules-dir=manual'],
} as const;

/** Resolves when it listens; rejects with its output when it ends first. */
export async function startSidecarProcess(options: SidecarOptions): Promise<Sidecar> {
  const runtime = options.runtime ?? 'node';
  const configPath = configFile(options.config);
  const started = startProcess({
    command: runtimeCommand(runtime),
    args: [
      ...LEADING_ARGS[runtime],
      inRepo('packages', 'health-sidecar', 'src', 'main.ts'),
      ...['--config', configPath, '--port', String(options.port ?? 0)],
      ...(options.args ?? []),
    ],
    cwd: ROOT,
    // Bun would keep its transpiled sources in the home directory.
    env: { BUN_RUNTIME_TRANSPILER_CACHE_PATH: '0', ...options.env },
  });
  const program = await programOf(started, options.timeoutMs ?? 30_000);
  return Object.defineProperty(program, 'configPath', { value: configPath }) as Sidecar; // The line just added it.
}
