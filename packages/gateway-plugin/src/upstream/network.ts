// Decides: what belongs to one network in this replica: its balancing state, its connections, its rules for methods.
// Must not know: Fastify, Redis.
import { isDeepStrictEqual } from 'node:util';
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
  type UpstreamConfig,
} from '@rpc-balancer/shared';
import type { Member } from '../balance/member.ts';
import {
  createNetworkState,
  type NetworkState,
  reconfigureState,
  replaceMembers,
} from '../balance/network-state.ts';
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
   * Opens what other settings need and returns how they are taken on, at once and without fail. An upstream with the
   * same id, url, headers and tls stays the same member.
   * @throws BalancerError `RPCB_CONFIG`; then nothing has changed
   */
  prepare(settings: Settings): () => void;
  /** No new request will come: closes the connections when the last one is over. */
  retire(): Promise<void>;
  close(): Promise<void>;
}

export interface NetworkOptions extends Settings {
  readonly name: string;
  readonly random: () => number;
  readonly resolver: Resolver;
  readonly log: Log;
  readonly onAttempt: AttemptListener;
  readonly onSecond: SecondListener;
  readonly onEjection: EjectionListener;
  readonly onWrite: WriteListener;
  /** Told when a name has got other addresses, and so the network other members. */
  readonly onMembers: () => void;
}

export function openNetwork(options: NetworkOptions): Network {
  const { name, config, resolver, random, log, onAttempt, onSecond, onEjection, onWrite } = options;
  const state = createNetworkState({ ...config, upstreams: [] }, options);
  const pools = new Pools();
  const namesOf = (next: NetworkConfig, before?: Names) =>
    createNames({
      ...{ network: name, config: next, resolver, log, ...(before && { before }) },
      onChange(upstreams) {
        relocate(upstreams);
        options.onMembers();
      },
    });
  let requestCount = 0;
  let onLast: (() => void) | null = null;

  /** Those that stay keep their state and sockets; those that go get nothing new and end what is in flight there. */
  function relocate(upstreams: readonly LocatedUpstream[]): void {
    replaceMembers(state, upstreams);
    pools.replace(
      state.members.map((member, at) => {
        const upstream = upstreams[at];
        if (!upstream) throw new Error('a member is made of each upstream, in order');
        const present = pools.find(member);
        present?.move(upstream.addresses);
        return [member, present ?? openConnections(upstream, network.config, resolver)] as const;
      }),
    );
  }

  const network: Network = {
    name,
    ...rulesOf(options),
    state,
    connectionsOf: (member) => pools.of(member),
    random,
    lateness: new Lateness(config),
    names: namesOf(config),
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
      const next = settings.config;
      const before = network.names;
      const names = namesOf(next, before);
      const upstreams = names.upstreams();
      const stays = stayingOf(before.upstreams(), upstreams);
      const reused = isSameTransport(network.config, next) ? stays : new Set<string>();
      const opened = new Map(
        upstreams
          .filter(({ id }) => !reused.has(id))
          .map((upstream) => [upstream.id, openConnections(upstream, next, resolver)]),
      );
      return () => {
        before.close();
        reconfigureState(state, next, settings);
        replaceMembers(state, upstreams, ({ id }) => stays.has(id));
        pools.replace(state.members.map((member) => [member, opened.get(member.id) ?? pools.of(member)]));
        network.lateness.reconfigure(next);
        Object.assign(network, rulesOf(settings), { names });
      };
    },
    async retire() {
      network.names.close();
      if (requestCount > 0) await new Promise<void>((resolve) => (onLast = resolve));
      await pools.close();
    },
    async close() {
      network.names.close();
      await pools.destroy();
    },
  };
  relocate(network.names.upstreams());
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

/** What else a pool is made of than its upstream. */
function isSameTransport(a: NetworkConfig, b: NetworkConfig): boolean {
  return (
    a.protocol === b.protocol &&
    a.connectTimeout === b.connectTimeout &&
    a.readTimeout === b.readTimeout &&
    a.hostHeader === b.hostHeader
  );
}

/** Ids of the upstreams that are the same ones: otherwise what was learned of the one says nothing of the other. */
function stayingOf(before: readonly UpstreamConfig[], after: readonly UpstreamConfig[]): ReadonlySet<string> {
  const endpoints = new Map(before.map(({ id, url, headers, tls }) => [id, [url, headers, tls]]));
  const same = after.filter(({ id, url, headers, tls }) =>
    isDeepStrictEqual(endpoints.get(id), [url, headers, tls]),
  );
  return new Set(same.map(({ id }) => id));
}
