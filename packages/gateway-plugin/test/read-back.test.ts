// What was written a moment ago is read where it was written, at every replica.
import { privateKeyToAccount } from 'viem/accounts';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Front, type FrontOptions, startFront, startNodes } from './front.ts';

const account = privateKeyToAccount(`0x${'cd'.repeat(32)}`);

const HEAD = 1000;
let raw = '';
beforeAll(async () => {
  raw = await account.signTransaction({
    ...{ type: 'eip1559', chainId: 1, nonce: 0, gas: 21_000n, to: account.address, value: 1n },
    ...{ maxFeePerGas: 10n, maxPriorityFeePerGas: 1n },
  });
});

async function startRedisForTest(): Promise<RedisServer> {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  return redis;
}

/** The hash, and the node that took it, which is not the one that is first in line. */
async function write(front: Front, nodes: readonly FakeNode[]): Promise<{ hash: string; taker: FakeNode }> {
  await front.call('eth_chainId');
  const hash: string = (await front.call('eth_sendRawTransaction', [raw])).json.result;
  const taker = nodes.find((node) => node.hits('eth_sendRawTransaction') > 0);
  if (!taker) throw new Error('some node took it');
  return { hash, taker };
}

/** Nodes at one height that have no receipt yet. */
function startEqual(): Promise<FakeNode[]> {
  const answer: FakeNode['answer'] = ({ method }) =>
    method === 'eth_getTransactionReceipt' ? { result: null } : undefined;
  return startNodes(...Array.from({ length: 3 }, () => ({ head: HEAD, answer })));
}

async function startThree(options?: FrontOptions): Promise<{ front: Front; nodes: FakeNode[] }> {
  const nodes = await startEqual();
  return { nodes, front: await startFront(nodes, options) };
}

/** How many of the calls of a method each node got. */
const hitsOf = (nodes: readonly FakeNode[], method: string) => nodes.map((node) => node.hits(method));

const only = (nodes: readonly FakeNode[], taker: FakeNode, count: number) =>
  nodes.map((node) => (node === taker ? count : 0));

const READS = ['eth_getTransactionReceipt', 'eth_getTransactionByHash', 'eth_getRawTransactionByHash'];

describe('after a write', () => {
  test.each(READS)('%s is asked from the node that took it', async (method) => {
    const { front, nodes } = await startThree();
    for (const node of nodes) node.answer = (call) => (call.method === method ? { result: null } : undefined);
    const { hash, taker } = await write(front, nodes);
    for (let at = 0; at < 6; at++) await front.call(method, [hash.toUpperCase().replace('X', 'x')]);
    expect(hitsOf(nodes, method)).toEqual(only(nodes, taker, 6));
    await front.call(method, [`0x${'12'.repeat(32)}`]);
    await front.call(method, [`0x${'12'.repeat(32)}`]);
    expect(hitsOf(nodes, method)).not.toEqual(only(nodes, taker, 8));
  });

  test('the nonce of its sender is asked from the node that took it, and that of others from all', async () => {
    const { front, nodes } = await startThree();
    const { taker } = await write(front, nodes);
    const method = 'eth_getTransactionCount';
    await waitFor(() => asks(front, account.address, nodes) === taker, { what: 'the sender to be known' });
    for (let at = 0; at < 6; at++) await front.call(method, [account.address, 'pending']);
    expect(hitsOf(nodes, method)).toEqual(only(nodes, taker, 6));
    for (let at = 0; at < 6; at++) await front.call(method, ['0x00000000000000000000000000000000000000aa']);
    expect(Math.min(...hitsOf(nodes, method))).toBeGreaterThan(0);
  });

  test('its reads go elsewhere when the node that took it is gone, and to anybody once another has shown it', async () => {
    const { front, nodes } = await startThree();
    const { hash, taker } = await write(front, nodes);
    for (const node of nodes)
      node.answer = ({ method }) => (method === READS[1] ? { result: { hash } } : undefined);
    await taker.kill();
    expect((await front.call('eth_getTransactionByHash', [hash])).json.result).toEqual({ hash });
    await taker.restart();
    for (const node of nodes) node.clear();
    for (let at = 0; at < 6; at++) await front.call('eth_getTransactionByHash', [hash]);
    expect(taker.hits('eth_getTransactionByHash')).toBeLessThanOrEqual(3);
  });

  test('its reads go elsewhere while the node that took it may not be picked', async () => {
    const { front, nodes } = await startThree();
    const { hash, taker } = await write(front, nodes);
    taker.mode = 'http429';
    taker.retryAfter = 20;
    for (let at = 0; at < 4; at++) {
      expect((await front.call('eth_getTransactionReceipt', [hash])).json.result).toBeNull();
    }
    expect(taker.hits('eth_getTransactionReceipt')).toBe(1);
  });

  test('its reads go elsewhere while the node that took it has as many attempts as it may', async () => {
    const { front, nodes } = await startThree({
      upstreams: [{ maxConns: 1 }, { maxConns: 1 }, { maxConns: 1 }],
    });
    const { hash, taker } = await write(front, nodes);
    for (const node of nodes) node.answer = () => ({ result: null, afterMs: 300 });
    await Promise.all([1, 2].map(() => front.call('eth_getTransactionReceipt', [hash])));
    expect(taker.hits('eth_getTransactionReceipt')).toBe(1);
  });

  test('its reads go to anybody when others have caught up', async () => {
    const { front, nodes } = await startThree();
    await front.call('eth_blockNumber');
    const { hash } = await write(front, nodes);
    for (const node of nodes) node.head = HEAD + 3;
    await front.call('eth_blockNumber');
    for (let at = 0; at < 6; at++) await front.call('eth_getTransactionReceipt', [hash]);
    expect(hitsOf(nodes, 'eth_getTransactionReceipt')).toEqual([2, 2, 2]);
  });

  test('that a node refused, nobody is preferred', async () => {
    const { front, nodes } = await startThree();
    const hash = `0x${'34'.repeat(32)}`;
    for (const node of nodes)
      node.answer = ({ method }) =>
        method === 'eth_sendRawTransaction'
          ? { error: { code: -32000, message: `known: ${hash}` } }
          : undefined;
    await front.call('eth_sendRawTransaction', [raw]);
    for (let at = 0; at < 6; at++) await front.call('eth_getTransactionByHash', [hash]);
    expect(hitsOf(nodes, 'eth_getTransactionByHash')).toEqual([2, 2, 2]);
  });
});

describe('after a write at another replica', () => {
  test('its reads are asked from the node that took it', async () => {
    const redis = await startRedisForTest();
    const nodes = await startEqual();
    const options = { redis: { url: redis.url } };
    const [first, second] = await Promise.all([startFront(nodes, options), startFront(nodes, options)]);
    const { hash, taker } = await write(first, nodes);
    const method = 'eth_getTransactionReceipt';
    await waitFor(() => asks(second, hash, nodes) === taker, { what: 'the other replica to know' });
    for (let at = 0; at < 6; at++) await second.call(method, [hash]);
    expect(hitsOf(nodes, method)).toEqual(only(nodes, taker, 6));
    const third = await startFront(nodes, options);
    await waitFor(() => asks(third, hash, nodes) === taker, { what: 'a later replica to know' });
    await waitFor(() => asks(third, account.address, nodes) === taker, { what: 'the sender to be known' });
  });
});

/** Whom a replica would ask about a transaction or a sender now. */
function asks(front: Front, subject: string, nodes: readonly FakeNode[]): FakeNode | undefined {
  const method = subject.length === 66 ? 'eth_getTransactionReceipt' : 'eth_getTransactionCount';
  const { picked, upstreams } = front.app.rpcBalancer.explain('net', { method, params: [subject] });
  return nodes[upstreams.findIndex(({ id }) => id === picked)];
}
