// Nodes at different heights behind a real gateway: the head that clients see.
import { describe, expect, test } from 'vitest';
import type { FakeNode, FakeNodeOptions } from '../../../test/kit/fake-node.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Front, type FrontOptions, startFront, startNodes } from './front.ts';

const HEAD = 1000;
const hex = (height: number) => `0x${height.toString(16)}`;

interface Bench {
  readonly front: Front;
  readonly nodes: readonly FakeNode[];
}

/** Probed nodes `a`, `b`, `c` …; resolves when there is a ranking that knows all of them. */
async function startBench(scripts: readonly FakeNodeOptions[], options: FrontOptions = {}): Promise<Bench> {
  const nodes = await startNodes(...scripts);
  const network = { probe: { interval: '100ms' }, ...options.network };
  const front = await startFront(nodes, { ...options, network });
  const known = () => nodes.every((_, at) => front.upstream(String.fromCharCode(97 + at)).head !== null);
  await waitFor(known, { what: 'the gateway to know the heads' });
  return { front, nodes };
}

async function headOf(front: Front): Promise<number> {
  return Number((await front.call('eth_blockNumber')).json.result);
}

async function latestOf(front: Front): Promise<number> {
  return Number((await front.call('eth_getBlockByNumber', ['latest', false])).json.result.number);
}

async function regressions(front: Front): Promise<number> {
  const { text } = await front.send('/ops/metrics', null, { verb: 'GET' });
  return Number(/^rpc_balancer_head_regressions_total\{network="net"\} (\d+)$/m.exec(text)?.[1]);
}

const OPS = { plugin: { ops: '/ops' } } as const;

describe('incident 8: the head', () => {
  test.each<[string, FrontOptions['network']]>([
    ['probed nodes', {}],
    ['nodes without probes', { probe: 'off' }],
  ])('of disagreeing %s does not go back over 500 calls', async (_, network) => {
    const headAt = Date.now();
    const scripts = [0, 30, 75].map((late) => ({ head: HEAD, blockTimeMs: 40, headAt: headAt + late }));
    const nodes = await startNodes(...scripts);
    const front = await startFront(nodes, { network: { probe: { interval: '100ms' }, ...network } });
    const seen: number[] = [];
    for (let at = 0; at < 250; at++) seen.push(await headOf(front), await latestOf(front));
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBeGreaterThan(seen[0] ?? 0);
    for (const node of nodes) expect(node.hits('eth_blockNumber')).toBeGreaterThan(20);
  });

  test('is one whose block can be read at once, also after a node has frozen', async () => {
    const headAt = Date.now();
    const scripts = [0, 30, 75].map((late) => ({ head: HEAD, blockTimeMs: 50, headAt: headAt + late }));
    const { front, nodes } = await startBench(scripts);
    const [frozen] = nodes as [FakeNode];
    const seen: number[] = [];
    for (let at = 0; at < 300; at++) {
      if (at === 50) frozen.mode = 'frozen';
      const head = await headOf(front);
      const { json } = await front.call('eth_getBlockByNumber', [hex(head), false]);
      expect(json.result?.number).toBe(hex(head));
      seen.push(head);
    }
    expect(seen.at(-1)).toBeGreaterThan(frozen.head);
  });

  test('does not go back within a batch or in large blocks by latest', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD - 1 }, { head: HEAD }], {
      gateway: { holdAnswer: 1024 },
    });
    const [, late] = nodes as [FakeNode, FakeNode];
    const batch = [0, 1].map((id) => ({ jsonrpc: '2.0', id, method: 'eth_blockNumber', params: [] }));
    for (let at = 0; at < 6; at++) {
      expect(await latestOf(front)).toBe(HEAD);
      const { json } = await front.send('/net', JSON.stringify(batch));
      expect(json.map(({ result }: { result: string }) => result)).toEqual([hex(HEAD), hex(HEAD)]);
    }
    expect(late.reads).toBe(0);
    expect(front.upstream('b')).toMatchObject({ reason: null, fails: 0 });
  });

  test('of a large block that was given up for a better one is not answered in part', async () => {
    const { front, nodes } = await startBench([{ head: HEAD - 1 }, { head: HEAD }], {
      gateway: { holdAnswer: 1024 },
      network: { probe: { interval: '1h' } },
    });
    const [late, broken] = nodes as [FakeNode, FakeNode];
    await waitFor(async () => (await latestOf(front)) === HEAD, { what: 'the mark' });
    late.clear();
    broken.mode = 'http500';
    const { json } = await front.call('eth_getBlockByNumber', ['latest', false]);
    expect(json.error.data.code).toBe('RPCB_ATTEMPTS_FAILED');
    expect(late.hits()).toBe(1);
  });

  test('is not that of a pending block, which is not there yet', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD }], OPS);
    for (const node of nodes)
      node.answer = ({ params }) =>
        (params as unknown[] | null)?.[0] === 'pending' ? { result: { number: hex(HEAD + 1) } } : undefined;
    expect((await front.call('eth_getBlockByNumber', ['pending', false])).json.result.number).toBe(
      hex(HEAD + 1),
    );
    expect(await headOf(front)).toBe(HEAD);
    expect(await regressions(front)).toBe(0);
  });

  test('of other reads by latest is where the mark is', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD - 1 }, { head: HEAD }]);
    for (let at = 0; at < 12; at++) await front.call('eth_call', [{ to: '0xaa' }, 'latest']);
    for (let at = 0; at < 12; at++) await front.call('eth_gasPrice');
    expect(nodes.map((node) => node.hits('eth_call'))).toEqual([6, 0, 6]);
    expect(nodes.map((node) => node.hits('eth_gasPrice'))).toEqual([6, 0, 6]);
  });

  test('leaves the tier for an answer that would go back, but not for other reads by latest', async () => {
    const tiers = ['local', 'monitoring', 'monitoring'] as const;
    const { front, nodes } = await startBench([{ head: HEAD - 1 }, { head: HEAD }, { head: HEAD }], {
      upstreams: tiers.map((tier) => ({ tier })),
    });
    expect(await headOf(front)).toBe(HEAD);
    for (let at = 0; at < 4; at++) await front.call('eth_call', [{ to: '0xaa' }, 'latest']);
    expect(nodes.map((node) => node.hits('eth_call'))).toEqual([4, 0, 0]);
  });

  test('that one node claims to be a million ahead is not believed', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD }, { head: HEAD }], {
      network: { probe: { interval: '1h' } },
    });
    const [liar] = nodes as [FakeNode];
    liar.mode = 'lie';
    for (let at = 0; at < 9; at++) expect([await headOf(front), await latestOf(front)]).toEqual([HEAD, HEAD]);
  });

  test('may go back when that is switched off', async () => {
    const { front } = await startBench([{ head: HEAD }, { head: HEAD - 1 }], {
      network: { monotonicHead: 'off' },
    });
    const seen = new Set<number>();
    for (let at = 0; at < 4; at++) seen.add(await headOf(front));
    expect([...seen].toSorted()).toEqual([HEAD, HEAD - 1].toSorted());
  });
});

describe('a head that fell everywhere', () => {
  test('is let through and counted, the highest that is left', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD }, { head: HEAD }], OPS);
    expect(await headOf(front)).toBe(HEAD);
    expect(await regressions(front)).toBe(0);
    nodes.forEach((node, at) => {
      node.head = HEAD - 2 - at;
    });
    expect(await headOf(front)).toBe(HEAD - 2);
    expect(await regressions(front)).toBe(1);
  });

  test('by more than upstreams may lag is followed once the probes confirm it', async () => {
    const { front, nodes } = await startBench([{ head: HEAD }, { head: HEAD }, { head: HEAD }], {
      ...OPS,
      network: { probe: { interval: '100ms', timeout: '100ms' }, maxLagBlocks: 5 },
    });
    for (const node of nodes) {
      node.fork = 'reorganised';
      node.head = HEAD - 50;
    }
    await waitFor(async () => (await regressions(front)) > 0, { what: 'the fall to be confirmed' });
    for (const node of nodes) node.clear();
    for (let at = 0; at < 6; at++) expect(await headOf(front)).toBe(HEAD - 50);
    await front.call('eth_call', [{ to: '0xaa' }, 'latest']);
    expect(await regressions(front)).toBe(1);
  });
});
