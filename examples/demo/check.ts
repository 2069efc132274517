// Decides: what `--check` does to the running demo from outside, and whether its clients noticed.
// Must not know: how the programs are started.
import type { NetworkStatus, Reason } from '@rpc-balancer/gateway-plugin';
import { waitFor } from '../../test/kit/wait.ts';
import { type Cluster, endpointOf } from './cluster.ts';
import type { DemoNode } from './nodes.ts';
import { type ReadsReport, startReads } from './reads.ts';

/** Enough that each gateway sends to each node several times a second. */
const RATE_PER_S = 60;

/** More than the check needs: 30 s at the rate above. */
const READS_MAX = 1800;

/** Reads before the first kill, between what happens, and after the last. */
const READS_BETWEEN = 120;

/** Most is the lease of the sidecar that was killed: 5 s, and some jitter. */
const STEP_TIMEOUT_MS = 12_000;

/** How exactly times are measured. */
const LOOK_EVERY_MS = 25;

type Print = (line: string) => void;

/** @returns whether every read was answered and everything that had to happen did */
export async function check(cluster: Cluster, nodes: readonly DemoNode[], print: Print): Promise<boolean> {
  const reads = startReads({
    endpoints: () => cluster.gateways.map(endpointOf),
    ratePerS: RATE_PER_S,
    max: READS_MAX,
  });
  const watch = createWatch(cluster);
  let problem: string | null = null;
  try {
    await moreReads(reads.report);
    await loseNode(nodes, watch, print);
    await moreReads(reads.report);
    if (cluster.mode === 'cluster') await losePublisher(cluster, watch, print);
    else print('no sidecar is killed: without Redis the gateway probes and publishes by itself');
    await moreReads(reads.report);
  } catch (error) {
    problem = String(error);
  }
  const report = await reads.stop();
  printReport(report, watch.reasons, print);
  if (problem !== null) print(`problem: ${problem}`);
  const passed = problem === null && report.failed === 0;
  print(passed ? 'check passed: no read failed' : 'check failed');
  return passed;
}

async function loseNode(nodes: readonly DemoNode[], watch: Watch, print: Print): Promise<void> {
  const [, victim] = nodes;
  if (!victim) throw new Error('the demo has no second node');
  const killedAt = performance.now();
  await victim.anvil.kill();
  print(`killed ${victim.id} (kill -9)`);
  await watch.until(`every gateway to leave ${victim.id}`, ({ upstreams }) =>
    upstreams.some(({ id, state }) => id === victim.id && state === 'excluded'),
  );
  print(`${victim.id} was left by every gateway after ${elapsed(killedAt)}`);
}

async function losePublisher(cluster: Cluster, watch: Watch, print: Print): Promise<void> {
  const [status] = await watch.until('every gateway to have a ranking', ({ ranking }) => ranking !== null);
  const before = status?.ranking;
  const victim = cluster.sidecars.find(({ name }) => name === cluster.publisherName(before?.publisher ?? ''));
  if (!before || !victim) throw new Error(`no sidecar of the demo publishes, but ${before?.publisher}`);
  print(`publisher before: ${victim.name}, epoch ${before.epoch}`);
  const killedAt = performance.now();
  await victim.program.kill();
  print(`killed ${victim.name} (kill -9)`);
  const [taken] = await watch.until(
    'another sidecar to publish',
    ({ ranking }) => ranking !== null && ranking.publisher !== before.publisher,
  );
  const after = taken?.ranking;
  if (!after || after.epoch <= before.epoch) throw new Error(`the epoch went to ${after?.epoch}`);
  print(`publisher after: ${cluster.publisherName(after.publisher)}, epoch ${after.epoch}`);
  print(`take-over time: ${elapsed(killedAt)}`);
}

interface Watch {
  /** Every reason that any gateway has given in /status while something was waited for. */
  readonly reasons: ReadonlyMap<string, ReadonlySet<Reason>>;
  /** Resolves when what every gateway says of the network fulfils the condition. */
  until(what: string, condition: (status: NetworkStatus) => boolean): Promise<readonly NetworkStatus[]>;
}

function createWatch({ statuses }: Cluster): Watch {
  const reasons = new Map<string, Set<Reason>>();

  function note({ upstreams }: NetworkStatus): void {
    for (const { id, reason } of upstreams) {
      if (reason !== null) reasons.set(id, (reasons.get(id) ?? new Set()).add(reason));
    }
  }

  return {
    reasons,
    until: (what, condition) =>
      waitFor(
        async () => {
          const all = await statuses();
          const answered = all.filter((status) => status !== null);
          answered.forEach(note);
          return answered.length === all.length && answered.every(condition) && answered;
        },
        { what, timeoutMs: STEP_TIMEOUT_MS, everyMs: LOOK_EVERY_MS },
      ),
  };
}

async function moreReads(report: () => ReadsReport): Promise<void> {
  const settled = () => report().answered + report().failed;
  const enough = settled() + READS_BETWEEN;
  await waitFor(() => settled() >= enough, {
    what: `${READS_BETWEEN} more reads`,
    timeoutMs: STEP_TIMEOUT_MS,
    everyMs: LOOK_EVERY_MS,
  });
}

function printReport(report: ReadsReport, reasons: Watch['reasons'], print: Print): void {
  const { answered, failed, worstMs, failures } = report;
  print(`reads: ${answered + failed}, failed: ${failed}, worst latency: ${worstMs.toFixed(0)} ms`);
  for (const [id, words] of reasons) print(`reasons seen for ${id}: ${[...words].join(', ')}`);
  for (const failure of failures) print(`failed: ${failure}`);
}

function elapsed(sinceMs: number): string {
  return `${Math.round(performance.now() - sinceMs)} ms`;
}
