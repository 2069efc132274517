// Decides: names and units of the metrics that tell one number of each network.
// Must not know: how it was worked out.
import { Counter, Gauge, type Registry } from 'prom-client';
import { isStale } from '../balance/snapshot.ts';
import type { Network } from '../upstream/network.ts';

interface NetworkMetric {
  readonly name: string;
  readonly help: string;
  /** Null: nothing is told. */
  readonly read: (network: Network, now: number) => number | null;
}

const GAUGES: readonly NetworkMetric[] = [
  {
    name: 'rpc_balancer_network_head_blocks',
    help: 'Head of the network',
    read: ({ state }) => state.snapshot?.ranking.head?.number ?? null,
  },
  {
    name: 'rpc_balancer_network_stalled',
    help: '1 while there is no new block, though due',
    read({ state }) {
      const ranking = state.snapshot?.ranking;
      return ranking?.head ? Number(ranking.stalledSince !== undefined) : null;
    },
  },
  {
    name: 'rpc_balancer_ranking_age_seconds',
    help: 'Time since the last ranking was accepted',
    read: ({ state }, now) => (state.snapshot ? (now - state.snapshot.acceptedAt) / 1000 : null),
  },
  {
    name: 'rpc_balancer_ranking_fresh',
    help: '1 while the accepted ranking is not too old, 0 without one',
    read({ state: { snapshot, rankingMaxAgeMs, probed } }, now) {
      const fresh = snapshot !== null && !isStale(snapshot, now, rankingMaxAgeMs);
      return probed ? Number(fresh) : null;
    },
  },
  {
    name: 'rpc_balancer_ranking_epoch',
    help: 'Fencing token of the accepted ranking',
    read: ({ state }) => state.snapshot?.ranking.epoch ?? null,
  },
  {
    name: 'rpc_balancer_config_mismatch',
    help: '1 while the publisher has another configuration of the network',
    read: ({ state, hash }) => (state.snapshot ? Number(state.snapshot.ranking.configHash !== hash) : null),
  },
];

export function registerNetworks(
  networks: () => Iterable<Network>,
  now: () => number,
  registers: Registry[],
): void {
  for (const { name, help, read } of GAUGES) {
    new Gauge({
      ...{ name, help, labelNames: ['network'], registers },
      collect() {
        this.reset();
        for (const network of networks()) {
          const value = read(network, now());
          if (value !== null) this.set({ network: network.name }, value);
        }
      },
    });
  }
  new Counter({
    name: 'rpc_balancer_head_regressions_total',
    help: 'How often the head went back for clients, because nobody had anything better',
    labelNames: ['network'],
    registers,
    collect() {
      this.reset();
      for (const { name, state } of networks()) this.labels(name).inc(state.heads.regressions);
    },
  });
}
