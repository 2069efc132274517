// Decides: which number a page in Prometheus' text format tells for a metric.
// Must not know: where the page comes from. Foreign text: whatever it is, nothing is thrown.

export interface WantedMetric {
  readonly metric: string;
  /** Only series with these labels count. */
  readonly labels: Readonly<Record<string, string>>;
  /** Divided by the CPUs that the page tells of. */
  readonly perCore: boolean;
}

/** The number, or why there is none. */
export type Reading = { readonly load: number } | { readonly problem: string };

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** node_exporter has one series of it for each CPU and mode. */
const CPU_SECONDS = 'node_cpu_seconds_total';
const CPU_MODE = { mode: 'idle' };

/** A series with all its labels is shorter by far; a longer line is passed over. */
const LINE_CHARS_MAX = 16_384;

/** Each is tried at one place only, and no text matches in two ways, so that a line is read once, whatever it is. */
const OPENING = /[ \t]*\{/y;
const LABEL = /[ \t,]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"/y;
const CLOSING = /[ \t,]*\}/y;
/** A timestamp or an exemplar may follow. */
const VALUE = /[ \t]*([^ \t]+)/y;

/** Several series are added up, as those of a host's disks or a node's tasks. */
export function readMetric(page: string, { metric, labels, perCore }: WantedMetric): Reading {
  let sum = 0;
  let seriesCount = 0;
  const cpus = new Set<string | undefined>();
  for (const line of page.split(/\r?\n/)) {
    const found = seriesOf(line, metric);
    if (found !== null && hasLabels(found, labels)) {
      sum += found.value;
      seriesCount++;
    }
    const cpu = perCore ? seriesOf(line, CPU_SECONDS) : null;
    if (cpu !== null && hasLabels(cpu, CPU_MODE)) cpus.add(cpu.labels.cpu);
  }
  if (seriesCount === 0) return { problem: `the page has no ${metric} with these labels` };
  if (perCore && cpus.size === 0) return { problem: `the page has no ${CPU_SECONDS} to count CPUs by` };
  return checked(perCore ? sum / cpus.size : sum);
}

/** A load is a number from 0 up. */
export function checked(value: unknown): Reading {
  const isLoad = typeof value === 'number' && Number.isFinite(value) && value >= 0;
  return isLoad ? { load: value } : { problem: 'what stands there is no number from 0 up' };
}

/** The series on a line, if it is one of this metric. */
function seriesOf(line: string, metric: string): Series | null {
  if (!line.startsWith(metric) || line.length > LINE_CHARS_MAX) return null;
  let at = metric.length;
  const next = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const found = pattern.exec(line);
    if (found) at = pattern.lastIndex;
    return found;
  };
  const pairs: [string, string][] = [];
  if (next(OPENING)) {
    for (let label = next(LABEL); label; label = next(LABEL))
      pairs.push([label[1] ?? '', unescaped(label[2] ?? '')]);
    if (!next(CLOSING)) return null;
  } else if (!/[ \t]/.test(line.charAt(at))) return null; // Another metric, whose name begins like this one.
  const [, value] = next(VALUE) ?? [];
  return value === undefined ? null : { labels: Object.fromEntries(pairs), value: Number(value) };
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}

function hasLabels({ labels }: Series, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
