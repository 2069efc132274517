// Nodes at different heights behind a real gateway: who is asked for a block.
import { describe, expect, test } from 'vitest';
import type { FakeNode, FakeNodeOptions } from '../../../test/kit/fake-node.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Front, type FrontOptions, startFront, startNodes } from './front.ts';

const HEAD = 1000;
const hex = (height: number) => `0x${height.toString(16)}`;

/** As often as the schema lets probes come. */
const PROBED = { probe: { interval: '100ms' } } as const;

interface Bench {
  readonly front: Front;
  readonly nodes: readonly FakeNode[];
}

/** Nodes `a`, `b`, `c` …; resolves when the gateway knows their heads. */
async function startBench(scripts: readonly FakeNodeOptions[], options: FrontOptions = {}): Promise<Bench> {
  const nodes = await startNodes(...scripts);
  const front = await startFront(nodes, { ...options, network: { ...PROBED, ...options.network } });
  const known = () => nodes.every((node, at) => front.upstream(idOf(at)).head === node.head);
  await waitFor(known, { what: 'the gateway to know the heads' });
  return { front, nodes };
}

const idOf = (at: number) => String.fromCharCode(97 + at);

describe('incident 8: a call that names a block', () => {
  const ADDRESS = '0x00000000000000000000000000000000000000aa';
  test.each<[string, unknown[]]>([
    ['eth_getLogs', [{ fromBlock: hex(1), toBlock: hex(HEAD) }]],
    ['eth_getLogs', [{ fromBlock: hex(HEAD), toBlock: 'latest' }]],
    ['eth_getBalance', [ADDRESS, hex(HEAD)]],
    ['eth_call', [{ to: ADDRESS }, { blockNumber: hex(HEAD) }]],
    ['eth_getBlockByNumber', [hex(HEAD), false]],
  ])('reaches no node below it while one has it: %s %j', async (method, params) => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD - 2 }, { head: HEAD }]);
    const [, behind] = nodes as [FakeNode, FakeNode];
    for (const node of nodes) node.clear();
    const asked: number[] = [];
    behind.answer = (call) => {
      if (call.method === method && JSON.stringify(call.params) === JSON.stringify(params)) asked.push(1);
      return undefined;
    };
    for (let at = 0; at < 20; at++) expect((await front.call(method, params)).json.result).toBeDefined();
    expect(asked).toEqual([]);
  });

  test('of any node is answered by every node', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD - 2 }, { head: HEAD }]);
    for (let at = 0; at < 30; at++) await front.call('eth_getBalance', [ADDRESS, hex(HEAD - 2)]);
    expect(nodes.map((node) => node.hits('eth_getBalance'))).toEqual([10, 10, 10]);
  });

  test('goes to a worse tier rather than to a node that lacks it', async () => {
    const upstreams = [{}, { tier: 'fallback' as const }];
    const { front, nodes } = await startBench([{ head: HEAD - 2 }, { head: HEAD }], { upstreams });
    await front.call('eth_getBalance', [ADDRESS, hex(HEAD)]);
    await front.call('eth_getBalance', [ADDRESS, 'latest']);
    expect(nodes.map((node) => node.hits('eth_getBalance'))).toEqual([1, 1]);
  });

  test('is sent to the nearest node when nobody is known to have it, and its answer is passed on', async () => {
    const { front, nodes } = await startBench([{ head: HEAD - 4 }, { head: HEAD }, { head: HEAD - 4 }]);
    for (let at = 0; at < 5; at++) await front.call('eth_getBalance', [ADDRESS, hex(HEAD + 1000)]);
    expect(nodes.map((node) => node.hits('eth_getBalance'))).toEqual([0, 5, 0]);
  });

  test('takes its whole batch to where the highest block of the batch is', async () => {
    const { front, nodes } = await startBench([{ head: HEAD - 2 }, { head: HEAD }, { head: HEAD - 1 }]);
    const elements = [HEAD - 2, HEAD, HEAD - 1].map((height, id) => ({
      jsonrpc: '2.0',
      id,
      method: 'eth_getBalance',
      params: [ADDRESS, hex(height)],
    }));
    for (let at = 0; at < 5; at++) await front.send('/net', JSON.stringify(elements));
    expect(nodes.map((node) => node.hits('eth_getBalance'))).toEqual([0, 15, 0]);
  });

  test('by its hash goes where its number is, once an answer has shown the two together', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD - 2 }, { head: HEAD - 2 }]);
    const { result } = (await front.call('eth_getBlockByNumber', [hex(HEAD - 1), false])).json;
    for (let at = 0; at < 12; at++) await front.call('eth_getLogs', [{ blockHash: result.hash }]);
    expect(nodes.map((node) => node.hits('eth_getLogs'))).toEqual([12, 0, 0]);
  });

  test('as finalized goes to nodes that have finalized what the network has', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD }, { head: HEAD - 2 }]);
    for (let at = 0; at < 12; at++) await front.call('eth_getBalance', [ADDRESS, 'finalized']);
    expect(nodes.map((node) => node.hits('eth_getBalance'))).toEqual([6, 6, 0]);
  });

  test('is not asked a second time of a node that lacks it, however late the first answer is', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD - 2 }], {
      network: { hedge: { after: '5ms' } },
    });
    const [late] = nodes as [FakeNode];
    late.answer = ({ method }) => (method === 'eth_getLogs' ? { result: ['late'], afterMs: 100 } : undefined);
    const { json } = await front.call('eth_getLogs', [{ fromBlock: hex(HEAD), toBlock: hex(HEAD) }]);
    expect(json.result).toEqual(['late']);
    expect(nodes.map((node) => node.hits('eth_getLogs'))).toEqual([1, 0]);
  });

  test('is explained with who lacks the block', async () => {
    const { front } = await startBench([{ head: HEAD }, { head: HEAD - 2 }, { head: HEAD }], {
      plugin: { ops: '/ops' },
    });
    const params = ['0xaa', hex(HEAD)];
    const { picked, upstreams } = front.app.rpcBalancer.explain('net', { method: 'eth_getBalance', params });
    expect([picked, upstreams.map(({ reason }) => reason)]).toEqual(['a', [null, 'behind_block', null]]);
    const ask = (text: string) =>
      front.send(
        `/ops/status/explain?network=net&method=eth_getBalance&params=${encodeURIComponent(text)}`,
        null,
        {
          verb: 'GET',
        },
      );
    expect((await ask(JSON.stringify(params))).json.upstreams[1].reason).toBe('behind_block');
    expect((await ask('')).json.upstreams[1].reason).toBe('behind_block');
    expect(await ask('{')).toMatchObject({ status: 400 });
  });

  test('that a node should have, but lacks, is asked elsewhere', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD }]);
    const [liar] = nodes as [FakeNode];
    liar.answer = ({ params }) => ((params as unknown[])[0] === hex(HEAD - 3) ? { result: null } : undefined);
    for (let at = 0; at < 6; at++) {
      const { json } = await front.call('eth_getBlockByNumber', [hex(HEAD - 3), false]);
      expect(json.result.number).toBe(hex(HEAD - 3));
    }
    expect(front.upstream('a')).toMatchObject({ fails: 0, reason: null });
  });
});

describe('a block that was just announced', () => {
  test('is waited for until a node has it', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD - 1 }]);
    const [first, second] = nodes as [FakeNode, FakeNode];
    const answer = front.call('eth_getBlockByNumber', [hex(HEAD + 1), false]);
    await front.call('eth_chainId');
    expect(first.requests.concat(second.requests).some(({ body }) => body.includes(hex(HEAD + 1)))).toBe(
      false,
    );
    second.head = HEAD + 1;
    expect((await answer).json.result.number).toBe(hex(HEAD + 1));
    expect(first.requests.some(({ body }) => body.includes(hex(HEAD + 1)))).toBe(false);
  });

  test('is waited for about a second, and not for its deadline', async () => {
    const network = { deadline: '5m', deadlines: {} };
    const { front } = await startBench([{ head: HEAD }, { head: HEAD }], { network });
    const begunAt = performance.now();
    expect((await front.call('eth_getBlockByNumber', [hex(HEAD + 3), false])).json.result).toBeNull();
    expect(performance.now() - begunAt).toBeGreaterThan(900);
  });

  test('is not waited for beyond the deadline', async () => {
    const { front } = await startBench([{ head: HEAD }], {
      network: { connectTimeout: '50ms', readTimeout: '100ms', deadline: '200ms', deadlines: {} },
    });
    const { json } = await front.call('eth_getBlockByNumber', [hex(HEAD + 1), false]);
    expect(json.error.data.code).toBe('RPCB_DEADLINE');
  });

  test('is shown by the answer to another call', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }], { network: { probe: { interval: '1h' } } });
    const [node] = nodes as [FakeNode];
    const answer = front.call('eth_getBlockByNumber', [hex(HEAD + 1), false]);
    node.head = HEAD + 1;
    await front.call('eth_blockNumber');
    expect((await answer).json.result.number).toBe(hex(HEAD + 1));
  });

  test('is not waited for when it is too far ahead to be one', async () => {
    const { front } = await startBench([{ head: HEAD }]);
    const answered: number[] = [];
    const ask = async (ahead: number) => {
      const { json } = await front.call('eth_getBlockByNumber', [hex(HEAD + ahead), false]);
      expect(json.result).toBeNull();
      answered.push(ahead);
    };
    await Promise.all([ask(3), ask(4)]);
    expect(answered).toEqual([4, 3]);
  });
});

describe('incident 5: a node whose head is unknown', () => {
  test('is asked for a block after those that have it, and before those that lack it', async () => {
    const nodes = await startNodes({ head: HEAD }, { head: HEAD }, { head: HEAD });
    const front = await startFront(nodes);
    expect((await front.call('eth_blockNumber')).json.result).toBe(hex(HEAD));
    const shown = nodes.findIndex((node) => node.hits() > 0);
    const hits = () => nodes.map((node) => node.hits('eth_getBalance'));
    for (let at = 0; at < 6; at++) await front.call('eth_getBalance', ['0xaa', hex(HEAD)]);
    expect(hits()[shown]).toBe(6);
    for (let at = 0; at < 6; at++) await front.call('eth_getBalance', ['0xaa', hex(HEAD + 1)]);
    expect(hits()[shown]).toBe(6);
    expect(hits().toSorted()).toEqual([3, 3, 6]);
  });
});

describe('history that a node has pruned', () => {
  const ADDRESS = '0x00000000000000000000000000000000000000aa';
  const PRUNED = () => ({ error: { code: -32000, message: 'missing trie node' } }) as const;

  async function startPruned() {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD }], {
      upstreams: [{}, { tier: 'fallback' }],
    });
    const [pruned, archive] = nodes as [FakeNode, FakeNode];
    const balanceAt = (height: number | string) =>
      front.call('eth_getBalance', [ADDRESS, typeof height === 'number' ? hex(height) : height]);
    const asked = () => [pruned.hits('eth_getBalance'), archive.hits('eth_getBalance')];
    return { front, pruned, archive, balanceAt, asked };
  }

  test('is asked of another, and of that one at once from then on, while later blocks are asked as before', async () => {
    const { front, pruned, balanceAt, asked } = await startPruned();
    pruned.answer = ({ method, params }) =>
      method === 'eth_getBalance' && (params as string[])[1] === hex(10) ? PRUNED() : undefined;
    for (let calls = 0; calls < 3; calls++) expect((await balanceAt(10)).json.error).toBeUndefined();
    expect(asked()).toEqual([1, 3]);
    await balanceAt(9);
    expect(asked()).toEqual([1, 4]);
    await balanceAt(11);
    await balanceAt('latest');
    expect(asked()).toEqual([3, 4]);
    expect(front.upstream('a')).toMatchObject({ fails: 0, state: 'eligible' });
    const explained = front.app.rpcBalancer.explain('net', {
      method: 'eth_getBalance',
      params: [ADDRESS, hex(10)],
    });
    expect(explained).toMatchObject({
      picked: 'b',
      upstreams: [{ reason: 'unsupported' }, { reason: null }],
    });
  });

  test('is not remembered of a block so new that a node may not have heard of it, nor of one named by its hash', async () => {
    const { front, pruned, balanceAt, asked } = await startPruned();
    pruned.answer = ({ method }) => (method === 'eth_getBalance' ? PRUNED() : undefined);
    for (let calls = 0; calls < 2; calls++) await balanceAt(HEAD - 4);
    expect(asked()).toEqual([2, 2]);
    const { hash } = (await front.call('eth_getBlockByNumber', [hex(10), false])).json.result;
    for (let calls = 0; calls < 2; calls++) await balanceAt(hash);
    expect(asked()).toEqual([4, 4]);
  });
});
