// Decides: which members a network has and how each is connected to, as addresses and the configuration change.
// Must not know: what is sent over the connections.
import { isDeepStrictEqual } from 'node:util';
import {
  createNames,
  type LocatedUpstream,
  type Log,
  type Names,
  type NetworkConfig,
  type Resolver,
  type UpstreamConfig,
} from '@rpc-balancer/shared';
import { type NetworkState, replaceMembers } from '../balance/network-state.ts';
import { openConnections } from './pool.ts';
import { Pools } from './pools.ts';

export interface MembershipOptions {
  /** Of the network. */
  readonly name: string;
  readonly config: NetworkConfig;
  readonly resolver: Resolver;
  readonly log: Log;
  /** Told when a name has got other addresses, and so the network other members. */
  readonly onMembers: () => void;
}

export class Membership {
  readonly pools = new Pools();
  readonly #options: MembershipOptions;
  readonly #state: NetworkState;
  #config: NetworkConfig;
  #names: Names;

  /** @param state gets the members, now and whenever they change */
  constructor(options: MembershipOptions, state: NetworkState) {
    this.#options = options;
    this.#state = state;
    this.#config = options.config;
    this.#names = this.#namesOf(options.config);
    this.#relocate(this.#names.upstreams());
  }

  /** The addresses of the upstreams; each change of them changes the members. */
  get names(): Names {
    return this.#names;
  }

  /**
   * Opens what another configuration needs and returns how it is taken on, at once and without fail. An upstream with
   * the same id, url, headers and tls stays the same member.
   * @throws BalancerError `RPCB_CONFIG`; then nothing has changed
   */
  prepare(next: NetworkConfig): () => void {
    const { resolver } = this.#options;
    const before = this.#names;
    const names = this.#namesOf(next, before);
    const upstreams = names.upstreams();
    const stays = stayingOf(before.upstreams(), upstreams);
    const reused = isSameTransport(this.#config, next) ? stays : new Set<string>();
    const opened = new Map(
      upstreams
        .filter(({ id }) => !reused.has(id))
        .map((upstream) => [upstream.id, openConnections(upstream, next, resolver)]),
    );
    return () => {
      before.close();
      replaceMembers(this.#state, upstreams, ({ id }) => stays.has(id));
      this.pools.replace(
        this.#state.members.map((member) => [member, opened.get(member.id) ?? this.pools.of(member)]),
      );
      this.#config = next;
      this.#names = names;
    };
  }

  #namesOf(config: NetworkConfig, before?: Names): Names {
    const { name, resolver, log, onMembers } = this.#options;
    return createNames({
      ...{ network: name, config, resolver, log, ...(before && { before }) },
      onChange: (upstreams) => {
        this.#relocate(upstreams);
        onMembers();
      },
    });
  }

  /** Those that stay keep their state and sockets; those that go get nothing new and end what is in flight there. */
  #relocate(upstreams: readonly LocatedUpstream[]): void {
    replaceMembers(this.#state, upstreams);
    this.pools.replace(
      this.#state.members.map((member, at) => {
        const upstream = upstreams[at];
        if (!upstream) throw new Error('a member is made of each upstream, in order');
        const present = this.pools.find(member);
        present?.move(upstream.addresses);
        return [member, present ?? openConnections(upstream, this.#config, this.#options.resolver)] as const;
      }),
    );
  }
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
