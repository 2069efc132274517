// Decides: the ways in which a replica may take the attempts of others into account, to be compared.
// Must not know: workloads.
import type { Member } from '../../packages/gateway-plugin/src/balance/member.ts';

/** What a replica knows of one upstream when it picks. */
export interface Knowledge {
  /** Sum of what the others told last. */
  readonly told: number;
  /** The same when this replica last sent something there. */
  readonly toldAtPick: number;
  /** Since this replica last listened. */
  readonly ageMs: number;
  readonly beatMs: number;
  /** How many others there are. */
  readonly others: number;
  /** From 0 up to 1, another with each beat. */
  readonly chance: number;
  /** Moving average over this replica's own attempts. */
  readonly serviceMs: number;
}

export interface Aging {
  /** What a replica tells of an upstream with a beat. */
  tells(member: Member): number;
  /** What counts of it for the others. */
  counts(knowledge: Knowledge): number;
}

const current = ({ inFlight }: Member): number => inFlight;
const lasting = ({ inFlightLow }: Member): number => inFlightLow;
const mean = ({ told, others }: Knowledge): number => (others === 0 ? 0 : told / others);

export const AGINGS = {
  /** The ideal: one balancer that all requests go through. */
  'sees everything': { tells: current, counts: ({ told }) => told },
  ignored: { tells: current, counts: () => 0 },
  'as reported': { tells: current, counts: ({ told }) => told },
  linear: { tells: current, counts: ({ told, ageMs, beatMs }) => told * Math.max(0, 1 - ageMs / beatMs) },
  exponential: {
    tells: current,
    counts: ({ told, ageMs, serviceMs }) => told * Math.exp(-ageMs / serviceMs),
  },
  delta: { tells: current, counts: ({ told, toldAtPick }) => Math.max(0, told - toldAtPick) },
  mean: { tells: current, counts: mean },
  'rounded mean': { tells: current, counts: (known) => Math.floor(mean(known) + known.chance) },
  lasting: { tells: lasting, counts: ({ told }) => told },
  'lasting, mean': { tells: lasting, counts: mean },
  /** What heartbeat.ts does. */
  'lasting, rounded mean': { tells: lasting, counts: (known) => Math.floor(mean(known) + known.chance) },
} as const satisfies Record<string, Aging>;

export type AgingName = keyof typeof AGINGS;
