// Decides: what belongs to one network in this replica: its balancing state, its connections, its rules for methods.
// Must not know: Fastify, Redis.
import {
  configHash,
  createGlobTable,
  createSafetyOf,
  type Names,
  type NetworkConfig,
  type Safety,
} from '@rpc-balancer/shared';
import type { Member } from '../balance/member.ts';
import { createNetworkState, type NetworkState, reconfigureState } from '../balance/network-state.ts';
import { type Cause, Lateness } from './lateness.ts';
import { Membership, type MembershipOptions } from './membership.ts';
import type { Outcome } from './outcome.ts';
import type { Connections } from './pool.ts';

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

/** What the configuration says of a network; replaced when it changes. */
interface Settings {
  readonly config: NetworkConfig;
  readonly limits: Limits;
  readonly rankingMaxAgeMs: number;
  /** The zone of this gateway. */
  readonly zone: string | undefined;
}

export interface Network {
  readonly name: string;
  readonly config: NetworkConfig;
  readonly limits: Limits;
  /** Compared with the publisher's. */
  readonly hash: string;
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
  /** A request begins, and is over with its last byte. */
  enter(): void;
  leave(): void;
  /**
   * Opens what other settings need and returns how they are taken on, at once and without fail.
   * @throws BalancerError `RPCB_CONFIG`; then nothing has changed
   */
  prepare(settings: Settings): () => void;
  /** No new request will come: closes the connections when the last one is over. */
  retire(): Promise<void>;
  close(): Promise<void>;
}

export interface NetworkOptions extends Settings, MembershipOptions {
  readonly random: () => number;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onEjection: EjectionListener;
  readonly onWrite: WriteListener;
}

export function openNetwork(options: NetworkOptions): Network {
  const { name, config, random, onAttempt, onSecond, onEjection, onWrite } = options;
  const state = createNetworkState({ ...config, upstreams: [] }, options);
  const membership = new Membership(options, state);
  let requestCount = 0;
  let onLast: (() => void) | null = null;

  const network: Network = {
    name,
    ...rulesOf(options),
    state,
    connectionsOf: (member) => membership.pools.of(member),
    random,
    lateness: new Lateness(config),
    get names() {
      return membership.names;
    },
    onAttempt,
    onSecond,
    onEjection,
    onWrite,
    enter() {
      requestCount++;
    },
    leave() {
      if (--requestCount === 0) onLast?.();
    },
    prepare(settings) {
      const takeOn = membership.prepare(settings.config);
      return () => {
        reconfigureState(state, settings.config, settings);
        takeOn();
        network.lateness.reconfigure(settings.config);
        Object.assign(network, rulesOf(settings));
      };
    },
    async retire() {
      network.names.close();
      if (requestCount > 0) await new Promise<void>((resolve) => (onLast = resolve));
      await membership.pools.close();
    },
    async close() {
      network.names.close();
      await membership.pools.destroy();
    },
  };
  return network;
}

function rulesOf({ config, limits }: Settings) {
  return {
    config,
    limits,
    hash: configHash(config),
    safetyOf: createSafetyOf(config.methods),
    tagOf: createGlobTable(config.methods.tags),
    deadlineOf: createGlobTable(config.deadlines),
  };
}
