// Decides: how the state of the cluster is drawn, on a terminal and into a pipe.
// Must not know: how it came to be.
import type { NetworkStatus, UpstreamStatus } from '@rpc-balancer/gateway-plugin';
import type { ReadsReport } from './reads.ts';

/** What is shown at one moment. */
export interface Picture {
  readonly statuses: readonly (NetworkStatus | null)[];
  readonly publisherName: (instance: string) => string | null;
  readonly reads: ReadsReport;
  /** What the viewer did last. */
  readonly note: string;
}

const COLUMNS = ['upstream', 'state', 'reason', 'head', 'lag', 'latency', 'in-flight', 'requests'] as const;
type Row = Readonly<Record<(typeof COLUMNS)[number], string>>;

/** Cursor home; erase to the end of the line; erase below. Clearing everything at once would flicker. */
const HOME = '\u001b[H';
const ERASE_LINE = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

/** A whole screen: what stays, then what changes. */
export function screen(heading: readonly string[], picture: Picture): string {
  const lines = [...heading, '', ...tableLines(picture.statuses), '', ...summaryLines(picture), picture.note];
  return `${HOME}${lines.map((line) => `${line}${ERASE_LINE}\n`).join('')}${ERASE_BELOW}`;
}

/** The same as lines without control characters, one for each upstream and one for the rest. */
export function plainLines(picture: Picture): string {
  const rows = rowsOf(picture.statuses).map((row) =>
    COLUMNS.map((column) => (column === 'upstream' ? row[column] : `${column} ${row[column]}`)).join('  '),
  );
  return [...rows, summaryLines(picture).join('; ')].map((line) => `${line}\n`).join('');
}

function tableLines(statuses: Picture['statuses']): string[] {
  const heads = Object.fromEntries(COLUMNS.map((column) => [column, column])) as Row; // One entry for each column.
  const rows = [heads, ...rowsOf(statuses)];
  const widths = COLUMNS.map((column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    COLUMNS.map((column, at) => row[column].padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function summaryLines({ statuses, publisherName, reads }: Picture): string[] {
  const answering = statuses.filter((status) => status !== null);
  const ranking = answering.find((status) => status.ranking !== null)?.ranking;
  const publisher = ranking ? (publisherName(ranking.publisher) ?? ranking.publisher) : 'nobody';
  const { answered, failed, worstMs } = reads;
  return [
    `gateways answering: ${answering.length} of ${statuses.length}`,
    `publisher: ${publisher}, epoch ${ranking?.epoch ?? '-'}, ranking ${ranking?.ageMs ?? '-'} ms old`,
    `reads of the demo's own client: ${answered} answered, ${failed} failed, worst ${worstMs.toFixed(0)} ms`,
  ];
}

/** One row for each upstream: counts are added up over the gateways, the rest is theirs in common or told apart. */
function rowsOf(statuses: Picture['statuses']): Row[] {
  const answering = statuses.filter((status) => status !== null);
  return (answering[0]?.upstreams ?? []).map(({ id }) =>
    rowOf(
      id,
      answering.flatMap(({ upstreams }) => upstreams.filter((upstream) => upstream.id === id)),
    ),
  );
}

function rowOf(id: string, views: readonly UpstreamStatus[]): Row {
  const sum = (values: readonly number[]) => String(values.reduce((total, value) => total + value, 0));
  const known = <Value>(read: (view: UpstreamStatus) => Value | null) =>
    views.map(read).find((value) => value !== null) ?? null;
  const latencyMs = known((view) => view.latencyP50Ms);
  return {
    upstream: id,
    state: tally(views.map((view) => view.state)),
    reason: tally(views.map((view) => view.reason ?? '-')),
    head: String(known((view) => view.head) ?? '-'),
    lag: String(known((view) => view.lagBlocks) ?? '-'),
    latency: latencyMs === null ? '-' : `${latencyMs.toFixed(1)} ms`,
    'in-flight': sum(views.map((view) => view.inFlight)),
    requests: sum(views.map((view) => view.requests)),
  };
}

/** The word that all gateways say, or each word with how many say it: they learn of a failure within moments of each other. */
function tally(words: readonly string[]): string {
  const distinct = [...new Set(words)];
  if (distinct.length === 1) return distinct[0] ?? '-';
  return distinct
    .map((word) => `${word} ${words.filter((same) => same === word).length}/${words.length}`)
    .join(', ');
}
