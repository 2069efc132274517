// Decides: how one Redis server process comes to run: a program of this machine, else a container.
// Must not know: what it is configured for.

import { startProcess } from './process.ts';
import { findRedisServer, installRedisServer, redisMajor } from './redis-binary.ts';

/** The oldest series that we promise is 6.2; the container has a current one. */
const IMAGE = 'redis:7.4';

export interface RedisProcess {
  readonly major: number;
  running(): boolean;
  output(): string;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  /** SIGTERM, or SIGKILL; resolves when it is gone. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** Starts a server with these arguments; `dir` is where it reads and writes. */
export async function launchRedis(args: readonly string[], dir: string): Promise<RedisProcess> {
  const found = findRedisServer();
  if (found !== null) return launchProgram(found, args, dir);
  return (await launchContainer(args, dir)) ?? launchProgram(await installRedisServer(), args, dir);
}

function launchProgram(command: string, args: readonly string[], dir: string): RedisProcess {
  const major = redisMajor(command);
  const started = startProcess({ command, args: [...args, ...debugArgs(args, major)], cwd: dir });
  return {
    major,
    running: () => started.running,
    output: () => started.output,
    async signal(signal) {
      started.kill(signal);
    },
    async end(signal) {
      started.kill('SIGCONT'); // A stopped process would never act on SIGTERM.
      started.kill(signal);
      await started.exited;
    },
  };
}

/** DEBUG is off from version 7 on; the tests need it. A Sentinel knows no such setting. */
function debugArgs(args: readonly string[], major: number): string[] {
  return major >= 7 && !args.includes('--sentinel') ? ['--enable-debug-command', 'local'] : [];
}

/** Null where no container engine answers. Host network and a shared directory make it behave as a local program. */
async function launchContainer(args: readonly string[], dir: string): Promise<RedisProcess | null> {
  const { GenericContainer, getContainerRuntimeClient } = await import('testcontainers');
  const engine = await getContainerRuntimeClient().catch(() => null);
  if (engine === null) return null;
  const started = await new GenericContainer(IMAGE)
    .withNetworkMode('host')
    .withBindMounts([{ source: dir, target: dir, mode: 'rw' }])
    .withUser(`${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`)
    .withCommand(['redis-server', ...args, ...debugArgs(args, 7)])
    .start();
  const container = engine.container.getById(started.getId());
  let running = true;
  return {
    major: 7,
    running: () => running,
    output: () => `container ${started.getId()}`,
    async signal(signal) {
      await (signal === 'SIGSTOP' ? container.pause() : container.unpause());
    },
    async end(signal) {
      running = false;
      if (signal === 'SIGKILL') await container.kill();
      await started.stop();
    },
  };
}
