// Decides: which upstreams a network has once the addresses of its names are known.
// Must not know: how a name is resolved, or when.
import { endpointOf } from './endpoint.ts';
import { type NetworkConfig, UPSTREAMS_MAX, type UpstreamConfig } from './network.ts';

/** More nodes than anybody runs behind one name; a resolver gone wild must not fill the ranking. */
const ADDRESSES_MAX = 64;

/** An upstream that may be connected to: with `resolve: each` one address of a name. */
export type LocatedUpstream = UpstreamConfig & {
  /** The id in the configuration: all addresses of a name have one vote together. */
  readonly voter: string;
  /** Where to connect to instead of the host in the URL; empty where that is an address or has not been resolved yet. */
  readonly addresses: readonly string[];
};

/** The name that has to be resolved; null for an upstream whose host is an address, and for one that is not used. */
export function nameOf(upstream: UpstreamConfig): string | null {
  const { hostname } = new URL(endpointOf(upstream).origin);
  // A URL writes every form of an IPv4 address with four numbers, and IPv6 in brackets.
  return upstream.disabled || /^(?:\[.*\]|\d+\.\d+\.\d+\.\d+)$/.test(hostname) ? null : hostname;
}

/**
 * With `resolve: each` every address of a name is an upstream of its own, sorted, so that gateways and sidecars agree.
 * A name without known addresses stays one upstream: it fails with a reason for as long as it does not resolve.
 */
export function locateUpstreams(
  { resolve, upstreams }: Pick<NetworkConfig, 'resolve' | 'upstreams'>,
  addressesOf: (name: string) => readonly string[],
): LocatedUpstream[] {
  const most = Math.min(ADDRESSES_MAX, Math.floor(UPSTREAMS_MAX / upstreams.length));
  return upstreams.flatMap((upstream) => {
    const name = nameOf(upstream);
    const addresses = name === null ? [] : addressesOf(name);
    const located = { ...upstream, voter: upstream.id, addresses };
    if (resolve === 'one' || addresses.length === 0) return [located];
    const used = addresses.toSorted().slice(0, most);
    return used.map((address) => ({ ...located, id: `${upstream.id}@${address}`, addresses: [address] }));
  });
}
