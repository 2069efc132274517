// Decides: how a real EVM node is started, paused and ended.

import { binaryOf } from './paths.ts';
import { freePort } from './ports.ts';
import { type StartedProcess, startProcess } from './process.ts';
import { rpcTo } from './rpc.ts';
import { waitFor } from './wait.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export interface AnvilOptions {
  readonly port?: number;
  /** A block that often; absent: a block for each transaction. */
  readonly blockTimeS?: number;
  readonly chainId?: number;
  /** Further arguments of the program. */
  readonly args?: readonly string[];
}

export interface Anvil {
  readonly url: string;
  readonly wsUrl: string;
  readonly port: number;
  readonly process: StartedProcess;
  /** Stops answering; sockets stay open. */
  pause(): void;
  resume(): void;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  stop(): Promise<void>;
  /** Throws what the node answers as error. */
  rpc(method: string, params?: readonly unknown[]): Promise<unknown>;
  mine(blocks: number): Promise<void>;
}

/** Resolves when the node answers. */
export async function startAnvil(options: AnvilOptions = {}): Promise<Anvil> {
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const started = startProcess({
    command: binaryOf('@foundry-rs/anvil', `@foundry-rs/anvil-${process.platform}-${architecture}/bin/anvil`),
    args: [
      ...['--host', '127.0.0.1', '--port', String(port), '--quiet'],
      ...['--chain-id', String(options.chainId ?? 1)],
      ...(options.blockTimeS === undefined ? [] : ['--block-time', String(options.blockTimeS)]),
      // Otherwise it keeps old states in the home directory, also after it was killed.
      ...['--prune-history', '256'],
      ...(options.args ?? []),
    ],
  });

  const rpc = rpcTo(url);
  await waitFor(() => !started.running || rpc('eth_chainId'), {
    what: `anvil to answer on port ${port}`,
    timeoutMs: 20_000,
    everyMs: 25,
  });
  if (!started.running) throw new Error(`anvil ended: ${started.output}`);

  async function end(signal: NodeJS.Signals): Promise<void> {
    started.kill('SIGCONT'); // A paused process takes no SIGTERM.
    started.kill(signal);
    await started.exited;
  }

  return {
    url,
    wsUrl: `ws://127.0.0.1:${port}`,
    port,
    process: started,
    pause: () => started.kill('SIGSTOP'),
    resume: () => started.kill('SIGCONT'),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    rpc,
    async mine(blocks) {
      await rpc('anvil_mine', [`0x${blocks.toString(16)}`]);
    },
  };
}
