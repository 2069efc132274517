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

/** Name, labels, value; a timestamp or an exemplar may follow. */
const LINE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:[ \t]*\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\}[ \t]*|[ \t]+)(\S+)(?:[ \t].*)?$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"/g;

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

function seriesOf(line: string, metric: string): Series | null {
  if (!line.startsWith(metric)) return null;
  const [, name, labels = '', value] = LINE.exec(line) ?? [];
  if (name !== metric) return null;
  const pairs = [...labels.matchAll(LABEL)].map(([, key = '', text = '']) => [key, unescaped(text)]);
  return { labels: Object.fromEntries(pairs), value: Number(value) };
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}

function hasLabels({ labels }: Series, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
