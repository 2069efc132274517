// Decides: what is asked of the upstreams in a simulation, and how fast those are.
// Must not know: who picks.

export interface SimulatedUpstream {
  /** Requests that it serves at once; further ones wait. */
  readonly slots: number;
  /** Its service times over those of the others. */
  readonly slowness: number;
}

export interface Workload {
  readonly upstreams: readonly SimulatedUpstream[];
  /** Over all replicas, by chance (Poisson). */
  readonly ratePerMs: number;
  /** How long the next request takes, and which replica it comes to. */
  request(random: () => number, replicas: number): { readonly serviceMs: number; readonly place: number };
}

const exponential = (random: () => number, meanMs: number): number => -Math.log(1 - random()) * meanMs;
const anywhere = (random: () => number, replicas: number): number => Math.floor(random() * replicas);
const ALIKE: readonly SimulatedUpstream[] = Array.from({ length: 4 }, () => ({ slots: 16, slowness: 1 }));

/** Share of the slots that requests keep busy. */
const BUSY_RATIO = 0.75;

const rateOf = (upstreams: readonly SimulatedUpstream[], meanMs: number): number =>
  (BUSY_RATIO * upstreams.reduce((sum, { slots, slowness }) => sum + slots / slowness, 0)) / meanMs;

const SLOW_NODE = ALIKE.map((upstream, at) => (at === 0 ? { ...upstream, slowness: 4 } : upstream));

export const WORKLOADS = {
  /** Short reads, alike everywhere. */
  'short reads': {
    upstreams: ALIKE,
    ratePerMs: rateOf(ALIKE, 20),
    request: (random, replicas) => ({
      serviceMs: exponential(random, 20),
      place: anywhere(random, replicas),
    }),
  },
  /** One upstream is four times slower. */
  'a slow node': {
    upstreams: SLOW_NODE,
    ratePerMs: rateOf(SLOW_NODE, 20),
    request: (random, replicas) => ({
      serviceMs: exponential(random, 20),
      place: anywhere(random, replicas),
    }),
  },
  /** One request of 200 is a trace that takes 4 s; together these keep half of what is busy. */
  'reads and traces': {
    upstreams: ALIKE,
    ratePerMs: rateOf(ALIKE, 40),
    request: (random, replicas) => ({
      serviceMs: random() < 1 / 200 ? exponential(random, 4000) : exponential(random, 20),
      place: anywhere(random, replicas),
    }),
  },
} as const satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof WORKLOADS;
