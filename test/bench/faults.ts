// `pnpm bench:faults`: 200 reads a second, and after two seconds the node that has served most goes bad. Who loses answers, and how
// long does the slowest take? Then what clients are told of the head while a node's is wrong. Three replicas of ours over one Redis, then @fastify/http-proxy and, when on PATH, nginx.
import type { FakeNode, Mode } from '../kit/fake-node.ts';
import { type LoadReport, runLoad } from '../kit/load.ts';
import { startTrio } from '../system/cluster.ts';
import { askForHeads, type Honesty } from '../system/honest-heads.ts';
import { balanceAnswer, balanceCall, startChain, upstreamsOf } from '../system/upstreams.ts';
import { startHttpProxy, startNginxLeastConn } from './contenders.ts';

const RATE_PER_S = 200;
const WARM_UP_MS = 2000;
const GOOD_MS = 2000;
const TOTAL_MS = 10_000;
const CONNECTIONS = 256;
const MAX_FAILS = 3;
/** How long reports of failures are gathered before they are shared. */
const BATCH_MS = 10;

const NETWORK = 'net';

/** What ours is held to: the longest that any read may take, in ms. */
const FAULTS: readonly { readonly fault: Mode | 'killed'; readonly boundMs: number }[] = [
  { fault: 'killed', boundMs: 50 },
  { fault: 'hang', boundMs: 2500 },
  { fault: 'late', boundMs: 3000 },
  { fault: 'http500', boundMs: 50 },
  { fault: 'http429', boundMs: 50 },
  { fault: 'reset', boundMs: 50 },
  { fault: 'cut', boundMs: 100 },
  { fault: 'html', boundMs: 50 },
  { fault: 'reads500', boundMs: 50 },
];

/** What is wrong with the head or the chain of a node. */
const HEAD_FAULTS = ['frozen', 'lie', 'chain'] as const;
type HeadFault = (typeof HEAD_FAULTS)[number];
const HEAD_PAIRS = 500;

interface Front {
  readonly name: string;
  readonly nodes: readonly FakeNode[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

/** Each runs alone, so that none pays for what another does. Null: it is not on this machine. */
const CONTENDERS: readonly (() => Promise<Front | null>)[] = [ours, httpProxy, nginx];

interface Outcome {
  readonly lost: number;
  readonly worstMs: number;
  /** Reads that the bad node was sent after it had gone bad. */
  readonly wasted: number;
  /** Reads that it had when it went bad; of one that hangs, the most that it held. */
  readonly inFlight: number;
}

async function ours(): Promise<Front> {
  const nodes = await startChain({}, {}, {});
  const trio = await startTrio({ [NETWORK]: { maxFails: MAX_FAILS, upstreams: upstreamsOf(nodes) } });
  await trio.wellEverywhere();
  const urls = trio.gateways.map(({ url }) => `${url}/${NETWORK}`);
  return { name: 'rpc-balancer', nodes, urls, stop: () => trio.stop() };
}

async function httpProxy(): Promise<Front> {
  const nodes = await startChain({}, {}, {});
  const { name, url, stop } = await startHttpProxy(nodes.map((node) => node.url));
  return { name, nodes, urls: [url], stop };
}

async function nginx(): Promise<Front | null> {
  const nodes = await startChain({}, {}, {});
  const started = await startNginxLeastConn(nodes.map(({ port }) => port));
  if (started) return { name: started.name, nodes, urls: [started.url], stop: started.stop };
  await stopAll(nodes);
  return null;
}

async function stopAll(nodes: readonly FakeNode[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.stop()));
}

function load(url: string, urls: readonly string[], durationMs: number, onCall: (index: number) => void) {
  return runLoad({
    url,
    ratePerS: RATE_PER_S / urls.length,
    durationMs,
    maxConnections: Math.floor(CONNECTIONS / urls.length),
    timeoutMs: 20_000,
    makeCall(index) {
      onCall(index);
      return { body: balanceCall(index) };
    },
    check: ({ text }, index) => text === balanceAnswer(index),
  });
}

async function underFault({ nodes, urls }: Front, fault: Mode | 'killed'): Promise<Outcome> {
  // A process is slow at first, whatever becomes of its nodes.
  await Promise.all(urls.map((url) => load(url, urls, WARM_UP_MS, () => {})));
  let bad: FakeNode | undefined;
  let before = 0;
  let inFlight = 0;
  const turn = Math.round((RATE_PER_S * GOOD_MS) / 1000 / urls.length);
  function goBad(): void {
    bad = nodes.toSorted((a, b) => b.reads - a.reads)[0];
    if (!bad) return;
    before = bad.reads;
    inFlight = bad.inFlight;
    if (fault === 'killed') void bad.kill();
    else bad.mode = fault;
  }
  const reports = await Promise.all(
    urls.map((url, at) =>
      load(url, urls, TOTAL_MS, (index) => {
        if (at === 0 && index === turn) goBad();
        // Of a node that does not answer, what comes until it is left is in flight as well.
        if (fault === 'hang' || fault === 'late') inFlight = Math.max(inFlight, bad?.inFlight ?? 0);
      }),
    ),
  );
  const sum = (of: (report: LoadReport) => number) => reports.reduce((total, one) => total + of(one), 0);
  return {
    lost: sum(({ failed, wrong }) => failed + wrong),
    worstMs: Math.max(...reports.map(({ worstMs }) => worstMs)),
    wasted: (bad?.reads ?? 0) - before,
    inFlight,
  };
}

async function run(start: () => Promise<Front | null>, fault: Mode | 'killed') {
  const front = await start();
  if (!front) return null;
  try {
    return { name: front.name, ...(await underFault(front, fault)) };
  } finally {
    await front.stop();
    await stopAll(front.nodes);
  }
}

/** As many heads, each followed by its block, at four blocks a second; the first node goes bad. */
async function headsOf(start: () => Promise<Front | null>, fault: HeadFault) {
  const front = await start();
  if (!front) return null;
  const { name, urls, nodes } = front;
  const [bad] = nodes;
  const goesBad = setTimeout(() => {
    if (bad && fault === 'chain') bad.chainId = 5;
    else if (bad && fault !== 'chain') bad.mode = fault;
  }, GOOD_MS);
  try {
    const honesty = await askForHeads({ urls, nodes, pairs: HEAD_PAIRS, durationMs: TOTAL_MS });
    return { name, ...honesty };
  } finally {
    clearTimeout(goesBad);
    await front.stop();
    await stopAll(nodes);
  }
}

function shownHeads({ stale, lying, missing, foreignAt, failed }: Honesty): string {
  const foreign = foreignAt.length > 0 ? `, ${foreignAt.length} of another chain` : '';
  return `${stale + lying} + ${missing}${foreign}${failed.length > 0 ? `, failed: ${failed[0]}` : ''}`;
}

async function compareHeads(): Promise<number> {
  process.stdout.write(
    `Of ${HEAD_PAIRS} heads, each followed by its block: heads more than 5 s old or lying + blocks that were missing.\n`,
  );
  let missed = 0;
  for (const fault of HEAD_FAULTS) {
    const cells: string[] = [];
    for (const start of CONTENDERS) {
      const outcome = await headsOf(start, fault);
      if (!outcome) continue;
      cells.push(`${outcome.name} ${shownHeads(outcome)}`.padEnd(52));
      const { stale, lying, missing, failed } = outcome;
      if (start === ours && stale + lying + missing + failed.length > 0) missed++;
    }
    process.stdout.write(`${fault.padEnd(10)}${cells.join('')}\n`);
  }
  return missed;
}

const shown = ({ lost, worstMs }: Outcome): string =>
  `${lost} / ${worstMs < 1000 ? `${worstMs.toFixed(0)} ms` : `${(worstMs / 1000).toFixed(1)} s`}`;

async function main(): Promise<void> {
  process.stdout.write(
    `Failed or wrong answers of ${(RATE_PER_S * TOTAL_MS) / 1000}, and the longest wait; ours: three replicas, and attempts wasted on the bad node.\n`,
  );
  let missed = 0;
  for (const { fault, boundMs } of FAULTS) {
    const cells: string[] = [];
    let verdict = '';
    for (const start of CONTENDERS) {
      const outcome = await run(start, fault);
      if (!outcome) continue;
      cells.push(`${outcome.name} ${shown(outcome)}`.padEnd(34));
      if (start !== ours) continue;
      const { lost, wasted, inFlight, worstMs } = outcome;
      const wastedMax = MAX_FAILS + inFlight + Math.ceil((RATE_PER_S * BATCH_MS) / 1000) + 1;
      // An answer that comes late is not wasted.
      if (lost > 0 || (fault !== 'late' && wasted > wastedMax)) missed++;
      verdict = `wasted ${wasted} (at most ${wastedMax}); wait of ${boundMs} ms ${worstMs <= boundMs ? 'held' : 'exceeded'}`;
    }
    process.stdout.write(`${fault.padEnd(10)}${cells.join('')}${verdict}\n`);
  }
  missed += await compareHeads();
  if (missed > 0) process.exitCode = 1;
}

await main();
