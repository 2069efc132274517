// Decides: how a real Substrate chain is started, given new blocks and ended, without the internet.
// Must not know: what a test wants of it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inRepo, temporaryDirectory } from './paths.ts';
import { freePort } from './ports.ts';
import { type StartedProcess, startProcess } from './process.ts';
import { rpcTo } from './rpc.ts';
import { waitFor } from './wait.ts';

export interface Chopsticks {
  readonly url: string;
  readonly port: number;
  readonly process: StartedProcess;
  /** Throws what the node answers as error. */
  rpc(method: string, params?: readonly unknown[]): Promise<unknown>;
  /** Makes so many blocks at once. */
  mine(blocks: number): Promise<void>;
  stop(): Promise<void>;
}

/** The chain of asset hub from its first block: a real runtime with real metadata. */
export async function genesisFile(): Promise<string> {
  const { chainSpec } = await import('@substrate/connect-known-chains/rococo_v2_2_asset_hub');
  const path = join(temporaryDirectory(), 'genesis.json');
  writeFileSync(path, chainSpec);
  return path;
}

/** Resolves when the node answers. Nodes with the same genesis file are of one chain. */
export async function startChopsticks(genesis: string): Promise<Chopsticks> {
  const port = await freePort();
  const directory = temporaryDirectory();
  const config = join(directory, 'config.json');
  writeFileSync(config, JSON.stringify({ genesis, port, host: '127.0.0.1', 'build-block-mode': 'Manual' }));
  const program = inRepo('node_modules', '@acala-network', 'chopsticks', 'chopsticks.cjs');
  const started = startProcess({
    command: process.execPath,
    args: [program, '--config', config],
    cwd: directory,
  });
  const url = `http://127.0.0.1:${port}`;

  const rpc = rpcTo(url);
  await waitFor(() => !started.running || rpc('system_chain'), {
    what: `chopsticks to answer on port ${port}`,
    timeoutMs: 40_000,
    everyMs: 50,
  });
  if (!started.running) throw new Error(`chopsticks ended: ${started.output}`);
  return {
    url,
    port,
    process: started,
    rpc,
    async mine(blocks) {
      await rpc('dev_newBlock', [{ count: blocks }]);
    },
    async stop() {
      started.kill('SIGKILL'); // It has nothing to keep.
      await started.exited;
    },
  };
}
