// Decides: what belongs to one network in this replica: its balancing state, its connections, its rules for methods.
// Must not know: Fastify, Redis.
import {
  configHash,
  createGlobTable,
  createSafetyOf,
  type NetworkConfig,
  type Safety,
} from '@rpc-balancer/shared';
import type { Member } from '../balance/member.ts';
import { createNetworkState, type NetworkState } from '../balance/network-state.ts';
import { type Cause, Lateness } from './lateness.ts';
import type { Outcome } from './outcome.ts';
import { type Connections, openConnections } from './pool.ts';

export interface Limits {
  readonly batchLimit: number;
  readonly batchAnswerLimitBytes: number;
  readonly holdAnswerBytes: number;
}

/** Who is told of every attempt; the metrics. */
export type AttemptListener = (network: string, upstream: string, outcome: Outcome) => void;

/** Told when a second upstream was asked the same, and why. */
export type SecondListener = (network: string, cause: Cause) => void;

/** Told when real traffic has taken an upstream out, and when a trial has let it back in. */
export type EjectionListener = (network: string, upstream: string, ejected: boolean) => void;

export interface Network {
  readonly name: string;
  readonly config: NetworkConfig;
  /** Compared with the publisher's. */
  readonly hash: string;
  readonly limits: Limits;
  readonly state: NetworkState;
  readonly safetyOf: (method: string) => Safety;
  /** The tag that an upstream must have for a method. */
  readonly tagOf: (method: string) => string | undefined;
  /** Deadline of methods that have their own, in ms. */
  readonly deadlineOf: (method: string) => number | undefined;
  readonly connectionsOf: (member: Member) => Connections;
  readonly random: () => number;
  /** When a second upstream is asked the same. */
  readonly lateness: Lateness;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onEjection: EjectionListener;
  close(): Promise<void>;
}

export interface NetworkOptions {
  readonly name: string;
  readonly config: NetworkConfig;
  readonly limits: Limits;
  readonly rankingMaxAgeMs: number;
  /** The zone of this gateway. */
  readonly zone: string | undefined;
  readonly random: () => number;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onEjection: EjectionListener;
}

export function openNetwork(options: NetworkOptions): Network {
  const { name, config, limits, rankingMaxAgeMs, zone, random, onAttempt, onSecond, onEjection } = options;
  const state = createNetworkState(config, { rankingMaxAgeMs, zone });
  const connections = new Map(
    state.members.map((member, at) => {
      const upstream = config.upstreams[at];
      if (!upstream) throw new Error('a member is made of each upstream, in order');
      return [member, openConnections(upstream, config)] as const;
    }),
  );
  return {
    name,
    config,
    hash: configHash(config),
    limits,
    state,
    safetyOf: createSafetyOf(config.methods),
    tagOf: createGlobTable(config.methods.tags),
    deadlineOf: createGlobTable(config.deadlines),
    connectionsOf: (member) => {
      const found = connections.get(member);
      if (!found) throw new Error(`${member.id} is no member of ${name}`);
      return found;
    },
    random,
    lateness: new Lateness(config),
    onAttempt,
    onSecond,
    onEjection,
    async close() {
      await Promise.all([...connections.values()].map(({ pool }) => pool.destroy()));
    },
  };
}
