// Decides: how replicas with the real picker, upstreams with queues and their requests run in a simulated time.
// Must not know: which way of ageing is best. Seeded and deterministic; nothing waits.
import { beginAttempt, endAttempt } from '../../packages/gateway-plugin/src/balance/ejection.ts';
import type { Member } from '../../packages/gateway-plugin/src/balance/member.ts';
import type { NetworkState } from '../../packages/gateway-plugin/src/balance/network-state.ts';
import { picked, unprobed } from '../../packages/gateway-plugin/test/members.ts';
import { createRandom } from '../kit/clock.ts';
import { AGINGS, type AgingName } from './agings.ts';
import { EventQueue } from './event-queue.ts';
import type { Workload } from './workloads.ts';

export interface SimulationOptions {
  readonly replicas: number;
  readonly aging: AgingName;
  readonly beatMs: number;
  readonly workload: Workload;
  readonly durationMs: number;
  readonly seed: number;
}

export interface SimulationResult {
  readonly requests: number;
  /** Largest load of an upstream over the mean of all, averaged over time. */
  readonly maxOverMean: number;
  /** Time in the queue of an upstream. */
  readonly meanDelayMs: number;
  readonly p99DelayMs: number;
}

/** After a real epoch, so that what has never happened was long ago. */
const START_MS = 1_700_000_000_000;
/** Loads are looked at this often, after a time in which the queues find their lengths. */
const SAMPLE_MS = 7;
const WARM_UP_RATIO = 0.1;
/** Share of the last attempt in the average service time. */
const SERVICE_SHARE = 0.1;

interface Replica {
  readonly state: NetworkState;
  /** By upstream. */
  readonly told: number[];
  readonly heard: number[];
  readonly chances: number[];
  readonly heardAtPick: number[];
  heardAt: number;
  serviceMs: number;
}

interface Attempt {
  readonly replica: Replica;
  readonly member: Member;
  readonly begunAt: number;
  readonly serviceMs: number;
}

export function simulate(options: SimulationOptions): SimulationResult {
  const { aging, beatMs, workload, durationMs, seed } = options;
  const random = createRandom(seed);
  const queue = new EventQueue(START_MS);
  const { upstreams } = workload;
  const everything = aging === 'sees everything';
  const { tells, counts } = AGINGS[aging];
  const replicas = Array.from({ length: everything ? 1 : options.replicas }, () =>
    replicaOf(upstreams.length),
  );
  const loads = upstreams.map(() => 0);
  const busy = upstreams.map(() => 0);
  const waiting = upstreams.map((): Attempt[] => []);
  const total = upstreams.map(() => 0);
  const delays: number[] = [];
  const ratios: number[] = [];
  const measuredFrom = START_MS + durationMs * WARM_UP_RATIO;

  function beat(replica: Replica): void {
    for (const member of replica.state.members) {
      const { index } = member;
      const tell = tells(member);
      member.inFlightLow = member.inFlight;
      total[index] = (total[index] ?? 0) + tell - (replica.told[index] ?? 0);
      replica.told[index] = tell;
      replica.chances[index] = random();
      replica.heard[index] = (total[index] ?? 0) - tell;
    }
    replica.heardAt = queue.now;
    queue.after(beatMs, () => beat(replica));
  }

  function arrive(): void {
    queue.after(-Math.log(1 - random()) / workload.ratePerMs, arrive);
    const { serviceMs, place } = workload.request(random, options.replicas);
    const replica = replicas[everything ? 0 : place];
    if (!replica) throw new Error('there is such a replica');
    for (const member of replica.state.members) {
      const told = replica.heard[member.index] ?? 0;
      const toldAtPick = replica.heardAtPick[member.index] ?? 0;
      const ageMs = queue.now - replica.heardAt;
      member.inFlightElsewhere = counts({
        told,
        toldAtPick,
        ageMs,
        beatMs,
        serviceMs: replica.serviceMs,
        others: options.replicas - 1,
        chance: replica.chances[member.index] ?? 0,
      });
    }
    const member = picked(replica.state, queue.now, {}, random);
    if (!member) throw new Error('nobody is ever excluded');
    replica.heardAtPick[member.index] = replica.heard[member.index] ?? 0;
    beginAttempt(member, queue.now, Number.POSITIVE_INFINITY);
    loads[member.index] = (loads[member.index] ?? 0) + 1;
    waiting[member.index]?.push({ replica, member, begunAt: queue.now, serviceMs });
    serve(member.index);
  }

  /** Begins what waits at an upstream as long as it has room. */
  function serve(at: number): void {
    const { slots = 0, slowness = 1 } = upstreams[at] ?? {};
    if ((busy[at] ?? 0) >= slots) return;
    const attempt = waiting[at]?.shift();
    if (!attempt) return;
    busy[at] = (busy[at] ?? 0) + 1;
    if (queue.now >= measuredFrom) delays.push(queue.now - attempt.begunAt);
    queue.after(attempt.serviceMs * slowness, () => {
      busy[at] = (busy[at] ?? 0) - 1;
      loads[at] = (loads[at] ?? 0) - 1;
      endAttempt(attempt.member);
      const { replica } = attempt;
      replica.serviceMs += SERVICE_SHARE * (queue.now - attempt.begunAt - replica.serviceMs);
      serve(at);
    });
  }

  function sample(): void {
    queue.after(SAMPLE_MS, sample);
    const sum = loads.reduce((one, other) => one + other, 0);
    if (queue.now >= measuredFrom && sum > 0) ratios.push((Math.max(...loads) * loads.length) / sum);
  }

  for (const replica of replicas) queue.after(random() * beatMs, () => beat(replica));
  queue.after(0, arrive);
  queue.after(0, sample);
  queue.runUntil(START_MS + durationMs);
  delays.sort((one, other) => one - other);
  return {
    requests: delays.length,
    maxOverMean: meanOf(ratios),
    meanDelayMs: meanOf(delays),
    p99DelayMs: delays[Math.floor(delays.length * 0.99)] ?? 0,
  };
}

function replicaOf(upstreamCount: number): Replica {
  const none = () => Array.from({ length: upstreamCount }, () => 0);
  const state = unprobed(none().map((_, at) => ({ id: `u${at}` })));
  return {
    state,
    told: none(),
    heard: none(),
    chances: none(),
    heardAtPick: none(),
    heardAt: START_MS,
    serviceMs: 1,
  };
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
