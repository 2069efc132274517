// Decides: what is shown of one network: its newest ranking, and what was found of its upstreams beside that.
// Must not know: leases, metrics, when anything is probed.
import { configHash, type NetworkConfig, type Ranking } from '@rpc-balancer/shared';
import type { NodeFacts, Sample } from './samples.ts';
import type { NetworkStatus, UpstreamStatus } from './status.ts';

/** What was found of the upstreams of one network. */
export class Findings {
  readonly #details = new Map<string, string>();
  readonly #facts = new Map<string, NodeFacts>();
  readonly #loadDetails = new Map<string, string>();
  readonly #pushedAt = new Map<string, number>();

  sampled(upstream: string, sample: Sample): void {
    if (sample.failure !== null) {
      this.#details.set(upstream, sample.detail);
      return;
    }
    this.#details.delete(upstream);
    if (sample.facts) this.#facts.set(upstream, sample.facts);
  }

  /** @param problem why there is no load; null for a good one */
  loaded(upstream: string, problem: string | null): void {
    if (problem === null) this.#loadDetails.delete(upstream);
    else this.#loadDetails.set(upstream, problem);
  }

  /** The upstream told of a head by itself. */
  pushed(upstream: string, at: number): void {
    this.#pushedAt.set(upstream, at);
  }

  /** Forgets all other upstreams. */
  keep(upstreams: ReadonlySet<string>): void {
    for (const found of [this.#details, this.#loadDetails, this.#facts, this.#pushedAt])
      for (const id of found.keys()) if (!upstreams.has(id)) found.delete(id);
  }

  shownWith(ranking: Ranking): Partial<NetworkStatus> {
    const { seq, identity, head, finalized, blockIntervalMs, stalledSince, generatedAt } = ranking;
    return {
      seq,
      ...(identity !== null && { identity }),
      headNumber: head?.number ?? null,
      finalized,
      blockIntervalMs,
      stalledSince: stalledSince ?? null,
      generatedAt,
      upstreams: ranking.upstreams.map((upstream) => this.#shownOf(upstream)),
    };
  }

  #shownOf(upstream: Ranking['upstreams'][number]): UpstreamStatus {
    const { head, finalized: _finalized, restartedAt = null, ...shown } = upstream;
    return {
      ...shown,
      restartedAt,
      facts: this.#facts.get(shown.id) ?? null,
      pushedAt: this.#pushedAt.get(shown.id) ?? null,
      headNumber: head?.number ?? null,
      detail: this.#details.get(shown.id) ?? null,
      loadDetail: this.#loadDetails.get(shown.id) ?? null,
    };
  }
}

/** What is told of a network for which nothing was published. */
export function emptyStatus(network: string, config: NetworkConfig): NetworkStatus {
  return {
    network,
    state: 'off',
    epoch: null,
    seq: null,
    publishedCount: 0,
    fencedCount: 0,
    configHash: configHash(config),
    identity: config.identity ?? null,
    headNumber: null,
    finalized: null,
    blockIntervalMs: null,
    stalledSince: null,
    generatedAt: null,
    upstreams: [],
  };
}
