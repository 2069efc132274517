// Decides: which networks this replica serves, and how another configuration takes the place of the present one.
// Must not know: where the configuration comes from.
import type { Config } from '@rpc-balancer/shared';
import { type Network, type NetworkOptions, openNetwork } from './network.ts';

/** What all networks share, whatever the configuration says. */
export type Surroundings = Omit<NetworkOptions, 'name' | 'config' | 'limits' | 'rankingMaxAgeMs' | 'zone'>;

export class Networks {
  /** By name, in the order of the configuration. */
  readonly table = new Map<string, Network>();
  readonly #surroundings: Surroundings;
  /** No longer in the configuration, with requests that are not over. */
  readonly #leaving = new Set<Network>();

  /** @throws BalancerError `RPCB_CONFIG` */
  constructor(config: Config, surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.prepare(config)();
  }

  /**
   * Opens what the configuration needs and returns how it is taken on, at once and without fail. Requests in flight
   * go on with what they began with.
   * @throws BalancerError `RPCB_CONFIG`; then nothing has changed
   */
  prepare(config: Config): () => void {
    const { batchLimit, batchAnswerLimit, holdAnswer, zone } = config.gateway;
    const limits = { batchLimit, batchAnswerLimitBytes: batchAnswerLimit, holdAnswerBytes: holdAnswer };
    const rankingMaxAgeMs = config.sidecar.rankingMaxAge;
    const next = Object.entries(config.networks).map(([name, network]) => {
      const settings = { config: network, limits, rankingMaxAgeMs, zone };
      const present = this.table.get(name);
      if (present) return { network: present, takeOn: present.prepare(settings) };
      return { network: openNetwork({ ...this.#surroundings, ...settings, name }), takeOn: () => {} };
    });
    return () => {
      const before = new Set(this.table.values());
      this.table.clear();
      for (const { network, takeOn } of next) {
        takeOn();
        before.delete(network);
        this.table.set(network.name, network);
      }
      for (const network of before) void this.#retire(network);
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.table.values(), ...this.#leaving].map((network) => network.close()));
  }

  async #retire(network: Network): Promise<void> {
    this.#leaving.add(network);
    await network.retire();
    this.#leaving.delete(network);
  }
}
