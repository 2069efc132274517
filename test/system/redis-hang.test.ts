// No request waits for Redis: while one step of it hangs, more requests are answered one after another than could be if each waited.
import { expect, onTestFinished, test } from 'vitest';
import { COMMAND_TIMEOUT_MS } from '../../packages/shared/src/store/redis/connect.ts';
import { waitFor } from '../kit/wait.ts';
import { redisServer } from './programs.ts';
import { startReplica } from './replicas.ts';
import { tcpPath } from './tcp-path.ts';
import { addressOf, startChain, upstreamsOf } from './upstreams.ts';

/** What a request may wait for Redis at most, where it may wait at all. */
const BUDGET_MS = 25;
const REQUESTS = COMMAND_TIMEOUT_MS / BUDGET_MS;

test('while a step of Redis hangs, reads, writes and retries are answered as if it did not', async () => {
  const [redis, nodes] = await Promise.all([redisServer(), startChain({}, { mode: 'http500' })]);
  onTestFinished(async () => void (await Promise.all(nodes.map((node) => node.stop()))));
  const path = await tcpPath(redis.port);
  const redisOf = { url: `redis://127.0.0.1:${path.port}` };
  // Each failure is reported, and each trial of the upstream that fails is to be won in the cluster.
  const net = { upstreams: upstreamsOf(nodes), maxFails: 2, failTimeout: '50ms' };
  const { balancer } = await startReplica({ redis: redisOf, net });
  const store = () => balancer.status().store;
  const isWell = () => store().connected && store().problem === null;

  async function request(index: number): Promise<void> {
    if (index % 4 > 0) await balancer.call('net', 'eth_getBalance', [addressOf(index), 'latest']);
    // At the upstream that fails its fate is unknown, and that is an answer, too.
    else await balancer.call('net', 'eth_sendRawTransaction', [`0x0${index % 10}`]).catch(() => {});
  }

  /** Whether all were answered before the first step that hangs was given up. */
  async function allDuringOneHang(): Promise<boolean> {
    path.release();
    await waitFor(isWell, { what: 'the store to be reached' });
    path.hold();
    const heldAt = Date.now();
    await waitFor(() => path.lastSentAt() > heldAt, { what: 'a step that hangs', everyMs: 1 });
    let answered = 0;
    while (answered < REQUESTS && isWell()) await request(answered++);
    return isWell();
  }

  // A machine that was busy meanwhile gets another try; a request that waits never makes it.
  await waitFor(allDuringOneHang, { what: `${REQUESTS} requests during one hang`, timeoutMs: 40_000 });
  expect(nodes[0]?.hits('eth_sendRawTransaction')).toBeGreaterThan(0);
  expect(nodes[1]?.hits()).toBeGreaterThan(0);
});
