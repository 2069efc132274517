// Decides: the table by which the ageing of others' attempts in flight is chosen: `pnpm sim`.
// Must not know: how a simulation runs.
import { AGINGS, type AgingName } from './agings.ts';
import { type SimulationResult, simulate } from './simulate.ts';
import { WORKLOADS, type WorkloadName } from './workloads.ts';

const REPLICAS = [1, 3, 10, 30, 100];
const BEATS_MS = [50, 100, 250, 1000];
const DURATION_MS = 60_000;
const SEED = 1;

const print = (text: string): void => void process.stdout.write(`${text}\n`);

function cell({ maxOverMean, meanDelayMs, p99DelayMs }: SimulationResult): string {
  return `${maxOverMean.toFixed(2)} / ${meanDelayMs.toFixed(1)} / ${p99DelayMs.toFixed(0)}`;
}

function row(workload: WorkloadName, aging: AgingName, beatMs: number): string {
  const cells = REPLICAS.map((replicas) =>
    cell(
      simulate({
        replicas,
        aging,
        beatMs,
        workload: WORKLOADS[workload],
        durationMs: DURATION_MS,
        seed: SEED,
      }),
    ),
  );
  const beat = aging === 'ignored' || aging === 'sees everything' ? '' : String(beatMs);
  return `| ${[aging, beat, ...cells].join(' | ')} |`;
}

// Both objects have exactly these keys.
for (const workload of Object.keys(WORKLOADS) as WorkloadName[]) {
  print(`\n${workload}\n`);
  print(`| ageing | beat ms | ${REPLICAS.map((count) => `${count} replicas`).join(' | ')} |`);
  print(`| - | - | ${REPLICAS.map(() => '-').join(' | ')} |`);
  for (const aging of Object.keys(AGINGS) as AgingName[]) {
    const beats = aging === 'ignored' || aging === 'sees everything' ? [1000] : BEATS_MS;
    for (const beatMs of beats) print(row(workload, aging, beatMs));
  }
}
