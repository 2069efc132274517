// Decides: which port a child may take.
import { createServer } from 'node:net';

/**
 * Below all that systems give away by themselves (Linux from 32768, others from 49152): no connection and no other server
 * gets such a port by chance, neither before its child listens nor while the child is down. Ten thousand above, where the bus
 * of a Redis Cluster node listens, is below it, too.
 */
const FIRST = 10_000;
const COUNT = 10_000;

/** Test files run at the same time in processes with numbers of their own; each has ports of its own. */
const PROCESSES_MAX = 8;
const STEP = PROCESSES_MAX;
const own = Number(process.env.VITEST_POOL_ID ?? process.pid) % PROCESSES_MAX;

/** Begins anywhere, so that it is seldom one of another run of the tests on this machine. */
let turn = Math.floor(Math.random() * (COUNT / STEP));

/** A loopback port that nobody listens at and that this process has not handed out before. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < COUNT / STEP; tried++) {
    turn = (turn + 1) % (COUNT / STEP);
    const port = FIRST + turn * STEP + own;
    if (await isFree(port)) return port;
  }
  throw new Error(`all ports from ${FIRST} to ${FIRST + COUNT} are taken`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
