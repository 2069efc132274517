import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FakeNode, Mode } from '../kit/fake-node.ts';
import { type LoadReport, runLoad } from '../kit/load.ts';
import type { Program } from '../kit/program.ts';
import { type Cluster, LONG, type Networks, PATIENT_PROBE, startEmbedded, startTrio } from './cluster.ts';
import { balanceAnswer, balanceCall, idOf, readThrough, startChain, upstreamsOf } from './upstreams.ts';

const RATE_PER_S = 200;
const WARM_MS = 2000;
const BAD_MS = LONG ? 8000 : 3000;
/** Over all replicas. */
const CONNECTIONS_MAX = 256;

const MAX_FAILS = 3;
/** What comes in while failures are gathered before they are shared, which is 10 ms. */
const READS_PER_BATCH = (RATE_PER_S * 10) / 1000;
/** A read that waits for its timeout, and not only for `silence`, is given up by the client before, and so has failed. */
const CLIENT_TIMEOUT_MS = 30_000;
const TIMEOUTS = { readTimeout: '2m', deadline: '5m' } as const;

const LATE_MS = 3000;

interface Row {
  readonly fault: Mode | 'killed';
}

const ROWS: readonly Row[] = [
  { fault: 'killed' },
  { fault: 'hang' },
  { fault: 'late' },
  { fault: 'http500' },
  { fault: 'http429' },
  { fault: 'reset' },
  { fault: 'cut' },
  { fault: 'html' },
  { fault: 'reads500' },
];

/** Faults of the head or the identity, which only probes can see. */
const PROBED_ROWS = [
  { what: 'a frozen head (incident 1)', network: 'frozen', reasons: ['stalled', 'lagging'] },
  { what: 'a head a million too high (incident 2)', network: 'lie', reasons: ['suspect'] },
  { what: 'another chain', network: 'chain', reasons: ['wrong_chain'] },
] as const;

const MODES = [
  { mode: 'one gateway without Redis', start: startEmbedded },
  { mode: 'three replicas over Redis', start: startTrio },
];

type Stage = ReadonlyMap<string, readonly FakeNode[]>;

/** Nodes of its own for each network. */
async function startStage(): Promise<Stage> {
  const names = [...ROWS.map(({ fault }) => fault), ...PROBED_ROWS.map(({ network }) => network)];
  return new Map(await Promise.all(names.map(async (name) => [name, await startChain({}, {}, {})] as const)));
}

function networksOf(stage: Stage): Networks {
  const rows = ROWS.map(({ fault }) => [
    fault,
    { maxFails: MAX_FAILS, ...TIMEOUTS, upstreams: upstreamsOf(stage.get(fault) ?? []) },
  ]);
  const probed = PROBED_ROWS.map(({ network }) => [
    network,
    { probe: PATIENT_PROBE, upstreams: upstreamsOf(stage.get(network) ?? []) },
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

interface Run {
  readonly report: LoadReport;
  /** The most reads that this replica had at once, and so an upper bound of its attempts in flight on any node. */
  readonly peak: number;
}

/** Reads at a steady rate, spread over the replicas; `onTurn` comes when the warm part is over. */
function readUnderLoad(replicas: readonly Program[], network: string, onTurn: () => void): Promise<Run[]> {
  const ratePerS = RATE_PER_S / replicas.length;
  const turn = Math.round((ratePerS * WARM_MS) / 1000);
  return Promise.all(
    replicas.map(async ({ url }, at) => {
      let inFlight = 0;
      let peak = 0;
      const report = await runLoad({
        url: `${url}/${network}`,
        ratePerS,
        durationMs: WARM_MS + BAD_MS,
        maxConnections: Math.floor(CONNECTIONS_MAX / replicas.length),
        timeoutMs: CLIENT_TIMEOUT_MS,
        makeCall(index) {
          peak = Math.max(peak, ++inFlight);
          if (at === 0 && index === turn) onTurn();
          return { body: balanceCall(index) };
        },
        check({ text }, index) {
          inFlight--;
          return text === balanceAnswer(index);
        },
      });
      return { report, peak };
    }),
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
    await Promise.all([...(stage?.values() ?? [])].flat().map((node) => node.stop()));
  });

  function stageOf(network: string) {
    const nodes = stage?.get(network);
    if (!cluster || !nodes) throw new Error('nothing was started');
    return { nodes, cluster };
  }

  test.each(ROWS)(
    'answers every read rightly while the busiest node goes bad by $fault',
    async ({ fault }) => {
      const { nodes, cluster } = stageOf(fault);
      const { gateways } = cluster;
      let bad: FakeNode | undefined;

      const runs = await readUnderLoad(gateways, fault, () => {
        bad = nodes.toSorted((a, b) => b.reads - a.reads)[0];
        if (!bad) return;
        bad.lateMs = LATE_MS;
        if (fault === 'killed') void bad.kill();
        else bad.mode = fault;
      });

      for (const { report } of runs) expect(report).toMatchObject({ failed: 0, wrong: 0, notes: [] });
      const id = idOf(bad ? nodes.indexOf(bad) : -1);
      const wasted = await Promise.all(gateways.map((replica) => wastedOf(replica, fault, id)));
      const peak = runs.reduce((sum, run) => sum + run.peak, 0);
      const sum = wasted.reduce((total, own) => total + own, 0);
      expect(sum).toBeLessThanOrEqual(MAX_FAILS + peak + READS_PER_BATCH + 1);
      // A late answer is an answer. All else must have met the fault, or the test has shown nothing.
      if (fault !== 'late') expect(Math.max(...wasted)).toBeGreaterThan(0);
    },
  );

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
