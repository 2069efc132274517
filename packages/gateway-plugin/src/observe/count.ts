// Decides: how events are counted on the data path without costing it anything worth a thought.
// Must not know: which events.
import { Counter, type CounterConfiguration, type Registry } from 'prom-client';

/** A count for each combination of labels. By one lookup a label: a key made of all would be a new text to hash each time. */
interface Tally {
  count: number;
  readonly below: Map<string, Tally>;
}

/** Counts in plain maps and tells the metric when it is scraped: prom-client sorts and joins labels at each count. */
export function countOf(
  registers: Registry[],
  configuration: Omit<CounterConfiguration<string>, 'registers'>,
): (...labels: readonly string[]) => void {
  const root = newTally();
  new Counter({
    ...configuration,
    registers,
    collect() {
      this.reset();
      for (const [labels, count] of countsIn(root, [])) this.labels(...labels).inc(count);
    },
  });
  return (...labels) => {
    let tally = root;
    for (const label of labels) tally = below(tally, label);
    tally.count++;
  };
}

function newTally(): Tally {
  return { count: 0, below: new Map() };
}

function below(tally: Tally, label: string): Tally {
  const found = tally.below.get(label);
  if (found) return found;
  const made = newTally();
  tally.below.set(label, made);
  return made;
}

function* countsIn(tally: Tally, labels: readonly string[]): Generator<readonly [readonly string[], number]> {
  if (tally.count > 0) yield [labels, tally.count];
  for (const [label, next] of tally.below) yield* countsIn(next, [...labels, label]);
}
