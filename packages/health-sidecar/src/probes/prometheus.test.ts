import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readMetric, type WantedMetric } from './prometheus.ts';

/** As node_exporter writes it, with what the format allows besides. */
const PAGE = `# HELP node_load1 1m load average.
# TYPE node_load1 gauge
node_load1 2.5
node_load15 7
node_load5{instance="a"} 3.5 1700000000000
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 1e+06
node_cpu_seconds_total{cpu="0",mode="user"} 3
node_cpu_seconds_total{cpu="1",mode="idle"} 2
node_cpu_seconds_total{mode="idle",cpu="2",} 2
node_cpu_seconds_total{cpu="3",mode="idle"} 2
disk { device = "a}b" , path="c:\\\\x \\"y\\"" } 1.5e0
disk{device="sdb",path="/"} 2 # {trace="1"} 3
substrate_tasks_spawned_total{chain="dev",task="rpc"} 4\r
broken{open="
gone NaN
minus -1
odd{a="1"b} 2
long{a="${'x'.repeat(20_000)}"} 2
nothing
`;

/** Near the longest line and the longest page that are read. */
const HOSTILE_CHARS = 15_000;
const PAGE_CHARS = 4_000_000;

const read = (metric: string, more: Partial<WantedMetric> = {}) =>
  readMetric(PAGE, { metric, labels: {}, perCore: false, ...more });

describe('the load on a page of Prometheus', () => {
  test.each<[string, WantedMetric['metric'], Partial<WantedMetric>, number]>([
    ['a line without labels', 'node_load1', {}, 2.5],
    ['a line with labels and a timestamp (SQ-08)', 'node_load5', {}, 3.5],
    ['one metric whose name begins another', 'node_load15', {}, 7],
    ['a load average for each CPU (SQ-08)', 'node_load1', { perCore: true }, 2.5 / 4],
    ['several series together', 'disk', {}, 3.5],
    ['the series with a label', 'disk', { labels: { device: 'sdb' } }, 2],
    ['the series with a label that had to be escaped', 'disk', { labels: { path: 'c:\\x "y"' } }, 1.5],
    ['the series with several labels', 'disk', { labels: { device: 'a}b', path: 'c:\\x "y"' } }, 1.5],
    ["a Substrate node's own metric, on a line that ends as in DOS", 'substrate_tasks_spawned_total', {}, 4],
  ])('is that of %s', (_, metric, more, load) => {
    expect(read(metric, more)).toEqual({ load });
  });

  test.each<[string, WantedMetric['metric'], Partial<WantedMetric>]>([
    ['another metric', 'node_load', {}],
    ['a label that no series has', 'disk', { labels: { device: 'sdc' } }],
    ['a label that a line without labels has not', 'node_load1', { labels: { constructor: 'x' } }],
    ['a line that breaks off', 'broken', {}],
    ['a line without value', 'nothing', {}],
    ['no number', 'gone', {}],
    ['a number below 0', 'minus', {}],
    ['labels between which is something else', 'odd', {}],
    ['a line that is longer than any series', 'long', {}],
  ])('is unknown for %s', (_, metric, more) => {
    expect(read(metric, more)).toHaveProperty('problem');
  });

  test('is unknown for each CPU where the page tells of none', () => {
    expect(readMetric('node_load1 3', { metric: 'node_load1', labels: {}, perCore: true })).toEqual({
      problem: 'the page has no node_cpu_seconds_total to count CPUs by',
    });
  });

  test('is a number from 0 up or a problem, whatever the page is', () => {
    const piece = fc.constantFrom(
      'm',
      '{',
      '}',
      '"',
      '\\',
      ',',
      '=',
      ' ',
      '1',
      '-',
      'NaN',
      '+Inf',
      '\n',
      'a',
    );
    const line = fc.array(piece, { maxLength: 30 }).map((pieces) => `m${pieces.join('')}`);
    fc.assert(
      fc.property(fc.oneof(fc.string(), line), fc.boolean(), (page, perCore) => {
        const reading = readMetric(page, { metric: 'm', labels: {}, perCore });
        expect('problem' in reading || (Number.isFinite(reading.load) && reading.load >= 0)).toBe(true);
      }),
    );
  });

  test.each([
    ['a label without an end', `m{${'a'.repeat(HOSTILE_CHARS)}`],
    ['a label without a value', `m{${'a'.repeat(HOSTILE_CHARS)}} 1`],
    ['a value without an end', `m{a="${'\\"'.repeat(HOSTILE_CHARS / 2)}`],
    ['quotes without an end', `m{${'a="'.repeat(HOSTILE_CHARS / 3)}`],
    ['nothing but quotes', `m{${'"'.repeat(HOSTILE_CHARS)}} 1`],
    ['nothing but spaces', `m${' '.repeat(HOSTILE_CHARS)}`],
    ['spaces within braces', `m{a${' '.repeat(HOSTILE_CHARS)}`],
    ['a value beside a space of another kind', `m ${'1'.repeat(HOSTILE_CHARS)}\v`],
  ])('is looked for in a time that grows with the page and no faster, whatever fills it: %s', (_, line) => {
    const page = `${`${line}\n`.repeat(PAGE_CHARS / line.length)}n 1`;
    const begunAt = performance.now();
    expect(readMetric(page, { metric: 'n', labels: {}, perCore: false })).toEqual({ load: 1 });
    readMetric(page, { metric: 'm', labels: { a: '1' }, perCore: false });
    // Some tens of milliseconds; minutes where each character of a line is looked at once for each other one.
    expect(performance.now() - begunAt).toBeLessThan(10_000);
  });
});
