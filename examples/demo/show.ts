// Decides: what a viewer of the running demo sees and may do, until it is over.
// Must not know: how it was started, signals.
import { type Cluster, endpointOf } from './cluster.ts';
import { type DemoNode, laggardOf } from './nodes.ts';
import { startReads } from './reads.ts';
import { plainLines, screen } from './table.ts';

/** Enough to see the requests go up, and to see none fail when something is killed. */
const RATE_PER_S = 10;

const REDRAW_EVERY_MS = 1000;

const CLEAR_SCREEN = '\u001b[2J';

/** Nobody types more before Enter. */
const INPUT_CHARS_MAX = 80;

export interface ShowOptions {
  readonly cluster: Cluster;
  readonly nodes: readonly DemoNode[];
  readonly heading: readonly string[];
  readonly until: Promise<unknown>;
}

/** A table that is drawn anew each second on a terminal; elsewhere lines. */
export async function show({ cluster, nodes, heading, until }: ShowOptions): Promise<void> {
  const [model, , last] = nodes;
  if (!model || !last) throw new Error('the demo needs three nodes');
  const laggard = laggardOf(last, model);
  const hint = `l + Enter: ${laggard.id} falls behind, or catches up; kill -9 any pid above; Ctrl-C ends everything`;
  const lines = [...heading, '', hint];
  const live = process.stdout.isTTY;
  let note = '';
  onLine('l', async () => {
    note = await laggard.toggle().catch(String);
    if (!live) process.stdout.write(`${note}\n`);
  });
  // A gateway that was killed gets no more: there is no load balancer in front that would know.
  const endpoints = () => cluster.gateways.filter(({ program }) => program.process.running).map(endpointOf);
  const reads = startReads({ endpoints, ratePerS: RATE_PER_S, max: Number.POSITIVE_INFINITY });

  async function draw(): Promise<void> {
    const { publisherName } = cluster;
    const picture = { statuses: await cluster.statuses(), publisherName, reads: reads.report(), note };
    process.stdout.write(live ? screen(lines, picture) : plainLines(picture));
  }

  process.stdout.write(live ? CLEAR_SCREEN : `${lines.join('\n')}\n`);
  const timer = setInterval(() => void draw(), REDRAW_EVERY_MS);
  await until;
  clearInterval(timer);
  await reads.stop();
}

/** Calls back for every line of the input that is this word. */
function onLine(word: string, callback: () => void): void {
  let rest = '';
  process.stdin.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = `${rest}${chunk}`.split('\n');
    rest = (lines.pop() ?? '').slice(-INPUT_CHARS_MAX);
    for (const line of lines) if (line.trim() === word) callback();
  });
}
