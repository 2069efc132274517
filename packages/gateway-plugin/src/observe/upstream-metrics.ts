// Decides: names and units of the metrics that tell how this replica itself sees each upstream.
// Must not know: how it came to that.
import { isHard } from '@rpc-balancer/shared';
import { Gauge, type Registry } from 'prom-client';
import { reasonsNow } from '../balance/network-state.ts';
import type { Network } from '../upstream/network.ts';

interface UpstreamMetric {
  readonly name: string;
  readonly help: string;
  /** Besides the network. */
  readonly labelNames: readonly string[];
  /** Nothing is told of an upstream that is left out. */
  readonly read: (network: Network, now: number) => readonly Reading[];
}

interface Reading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const METRICS: readonly UpstreamMetric[] = [
  {
    name: 'rpc_balancer_upstream_in_flight',
    help: 'Attempts in flight',
    labelNames: ['upstream'],
    read: ({ state }) =>
      state.members.map(({ id, inFlight }) => ({ labels: { upstream: id }, value: inFlight })),
  },
  {
    name: 'rpc_balancer_upstream_in_flight_elsewhere',
    help: 'Lasting attempts in flight at another replica, in the mean of all others',
    labelNames: ['upstream'],
    read: ({ state }) =>
      state.members.map(({ id, inFlightElsewhere }) => ({
        labels: { upstream: id },
        value: inFlightElsewhere,
      })),
  },
  {
    name: 'rpc_balancer_upstream_excluded',
    help: '1 while an upstream is not picked for a reason',
    labelNames: ['upstream', 'reason', 'kind'],
    read({ state }, now) {
      const reasons = reasonsNow(state, now);
      return state.members.flatMap(({ id, index }) => {
        const reason = reasons[index];
        if (!reason) return [];
        const kind = isHard(reason) ? 'hard' : 'soft';
        return [{ labels: { upstream: id, reason, kind }, value: 1 }];
      });
    },
  },
  {
    name: 'rpc_balancer_upstream_unresolved',
    help: '1 while the host name of an upstream does not resolve',
    labelNames: ['upstream'],
    read: ({ names }) => names.unresolved().map((upstream) => ({ labels: { upstream }, value: 1 })),
  },
];

export function registerUpstreams(
  networks: () => Iterable<Network>,
  now: () => number,
  registers: Registry[],
): void {
  for (const { name, help, labelNames, read } of METRICS) {
    new Gauge({
      ...{ name, help, labelNames: ['network', ...labelNames], registers },
      collect() {
        this.reset();
        for (const network of networks()) {
          for (const { labels, value } of read(network, now()))
            this.set({ network: network.name, ...labels }, value);
        }
      },
    });
  }
}
