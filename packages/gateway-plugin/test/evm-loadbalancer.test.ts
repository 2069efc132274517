// What docs/evm-loadbalancer.md says of choosing a node, over probed nodes: each item by its id, and where that balancer failed.
import { describe, expect, test } from 'vitest';
import type { FakeNodeOptions } from '../../../test/kit/fake-node.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type FrontOptions, startFront, startNodes } from './front.ts';

const HEAD = 1000;

/** Asks for no block, not even the latest: such calls prefer a node that has it, whatever the tier says. */
const READ = 'web3_clientVersion';

const TIERS = {
  local: { tier: 'local' },
  monitoring: { tier: 'monitoring' },
  fallback: { tier: 'fallback' },
} as const;
const { local, monitoring, fallback } = TIERS;

type Upstreams = NonNullable<FrontOptions['upstreams']>;

/** Nodes `a`, `b`, `c` … whose head stands unless told; probed often, and patiently enough for a busy machine. */
async function startBench(
  upstreams: Upstreams,
  network: FrontOptions['network'] = {},
  scripts: readonly FakeNodeOptions[] = upstreams.map(() => ({})),
) {
  const nodes = await startNodes(...scripts.map((script) => ({ head: HEAD, ...script })));
  const probe = { interval: '100ms', timeout: '3s', attempts: 1 };
  const front = await startFront(nodes, { upstreams, network: { probe, ...network } });

  function node(id: string) {
    const found = nodes[id.charCodeAt(0) - 97];
    if (!found) throw new Error(`there is no node ${id}`);
    return found;
  }

  /** Who answers: so many reads, each of which must succeed. */
  async function served(count = 8): Promise<string> {
    const before = nodes.map((one) => one.hits(READ));
    for (let at = 0; at < count; at++) expect((await front.call(READ)).status).toBe(200);
    const asked = nodes.flatMap((one, at) => (one.hits(READ) > (before[at] ?? 0) ? [at] : []));
    return asked.map((at) => String.fromCharCode(97 + at)).join('');
  }

  /** Until the ranking says of each upstream how far behind it is; null where that is not known. */
  async function lags(...expected: readonly (number | null)[]): Promise<void> {
    const shown = () => upstreams.map((_, at) => front.upstream(String.fromCharCode(97 + at)).lagBlocks);
    await waitFor(() => JSON.stringify(shown()) === JSON.stringify(expected), {
      what: `lags of ${JSON.stringify(expected)}`,
    });
  }

  const headOf = () => front.app.rpcBalancer.status().networks.net?.head;
  return { front, node, served, lags, headOf };
}

describe('the tiers', () => {
  test('SQ-03: local nodes serve first, those that observe come next and fallbacks last, and each takes over by itself', async () => {
    const { front, node, served, lags } = await startBench([local, monitoring, fallback]);
    await lags(0, 0, 0);
    expect(await served()).toBe('a');
    await node('a').kill();
    await front.reason('a', 'unreachable');
    expect(await served()).toBe('b');
    await node('b').kill();
    await front.reason('b', 'unreachable');
    expect(await served()).toBe('c');
  });

  test('SQ-04: a node that observes raises the head of the network, and serves while no local one can', async () => {
    const { front, node, served, lags, headOf } = await startBench([local, monitoring, monitoring]);
    await lags(0, 0, 0);
    expect(await served()).toBe('a');
    for (const id of ['b', 'c']) node(id).head = HEAD + 20;
    await front.reason('a', 'lagging');
    expect(headOf()).toBe(HEAD + 20);
    expect(await served()).toBe('bc');
    node('a').head = HEAD + 20;
    await front.reason('a', null);
    expect(await served()).toBe('a');
  });

  test('SQ-10: in each tier a node serves at most maxLagBlocks behind the head of the network, not of its tier', async () => {
    const behind = [5, 6, 6, 0, 0, 0, 0];
    const upstreams = behind.map((_, at) => (at < 2 ? local : fallback));
    const scripts = behind.map((blocks) => ({ head: HEAD - blocks }));
    const { front, node, served, lags } = await startBench(upstreams, { maxLagBlocks: 5 }, scripts);
    await lags(...behind);
    expect(['a', 'b', 'c'].map((id) => front.upstream(id).reason)).toEqual([null, 'lagging', 'lagging']);
    expect(await served()).toBe('a');
    await node('a').kill();
    await front.reason('a', 'unreachable');
    expect(await served()).toBe('defg');
  });

  test('SQ-11: the local tier is left when it is more than fallbackLagBlocks behind, and taken back when it caught up', async () => {
    const upstreams = [local, fallback, fallback];
    const { node, served, lags } = await startBench(upstreams, { fallbackLagBlocks: 10 });
    const fallBehind = async (blocks: number) => {
      node('a').head = HEAD - blocks;
      await lags(blocks, 0, 0);
    };
    await lags(0, 0, 0);
    await fallBehind(10);
    expect(await served()).toBe('a');
    await fallBehind(11);
    expect(await served()).toBe('bc');
    await fallBehind(6);
    expect(await served()).toBe('bc');
    await fallBehind(5);
    expect(await served()).toBe('a');
  });

  test('SQ-12: fallbacks serve when no local node has ever answered, and when all of them stop, without a word of configuration', async () => {
    const { front, node, served } = await startBench([local, fallback], {}, [{ mode: 'reset' }, {}]);
    await front.reason('a', 'probe_failed');
    expect(await served()).toBe('b');
    node('a').mode = 'ok';
    await front.reason('a', null);
    expect(await served()).toBe('a');
    await node('a').kill();
    await front.reason('a', 'unreachable');
    expect(await served()).toBe('b');
  });

  test('SQ-26: a node that recovers serves again by itself', async () => {
    const { front, node, served, lags } = await startBench([local, fallback], { failTimeout: '1s' });
    await lags(0, 0);
    await node('a').kill();
    expect(await served()).toBe('b');
    await node('a').restart();
    await front.reason('a', null);
    expect(await served()).toBe('a');
  });

  test('nodes that only lag serve when nobody better can, however far they lag', async () => {
    const { front, node, served, lags } = await startBench([local, monitoring, monitoring], {
      fallbackLagBlocks: 10,
    });
    await lags(0, 0, 0);
    for (const id of ['b', 'c']) {
      node(id).head = HEAD + 20;
      node(id).mode = 'reads500';
    }
    await front.reason('a', 'lagging');
    expect(await served()).toMatch(/^a/);
    expect(await served()).toBe('a'); // By now the others are left alone.
  });
});

describe('what is believed of a node', () => {
  test('SQ-06: a node of another chain never serves, however high its head', async () => {
    const other = { chainId: 5, head: 10 * HEAD };
    const { front, served, lags, headOf } = await startBench([local, local, local], {}, [{}, {}, other]);
    await lags(0, 0, null);
    await front.reason('c', 'wrong_chain');
    expect(headOf()).toBe(HEAD);
    expect(await served()).toBe('ab');
  });

  test('SQ-07: a bogus head wins no traffic, pushes nobody behind, and leaves nothing when it is over', async () => {
    const bogus: FakeNodeOptions = { mode: 'lie', lieBy: 1_000_000 };
    const { front, node, served, lags, headOf } = await startBench([local, local, local], {}, [
      {},
      {},
      bogus,
    ]);
    await front.reason('c', 'suspect');
    await lags(0, 0, 0);
    expect(headOf()).toBe(HEAD);
    expect(await served()).toBe('ab');
    node('c').mode = 'ok';
    await front.reason('c', null);
    expect(await served()).toBe('abc');
  });

  test('a node that answers null is left, harms nobody, and is taken back', async () => {
    const { front, node, served, lags } = await startBench([local, local], {}, [{ mode: 'null' }, {}]);
    await front.reason('a', 'probe_failed');
    expect(await served()).toBe('b');
    node('a').mode = 'ok';
    await lags(0, 0);
    expect(await served()).toBe('ab');
  });
});

describe('the choice among equals', () => {
  const slow: FakeNodeOptions = { mode: 'late', lateMs: 60 };

  test.each([
    { prefer: ['head', 'latency'], ahead: 0, winner: 'b' },
    { prefer: ['head', 'latency'], ahead: 3, winner: 'a' },
    { prefer: ['latency', 'head'], ahead: 3, winner: 'b' },
  ] as const)(
    'SQ-09: the first of $prefer decides and the next only tells equals apart: slow and $ahead ahead, $winner wins',
    async ({ prefer, ahead, winner }) => {
      const upstreams = [local, local, monitoring];
      const heads = [HEAD + ahead, HEAD, HEAD + ahead];
      const scripts = heads.map((head, at) => ({ head, ...(at === 0 && slow) }));
      const network: FrontOptions['network'] = { strategy: 'single_best', prefer: [...prefer] };
      const { front, served, lags } = await startBench(upstreams, network, scripts);
      await lags(0, ahead, 0);
      const latencyOf = (id: string) => front.upstream(id).latencyP50Ms ?? 0;
      await waitFor(() => latencyOf('a') > 1.5 * latencyOf('b'), { what: 'the slow one to be seen as slow' });
      expect(await served()).toBe(winner);
    },
  );

  test.each([
    { strategy: 'single_best', winners: 'a' },
    { strategy: 'least_conn', winners: 'abc' },
  ] as const)(
    'SQ-14: $strategy gives the reads of equal nodes to $winners',
    async ({ strategy, winners }) => {
      const { served, lags } = await startBench([local, local, local], { strategy });
      await lags(0, 0, 0);
      expect(await served(12)).toBe(winners);
    },
  );

  test('a winner that dies is left with the read that finds it dead, also while the chain stands still', async () => {
    const { node, served, lags } = await startBench([local, local], { strategy: 'single_best' });
    await lags(0, 0);
    expect(await served()).toBe('a');
    await node('a').kill();
    expect(await served()).toBe('b');
  });
});

describe('when a node is chosen', () => {
  test('SQ-13: the first read is answered although no probe has come back yet', async () => {
    const answer: FakeNodeOptions['answer'] = ({ method }) => (method === READ ? undefined : { hang: true });
    const { served, headOf } = await startBench([local, local], {}, [{ answer }, { answer }]);
    expect(await served(2)).toBe('ab');
    expect(headOf()).toBeNull();
  });

  test('SQ-13: the first probes are enough to choose by, and a node that dies is left at once, without waiting for an interval', async () => {
    const { front, node, served } = await startBench([local, local, local], { probe: { interval: '1h' } }, [
      {},
      {},
      { head: HEAD - 20 },
    ]);
    await front.reason('c', 'lagging');
    expect(await served()).toBe('ab');
    await node('a').kill();
    expect(await served()).toBe('b');
  });
});
