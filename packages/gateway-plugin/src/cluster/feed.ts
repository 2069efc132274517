// Decides: when the newest ranking is read, and that only a valid and newer one replaces the snapshot.
// Must not know: how rankings are made, or what is picked by them.
import { decodeRanking, type Log, type Store, type StoreEvent } from '@rpc-balancer/shared';
import { adoptSnapshot } from '../balance/network-state.ts';
import { isStale, nextSnapshot } from '../balance/snapshot.ts';
import type { Network } from '../upstream/network.ts';
import { Refresher } from './refresher.ts';

/** Repairs a lost event. Rankings come every two seconds by default; reading as often costs one small command. */
const POLL_MS = 2000;

export interface FeedOptions {
  readonly networks: () => Iterable<Network>;
  readonly store: Store;
  readonly now: () => number;
  readonly log: Log;
  /** Told of every ranking that was refused because it is no valid document. */
  readonly onInvalid: (network: string) => void;
}

/** Reads each network's ranking now, after each event, and every {@link POLL_MS}. */
export function startFeed(options: FeedOptions): Feed {
  return new Feed(options);
}

export class Feed {
  readonly #options: FeedOptions;
  readonly #refresher: Refresher;
  readonly #unsubscribe: () => void;
  readonly #poll: NodeJS.Timeout;
  /** What was wrong with the last ranking, by network. */
  readonly #complaints = new Map<string, string>();
  /** Networks without a fresh ranking. */
  readonly #unserved = new Set<string>();

  constructor(options: FeedOptions) {
    const { networks, store, log } = options;
    this.#options = options;
    this.#refresher = new Refresher((network) =>
      this.#read(network).catch((error: Error) =>
        log.debug({ network: network.name, problem: error.message }, 'no ranking could be read'),
      ),
    );
    this.#unsubscribe = store.subscribe((event) => this.#hear(event));
    this.#poll = setInterval(() => {
      this.#refreshAll();
      for (const network of networks()) this.#watch(network);
    }, POLL_MS);
    this.#refreshAll();
  }

  async stop(): Promise<void> {
    clearInterval(this.#poll);
    this.#unsubscribe();
    await this.#refresher.stop();
  }

  #hear(event: StoreEvent | null): void {
    if (event === null) this.#refreshAll();
    else if (event.type === 'ranking') {
      for (const network of this.#options.networks())
        if (network.name === event.network) this.#refresher.refresh(network);
    }
  }

  #refreshAll(): void {
    for (const network of this.#options.networks())
      if (network.config.probe && !this.#refresher.isReading(network)) this.#refresher.refresh(network);
  }

  async #read({ name, state }: Network): Promise<void> {
    const { store, now } = this.#options;
    const text = await store.readRanking(name);
    if (text === null) return;
    const ranking = decodeRanking(text);
    if ('invalid' in ranking) return this.#refuse(name, ranking.invalid);
    this.#complaints.delete(name);
    const next = nextSnapshot(state.snapshot, ranking, now());
    if (next) adoptSnapshot(state, next);
  }

  /** A line for each problem, not for each read. */
  #refuse(network: string, problem: string): void {
    const { log, onInvalid } = this.#options;
    onInvalid(network);
    if (this.#complaints.get(network) === problem) return;
    this.#complaints.set(network, problem);
    log.warn({ network, problem }, 'a ranking was refused: it is no valid document');
  }

  #watch({ name: network, state }: Network): void {
    const { now, log } = this.#options;
    const { snapshot, rankingMaxAgeMs, probed } = state;
    const stale = probed && (snapshot === null || isStale(snapshot, now(), rankingMaxAgeMs));
    if (stale && !this.#unserved.has(network)) {
      this.#unserved.add(network);
      log.warn(
        { network },
        'no fresh ranking: start a sidecar or set sidecar.embed: always, or check that it reaches the same Redis; serving by passive health',
      );
    } else if (!stale && this.#unserved.delete(network)) {
      log.info({ network, publisher: snapshot?.ranking.publisher }, 'rankings arrive again');
    }
  }
}
