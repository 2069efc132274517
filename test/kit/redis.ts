// Decides: how tests start, disturb and end a real Redis server.
// Must not know: what is stored in it. Everything is on the loopback interface and in a directory of its own.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { temporaryDirectory } from './paths.ts';
import { freePort } from './ports.ts';
import { launchRedis, type RedisProcess } from './redis-launch.ts';
import { type ServerTls, tlsArgs } from './redis-tls.ts';
import { waitFor } from './wait.ts';

export interface RedisOptions {
  readonly port?: number;
  /** Further arguments, e.g. `['--timeout', '1']`. */
  readonly args?: readonly string[];
  /** The port then speaks nothing but TLS. */
  readonly tls?: ServerTls;
  readonly requirepass?: string;
  /** Each as ACL SETUSER takes it: `alice on >secret ~* &* +@all`. */
  readonly aclUsers?: readonly string[];
  /** The url is then that of the socket; the port stays open. */
  readonly unixSocket?: boolean;
  /** Is kept; without one a new directory is used and removed on stop. */
  readonly dir?: string;
}

export interface RedisServer {
  /** Without credentials: `redis://`, `rediss://` or `unix://`. */
  readonly url: string;
  readonly port: number;
  readonly socketPath: string;
  readonly dir: string;
  readonly running: boolean;
  readonly output: string;
  /** Sends one command as the administrator, over the socket, whatever TLS and ACL say to others. */
  cli(...args: readonly (string | number)[]): Promise<unknown>;
  /** SIGSTOP: sockets stay open, nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again with the same port, arguments and directory, also after `kill` or `stop`. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const ADMIN = 'rpc-balancer-test-admin';

/** Resolves when the server answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { args = [], tls, requirepass, aclUsers = [], unixSocket = false } = options;
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? temporaryDirectory();
  const socketPath = join(dir, 'redis.sock');
  const users = [`${ADMIN} on >${ADMIN} ~* &* +@all`, ...aclUsers];
  const launchArgs = [
    ['--bind', '127.0.0.1', '--dir', dir, '--save', '', '--daemonize', 'no'],
    ['--unixsocket', socketPath, '--unixsocketperm', '700'],
    tls ? tlsArgs(tls, port) : ['--port', String(port)],
    requirepass === undefined ? [] : ['--requirepass', requirepass],
    users.flatMap((user) => ['--user', ...user.split(' ')]),
    args,
  ].flat();
  let server: RedisProcess = await launch();

  async function launch(): Promise<RedisProcess> {
    const launched = await launchRedis(launchArgs, dir);
    const answers = async (): Promise<boolean> => {
      if (!launched.running()) return true;
      return (await cli('ping')) === 'PONG';
    };
    await waitFor(answers, { what: 'the Redis server to answer' });
    if (!launched.running()) throw new Error(`the Redis server ended:\n${launched.output()}`);
    return launched;
  }

  async function cli(...[command = '', ...rest]: readonly (string | number)[]): Promise<unknown> {
    const client = new Redis({
      path: socketPath,
      username: ADMIN,
      password: ADMIN,
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: null,
    });
    client.on('error', () => {}); // The call itself rejects.
    try {
      await client.connect();
      return await client.call(String(command), ...rest);
    } finally {
      client.disconnect();
    }
  }

  const scheme = tls ? 'rediss' : 'redis';
  return {
    url: unixSocket ? `unix://${socketPath}` : `${scheme}://127.0.0.1:${port}`,
    port,
    socketPath,
    dir,
    get running() {
      return server.running();
    },
    get output() {
      return server.output();
    },
    cli,
    pause: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
    kill: () => server.end('SIGKILL'),
    async restart() {
      if (server.running()) await server.end('SIGTERM');
      server = await launch();
    },
    async stop() {
      if (server.running()) await server.end('SIGTERM');
      if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The server that REDIS_URL names, else one of our own. For tests that disturb nobody and use their own cluster id. */
export async function anyRedis(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const url = process.env.REDIS_URL;
  return url === undefined || url === '' ? startRedis() : { url, stop: async () => {} };
}
