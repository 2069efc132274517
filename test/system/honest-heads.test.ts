// The rows of the fault table that concern the head, at four blocks a second over three replicas, with the default probe.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FakeNode } from '../kit/fake-node.ts';
import { agreed, type Networks, startTrio, type Trio, upstreamIn } from './cluster.ts';
import { askForHeads } from './honest-heads.ts';
import { startChain, upstreamsOf } from './upstreams.ts';

const PAIRS = 500;
const DURATION_MS = 16_000;
const GOOD_MS = 2000;

/** So that a halt of the nodes, which all run in this process, is not taken for their silence. */
const SILENCE = '5s';

const ROWS = ['frozen', 'lie', 'chain'] as const;
type Row = (typeof ROWS)[number] | 'stall';

const REASONS = { frozen: ['stalled', 'lagging'], lie: ['suspect'], chain: ['wrong_chain'] } as const;

function goBad(row: Row, nodes: readonly FakeNode[]): void {
  const [bad] = nodes;
  if (row === 'stall') for (const node of nodes) node.mode = 'frozen';
  else if (bad && row === 'chain') bad.chainId = 5;
  else if (bad && row !== 'chain') bad.mode = row;
}

describe.each([
  ['polled', 'off'],
  ['pushed', 'heads'],
] as const)('of 500 heads that are %s, while one of three nodes goes bad,', (_, pushMode) => {
  const stage = new Map<Row, readonly FakeNode[]>();
  let started: Trio | undefined;

  beforeAll(async () => {
    const script = { pushMode };
    for (const row of [...ROWS, 'stall'] as const) stage.set(row, await startChain(script, script, script));
    const networks: Networks = Object.fromEntries(
      [...stage].map(([row, nodes]) => [row, { silence: SILENCE, upstreams: upstreamsOf(nodes) }]),
    );
    started = await startTrio(networks, { sidecars: ['node'] });
    await started.wellEverywhere();
  });

  afterAll(async () => {
    await started?.stop();
    await Promise.all([...stage.values()].flat().map((node) => node.stop()));
  });

  test('none is stale or lies, none of their blocks is missing, and another chain is left with the next probe', async () => {
    const { gateways, reason, networks } = started ?? {};
    if (!gateways || !reason || !networks) throw new Error('nothing was started');
    const foreign = stage.get('chain')?.[0];
    const probes = () => foreign?.hits('eth_chainId') ?? 0;
    const left = { at: Number.NaN, probes: Number.NaN };
    const badSoon = setTimeout(() => {
      const before = probes();
      for (const [row, nodes] of stage) goBad(row, nodes);
      leaving = reason('chain', 'a', ...REASONS.chain).then(() => {
        left.at = performance.now();
        left.probes = probes() - before;
      });
    }, GOOD_MS);
    let leaving = Promise.resolve();
    const outcomes = await Promise.all(
      ROWS.map(async (row) => {
        const urls = gateways.map(({ url }) => `${url}/${row}`);
        const nodes = stage.get(row) ?? [];
        return [row, await askForHeads({ urls, nodes, pairs: PAIRS, durationMs: DURATION_MS })] as const;
      }),
    );
    clearTimeout(badSoon);
    await leaving;
    for (const [row, { foreignAt, ...honesty }] of outcomes) {
      expect(honesty, row).toEqual({ stale: 0, lying: 0, missing: 0, failed: [] });
      const foreignLater = foreignAt.filter((at) => row !== 'chain' || at > left.at);
      expect(foreignLater, row).toEqual([]);
    }
    // The probe that was under way may have asked before, and the next but one may begin before all have heard of the next.
    expect(left.probes).toBeLessThanOrEqual(3);
    for (const row of ROWS) {
      await reason(row, 'a', ...REASONS[row]);
      for (const id of ['b', 'c']) await reason(row, id, null); // Incidents 1 to 3: nobody else is left.
    }
  });

  test('incident 4: a chain that stands still everywhere is said by every replica, and served on', async () => {
    const { gateways, networks } = started ?? {};
    if (!gateways || !networks) throw new Error('nothing was started');
    const nodes = stage.get('stall') ?? [];
    await agreed('the stall to be told', async () => {
      for (const { stalledSince } of await networks('stall')) expect(stalledSince).not.toBeNull();
    });
    for (const status of await networks('stall')) {
      for (const id of ['a', 'b', 'c'])
        expect(upstreamIn(status, id)).toMatchObject({ reason: null, lagBlocks: 0 });
    }
    for (const gateway of gateways) {
      const response = await fetch(`${gateway.url}/ready/stall`);
      expect([response.status, await response.text()]).toEqual([
        200,
        expect.stringContaining('head_stalled'),
      ]);
    }
    for (const node of nodes) node.mode = 'ok';
    await agreed('the stall to end', async () => {
      for (const { stalledSince } of await networks('stall')) expect(stalledSince).toBeNull();
    });
  });
});
