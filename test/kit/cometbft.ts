// Decides: how a chain of real CometBFT validators is built, started, and loses and regains one of them.
// Must not know: what a test wants of it.
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath } from './apt.ts';
import { temporaryDirectory } from './paths.ts';
import { freePort } from './ports.ts';
import { type StartedProcess, startProcess } from './process.ts';
import { waitFor } from './wait.ts';

const VERSION = 'v0.38.19';
/** The module proxy and the compiler may take a minute each on a small machine. */
const BUILD_MS = 600_000;

/** Null where no Go toolchain is: then there is no real CometBFT either. */
export const goCommand: string | null = findOnPath(['go']);

export interface Validator {
  readonly url: string;
  readonly process: StartedProcess;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again where it was killed, with the blocks that it had. */
  restart(): Promise<void>;
  height(): Promise<number>;
}

export interface Chain {
  readonly id: string;
  readonly validators: readonly Validator[];
  stop(): Promise<void>;
}

/** The program, built once for all tests of this machine. */
async function program(go: string): Promise<string> {
  const directory = join(tmpdir(), `rpc-balancer-cometbft-${VERSION}`);
  const path = join(directory, 'cometbft');
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true });
  const built = mkdtempSync(join(directory, 'build-'));
  const env = { ...process.env, GOBIN: built };
  const args = ['install', `github.com/cometbft/cometbft/cmd/cometbft@${VERSION}`];
  await promisify(execFile)(go, args, { env, timeout: BUILD_MS });
  // Whoever builds at the same time puts the same program there.
  renameSync(join(built, 'cometbft'), path);
  rmdirSync(built);
  return path;
}

/** Resolves when all validators have the first block. Four go on when one of them dies, three do not. */
export async function startCometbft(go: string, validatorCount = 4): Promise<Chain> {
  const command = await program(go);
  const root = temporaryDirectory();
  const run = async (...args: readonly string[]) =>
    (await promisify(execFile)(command, [...args])).stdout.trim();
  await run('testnet', '--v', String(validatorCount), '--o', root, '--populate-persistent-peers=false');
  const homes = Array.from({ length: validatorCount }, (_, at) => join(root, `node${at}`));
  for (const home of homes) hasten(join(home, 'config', 'config.toml'));
  const places = await Promise.all(
    homes.map(async (home) => {
      const [p2p, rpc, id] = [await freePort(), await freePort(), await run('show-node-id', '--home', home)];
      return { home, rpc, p2p: `127.0.0.1:${p2p}`, peer: `${id}@127.0.0.1:${p2p}` };
    }),
  );
  const validators = places.map(({ home, rpc, p2p, peer }) => {
    const peers = places.map((other) => other.peer).filter((other) => other !== peer);
    return createValidator(command, rpc, [
      ...['start', '--home', home, '--proxy_app', 'kvstore', '--log_level', 'error'],
      ...['--rpc.laddr', `tcp://127.0.0.1:${rpc}`, '--p2p.laddr', `tcp://${p2p}`],
      ...['--p2p.persistent_peers', peers.join(',')],
    ]);
  });
  await Promise.all(
    validators.map((validator) =>
      waitFor(async () => (await validator.height()) > 0, {
        what: 'the first block of every validator',
        timeoutMs: 60_000,
        everyMs: 50,
      }),
    ),
  );
  const genesis: unknown = JSON.parse(readFileSync(join(root, 'node0', 'config', 'genesis.json'), 'utf8'));
  return {
    // A genesis document has its chain's id.
    id: (genesis as { chain_id: string }).chain_id,
    validators,
    async stop() {
      await Promise.all(validators.map((validator) => validator.kill()));
    },
  };
}

/** Blocks several times a second, and little patience with a dead proposer. */
function hasten(path: string): void {
  const config = readFileSync(path, 'utf8')
    .replace(/^timeout_commit = .*$/m, 'timeout_commit = "250ms"')
    .replace(/^timeout_propose = .*$/m, 'timeout_propose = "500ms"');
  writeFileSync(path, config);
}

function createValidator(command: string, port: number, args: readonly string[]): Validator {
  const url = `http://127.0.0.1:${port}`;
  const start = () => startProcess({ command, args });
  let started = start();
  return {
    url,
    get process() {
      return started;
    },
    async kill() {
      started.kill('SIGKILL');
      await started.exited;
    },
    async restart() {
      started = start();
    },
    async height() {
      if (!started.running) throw new Error(`a validator ended: ${started.output}`);
      // The shape of CometBFT's status; a node that breaks it fails the test that asks.
      const { result } = (await (await fetch(`${url}/status`)).json()) as {
        result: { sync_info: { latest_block_height: string } };
      };
      return Number(result.sync_info.latest_block_height);
    },
  };
}
