// Decides: how a test starts the real gateway program, from its sources, on a port of the system's choice.
import { configFile, inRepo, ROOT } from './paths.ts';
import { startProcess } from './process.ts';
import { type Program, programOf } from './program.ts';

export interface GatewayOptions {
  /** An object as in the file, or the file's path. */
  readonly config: object | string;
  /** Default 0. */
  readonly port?: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

export type Gateway = Program & { readonly configPath: string };

/** Resolves when it listens; rejects with its output when it ends first. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const configPath = configFile(options.config);
  const started = startProcess({
    command: process.execPath,
    args: [
      inRepo('packages', 'gateway-plugin', 'src', 'bin.ts'),
      ...['--config', configPath, '--port', String(options.port ?? 0)],
      ...(options.args ?? []),
    ],
    cwd: ROOT,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const program = await programOf(started, options.timeoutMs ?? 30_000);
  return Object.defineProperty(program, 'configPath', { value: configPath }) as Gateway; // The line just added it.
}
