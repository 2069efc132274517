// Decides: what belongs to one network in this replica: its balancing state, its connections, its rules for methods.
// Must not know: Fastify, Redis.
import {
  configHash,
  createGlobTable,
  createNames,
  createSafetyOf,
  type LocatedUpstream,
  type Log,
  type Names,
  type NetworkConfig,
  type Resolver,
  type Safety,
} from '@rpc-balancer/shared';
import type { Member } from '../balance/member.ts';
import { createNetworkState, type NetworkState, replaceMembers } from '../balance/network-state.ts';
import { type Cause, Lateness } from './lateness.ts';
import type { Outcome } from './outcome.ts';
import { type Connections, openConnections } from './pool.ts';
import { Pools } from './pools.ts';

export interface Limits {
  readonly batchLimit: number;
  readonly batchAnswerLimitBytes: number;
  readonly holdAnswerBytes: number;
}

/** Who is told of every attempt; the metrics. */
export type AttemptListener = (network: string, upstream: string, outcome: Outcome) => void;

/** Told when a second upstream was asked the same, and why. */
export type SecondListener = (network: string, cause: Cause) => void;

/** A signed transaction that an upstream has taken. */
export interface TakenWrite {
  readonly network: Network;
  readonly upstream: string;
  readonly hash: string;
  readonly raw: string;
}

export type WriteListener = (write: TakenWrite) => void;

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
  /** The addresses of its upstreams; each change of them changes the members. */
  readonly names: Names;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onEjection: EjectionListener;
  readonly onWrite: WriteListener;
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
  readonly resolver: Resolver;
  readonly log: Log;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onEjection: EjectionListener;
  readonly onWrite: WriteListener;
}

export function openNetwork(options: NetworkOptions): Network {
  const { name, config, limits, rankingMaxAgeMs, zone, resolver, random, log } = options;
  const { onAttempt, onSecond, onEjection, onWrite } = options;
  const state = createNetworkState(config, { rankingMaxAgeMs, zone });
  const pools = new Pools();
  const names = createNames({ network: name, config, resolver, log, onChange: replaceUpstreams });
  replaceUpstreams(names.upstreams());

  /** Those that stay keep their state and sockets; those that go get nothing new and end what is in flight there. */
  function replaceUpstreams(upstreams: readonly LocatedUpstream[]): void {
    replaceMembers(state, upstreams);
    pools.replace(
      state.members.map((member, at) => {
        const upstream = upstreams[at];
        if (!upstream) throw new Error('a member is made of each upstream, in order');
        const present = pools.find(member);
        present?.move(upstream.addresses);
        return [member, present ?? openConnections(upstream, config, resolver)] as const;
      }),
    );
  }

  return {
    name,
    config,
    hash: configHash(config),
    limits,
    state,
    safetyOf: createSafetyOf(config.methods),
    tagOf: createGlobTable(config.methods.tags),
    deadlineOf: createGlobTable(config.deadlines),
    connectionsOf: (member) => pools.of(member),
    random,
    lateness: new Lateness(config),
    names,
    onAttempt,
    onSecond,
    onEjection,
    onWrite,
    async close() {
      names.close();
      await pools.destroy();
    },
  };
}
