// Decides: names and units of the metrics that tell what the last ranking says of each upstream.
// Must not know: how it was worked out.
import type { RankedUpstream } from '@rpc-balancer/shared';
import { Gauge, type Registry } from 'prom-client';
import type { Network } from '../upstream/network.ts';

interface RankedMetric {
  readonly name: string;
  readonly help: string;
  /** Null: nothing is told. */
  readonly read: (upstream: RankedUpstream) => number | null;
}

const METRICS: readonly RankedMetric[] = [
  {
    name: 'rpc_balancer_upstream_lag_blocks',
    help: 'Blocks behind the head of the network',
    read: ({ lagBlocks }) => lagBlocks,
  },
  {
    name: 'rpc_balancer_upstream_load',
    help: 'Load of the upstream, in the unit of its source',
    read: ({ load }) => load,
  },
  {
    name: 'rpc_balancer_upstream_used_attempts',
    help: 'Sent by the whole cluster in the last minute, probes included',
    read: ({ budget }) => budget?.attempts ?? null,
  },
  {
    name: 'rpc_balancer_upstream_throttled_attempts',
    help: 'Answered with a limit in the last minute',
    read: ({ budget }) => budget?.throttled ?? null,
  },
  {
    name: 'rpc_balancer_upstream_left_attempts',
    help: 'Left of its limit, as the upstream says',
    read: ({ budget }) => budget?.left ?? null,
  },
];

export function registerRanked(networks: () => Iterable<Network>, registers: Registry[]): void {
  for (const { name, help, read } of METRICS) {
    new Gauge({
      ...{ name, help, labelNames: ['network', 'upstream'], registers },
      collect() {
        this.reset();
        for (const { name: network, state } of networks()) {
          for (const ranked of state.snapshot?.ranking.upstreams ?? []) {
            const value = read(ranked);
            if (value !== null) this.set({ network, upstream: ranked.id }, value);
          }
        }
      },
    });
  }
}
