import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FakeNode, Mode } from '../kit/fake-node.ts';
import { type LoadReport, runLoad } from '../kit/load.ts';
import type { Program } from '../kit/program.ts';
import { type Cluster, LONG, type Networks, QUICK_PROBE, startEmbedded, startTrio } from './cluster.ts';
import { balanceAnswer, balanceCall, idOf, readThrough, startChain, upstreamsOf } from './upstreams.ts';

const RATE_PER_S = 200;
const WARM_MS = 2000;
const BAD_MS = LONG ? 8000 : 3000;
/** Over all replicas. */
const CONNECTIONS_MAX = 256;

const MAX_FAILS = 3;

/** Fast faults cost one more attempt; this is far from any timeout of ours, and all that a busy machine may add. */
const SLACK_MS = 2000;

/**
 * A hanging node costs the reads that it holds this much each. Short here, so that the run is short; what bounds it
 * with the default read timeout is `silence`.
 */
const HANG_READ_TIMEOUT_MS = 1000;
const LATE_MS = 3000;

interface Row {
  readonly fault: Mode | 'killed';
  readonly network?: Partial<Networks[string]>;
  /** What a read may take that had gone to the bad node. */
  readonly costMs?: number;
}

const ROWS: readonly Row[] = [
  { fault: 'killed' },
  { fault: 'hang', network: { readTimeout: HANG_READ_TIMEOUT_MS }, costMs: HANG_READ_TIMEOUT_MS },
  { fault: 'late', costMs: LATE_MS },
  { fault: 'http500' },
  { fault: 'http429' },
  { fault: 'reset' },
  { fault: 'cut' },
  { fault: 'html' },
  { fault: 'reads500' },
];

/** Faults of the head or the identity, which only probes can see. */
const PROBED_ROWS = [
  { what: 'a frozen head', network: 'frozen', reasons: ['stalled', 'lagging'] },
  { what: 'a head a million too high', network: 'lie', reasons: ['suspect'] },
  { what: 'another chain', network: 'chain', reasons: ['wrong_chain'] },
] as const;

const MODES = [
  { mode: 'one gateway without Redis', start: startEmbedded },
  { mode: 'three replicas over Redis', start: startTrio },
];

/** The nodes of each network, and how many requests each has had at once. */
interface Stage {
  readonly nodes: ReadonlyMap<string, readonly FakeNode[]>;
  readonly peaks: ReadonlyMap<FakeNode, () => number>;
}

async function startStage(): Promise<Stage> {
  const names = [...ROWS.map(({ fault }) => fault), ...PROBED_ROWS.map(({ network }) => network)];
  const started = await Promise.all(names.map(async (name) => [name, await startChain({}, {}, {})] as const));
  const nodes = new Map<string, readonly FakeNode[]>(started);
  const peaks = new Map([...nodes.values()].flat().map((node) => [node, watchPeak(node)]));
  return { nodes, peaks };
}

/** The most requests that a node had in flight when one more arrived. */
function watchPeak(node: FakeNode): () => number {
  const record = node.record.bind(node);
  let peak = 0;
  node.record = (...facts) => {
    peak = Math.max(peak, node.inFlight);
    record(...facts);
  };
  return () => peak;
}

function networksOf({ nodes }: Stage): Networks {
  const rows = ROWS.map(({ fault, network }) => [
    fault,
    { maxFails: MAX_FAILS, ...network, upstreams: upstreamsOf(nodes.get(fault) ?? []) },
  ]);
  const probed = PROBED_ROWS.map(({ network }) => [
    network,
    { probe: QUICK_PROBE, upstreams: upstreamsOf(nodes.get(network) ?? []) },
  ]);
  return Object.fromEntries([...rows, ...probed]);
}

/** Attempts of a replica on an upstream that brought no answer. */
async function wastedOf(replica: Program, network: string, upstream: string): Promise<number> {
  const lines = (await replica.metrics()).split('\n').filter((line) => {
    return (
      line.startsWith('rpc_balancer_attempts_total{') &&
      line.includes(`network="${network}"`) &&
      line.includes(`upstream="${upstream}"`) &&
      !line.includes('outcome="answered"')
    );
  });
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Reads at a steady rate, spread over the replicas; `onTurn` comes when the warm part is over. */
function readUnderLoad(
  replicas: readonly Program[],
  network: string,
  onTurn: () => void,
): Promise<LoadReport[]> {
  const ratePerS = RATE_PER_S / replicas.length;
  const turn = Math.round((ratePerS * WARM_MS) / 1000);
  return Promise.all(
    replicas.map(({ url }, at) =>
      runLoad({
        url: `${url}/${network}`,
        ratePerS,
        durationMs: WARM_MS + BAD_MS,
        maxConnections: Math.floor(CONNECTIONS_MAX / replicas.length),
        makeCall(index) {
          if (at === 0 && index === turn) onTurn();
          return { body: balanceCall(index) };
        },
        check: ({ text }, index) => text === balanceAnswer(index),
      }),
    ),
  );
}

describe.each(MODES)('$mode', ({ start }) => {
  let stage: Stage | undefined;
  let cluster: Cluster | undefined;

  beforeAll(async () => {
    stage = await startStage();
    cluster = await start(networksOf(stage));
    await cluster.wellEverywhere();
  });

  afterAll(async () => {
    await cluster?.stop();
    await Promise.all([...(stage?.nodes.values() ?? [])].flat().map((node) => node.stop()));
  });

  function stageOf(network: string) {
    const nodes = stage?.nodes.get(network);
    if (!stage || !cluster || !nodes) throw new Error('nothing was started');
    return { nodes, cluster, peakOf: (node: FakeNode) => stage?.peaks.get(node)?.() ?? 0 };
  }

  test.each(ROWS)('answers every read rightly while the busiest node goes bad by $fault', async (row) => {
    const { fault, costMs = 0 } = row;
    const { nodes, cluster, peakOf } = stageOf(fault);
    const { gateways } = cluster;
    let bad: FakeNode | undefined;

    const reports = await readUnderLoad(gateways, fault, () => {
      bad = nodes.toSorted((a, b) => b.reads - a.reads)[0];
      if (!bad) return;
      bad.lateMs = LATE_MS;
      if (fault === 'killed') void bad.kill();
      else bad.mode = fault;
    });

    expect(reports.flatMap(({ notes }) => notes)).toEqual([]);
    for (const { failed, wrong, worstMs } of reports) {
      expect({ failed, wrong }).toEqual({ failed: 0, wrong: 0 });
      expect(worstMs).toBeLessThan(costMs + SLACK_MS);
    }
    const [at, peak] = bad ? [nodes.indexOf(bad), peakOf(bad)] : [-1, 0];
    const wasted = await Promise.all(gateways.map((replica) => wastedOf(replica, fault, idOf(at))));
    for (const count of wasted) expect(count).toBeLessThanOrEqual(MAX_FAILS + peak);
    // A late answer is an answer. All else must have met the fault, or the test has shown nothing.
    if (fault !== 'late') expect(Math.max(...wasted)).toBeGreaterThan(0);
  });

  test.each(PROBED_ROWS)('leaves a node with $what and says why', async ({ network, reasons }) => {
    const { nodes, cluster } = stageOf(network);
    const [bad] = nodes;
    if (!bad) throw new Error('there is no node');
    if (network === 'chain') bad.chainId = 5;
    else bad.mode = network;
    await cluster.reason(network, 'a', ...reasons);
    const before = bad.reads;
    expect(await readThrough(cluster.gateways, network, 30)).toEqual([]);
    expect(bad.reads - before).toBe(0);
    await cluster.reason(network, 'b', null);
    await cluster.reason(network, 'c', null);
  });
});
