// Decides: the command `pnpm test:oracle --seed N --count M`: thousands of scenarios, and the seeds of those that differ.
// Must not know: how one is played.
import { parseArgs } from 'node:util';
import { runOracle } from './run.ts';

/** Nodes, an nginx and a replica are made anew for so many. */
const BATCH = 60;

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '600' } },
});
const first = Number(values.seed);
const count = Number(values.count);
let compared = 0;
let complete = 0;
let differing = 0;
for (let at = 0; at < count; at += BATCH) {
  for (const one of await runOracle(first + at, Math.min(BATCH, count - at))) {
    compared += one.compared;
    if (one.compared === one.stepCount) complete++;
    if (one.difference === null) continue;
    differing++;
    process.stdout.write(`seed ${one.seed}: ${one.difference}\n`);
  }
  const done = Math.min(count, at + BATCH);
  process.stdout.write(
    `${done} scenarios, ${complete} to their end, ${compared} steps, ${differing} differ\n`,
  );
}
process.exit(differing === 0 ? 0 : 1);
