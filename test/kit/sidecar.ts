// Decides: how a test starts the real sidecar program, from its sources, on one of its three runtimes.
import { dirname } from 'node:path';
import { configFile, inRepo, ROOT, type Runtime, runtimeCommand } from './paths.ts';
import { startProcess } from './process.ts';
import { type Program, programOf } from './program.ts';

export interface SidecarOptions {
  /** An object as in the file, or the file's path. */
  readonly config: object | string;
  /** Default node. */
  readonly runtime?: Runtime;
  /** The program and its first arguments; default: the sources on the runtime. */
  readonly command?: readonly string[];
  /** Default 0. */
  readonly port?: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

export type Sidecar = Program & { readonly configPath: string };

/** How a runtime starts the sources. On Deno they may do no more than docs/deploy.md lets them. */
export function sidecarCommand(runtime: Runtime, configPath: string): readonly string[] {
  const allowed = [
    '--allow-net',
    '--allow-env',
    '--allow-sys=hostname',
    `--allow-read=${dirname(configPath)}`,
  ];
  const leading = ['run', '--quiet', '--no-prompt', '--node-modules-dir=manual', ...allowed];
  const main = inRepo('packages', 'health-sidecar', 'src', 'main.ts');
  return [runtimeCommand(runtime), ...(runtime === 'deno' ? leading : []), main];
}

/** Resolves when it listens; rejects with its output when it ends first. */
export async function startSidecarProcess(options: SidecarOptions): Promise<Sidecar> {
  const configPath = configFile(options.config);
  const [command = '', ...leading] = options.command ?? sidecarCommand(options.runtime ?? 'node', configPath);
  const started = startProcess({
    command,
    args: [
      ...leading,
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
