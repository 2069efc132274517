// `pnpm bench:faults`: 200 reads a second, and after two seconds the node that has served most goes bad. Who loses answers, and how
// long does the slowest take? Three replicas of ours over one Redis beside @fastify/http-proxy and, when on PATH, nginx.
import type { FakeNode, Mode } from '../kit/fake-node.ts';
import { type LoadReport, runLoad } from '../kit/load.ts';
import { startTrio } from '../system/cluster.ts';
import { balanceAnswer, balanceCall, startChain, upstreamsOf } from '../system/upstreams.ts';
import { startHttpProxy, startNginxLeastConn } from './contenders.ts';

const RATE_PER_S = 200;
const WARM_MS = 2000;
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

interface Front {
  readonly name: string;
  readonly nodes: readonly FakeNode[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

interface Outcome {
  readonly lost: number;
  readonly worstMs: number;
  /** Reads that the bad node was sent after it had gone bad. */
  readonly wasted: number;
  readonly peakInFlight: number;
}

async function ours(): Promise<Front> {
  const nodes = await startChain({}, {}, {});
  const trio = await startTrio({ [NETWORK]: { maxFails: MAX_FAILS, upstreams: upstreamsOf(nodes) } });
  await trio.wellEverywhere();
  return {
    name: 'rpc-balancer',
    nodes,
    urls: trio.gateways.map(({ url }) => `${url}/${NETWORK}`),
    stop: () => trio.stop(),
  };
}

async function others(): Promise<Front[]> {
  const [forProxy, forNginx] = await Promise.all([startChain({}, {}, {}), startChain({}, {}, {})]);
  const proxy = await startHttpProxy(forProxy.map(({ url }) => url));
  const nginx = await startNginxLeastConn(forNginx.map(({ port }) => port));
  if (!nginx) await Promise.all(forNginx.map((node) => node.stop()));
  const fronts = [{ ...proxy, nodes: forProxy }, ...(nginx ? [{ ...nginx, nodes: forNginx }] : [])];
  return fronts.map(({ name, nodes, url, stop }) => ({ name, nodes, urls: [url], stop }));
}

async function underFault({ nodes, urls }: Front, fault: Mode | 'killed'): Promise<Outcome> {
  let bad: FakeNode | undefined;
  let before = 0;
  let peakInFlight = 0;
  const turn = Math.round((RATE_PER_S * WARM_MS) / 1000 / urls.length);
  const reports = await Promise.all(
    urls.map((url, at) =>
      runLoad({
        url,
        ratePerS: RATE_PER_S / urls.length,
        durationMs: TOTAL_MS,
        maxConnections: Math.floor(CONNECTIONS / urls.length),
        timeoutMs: 20_000,
        makeCall(index) {
          if (bad) peakInFlight = Math.max(peakInFlight, bad.inFlight);
          if (at === 0 && index === turn) {
            bad = nodes.toSorted((a, b) => b.reads - a.reads)[0];
            before = bad?.reads ?? 0;
            if (fault === 'killed') void bad?.kill();
            else if (bad) bad.mode = fault;
          }
          return { body: balanceCall(index) };
        },
        check: ({ text }, index) => text === balanceAnswer(index),
      }),
    ),
  );
  const sum = (of: (report: LoadReport) => number) => reports.reduce((total, one) => total + of(one), 0);
  return {
    lost: sum(({ failed, wrong }) => failed + wrong),
    worstMs: Math.max(...reports.map(({ worstMs }) => worstMs)),
    wasted: (bad?.reads ?? 0) - before,
    peakInFlight,
  };
}

const shown = ({ lost, worstMs }: Outcome): string =>
  `${lost} / ${worstMs < 1000 ? `${worstMs.toFixed(0)} ms` : `${(worstMs / 1000).toFixed(1)} s`}`;

async function main(): Promise<void> {
  process.stdout.write(
    `Failed or wrong answers of ${(RATE_PER_S * TOTAL_MS) / 1000}, and the longest wait; ours: three replicas, and attempts wasted on the bad node.\n`,
  );
  let missed = 0;
  for (const { fault, boundMs } of FAULTS) {
    const fronts = [await ours(), ...(await others())];
    try {
      const outcomes = await Promise.all(fronts.map((front) => underFault(front, fault)));
      const [own] = outcomes;
      if (!own) throw new Error('ours is the first');
      const bound = MAX_FAILS + own.peakInFlight + Math.ceil((RATE_PER_S * BATCH_MS) / 1000) + 1;
      const wasteful = fault !== 'late' && own.wasted > bound;
      if (own.lost > 0 || wasteful) missed++;
      const cells = fronts.map(({ name }, at) =>
        `${name} ${outcomes[at] ? shown(outcomes[at]) : ''}`.padEnd(34),
      );
      const held = own.worstMs <= boundMs ? 'held' : 'exceeded';
      process.stdout.write(
        `${fault.padEnd(10)}${cells.join('')}wasted ${own.wasted} (at most ${bound}); wait of ${boundMs} ms ${held}\n`,
      );
    } finally {
      for (const front of fronts) {
        await front.stop();
        await Promise.all(front.nodes.map((node) => node.stop()));
      }
    }
  }
  if (missed > 0) process.exitCode = 1;
}

await main();
