// Decides: the highest head that this replica has shown to clients, when it may fall, and how high an answer is believed.
// Must not know: upstreams, answers. Numbers and instants are handed in.
import { LRUCache } from 'lru-cache';
import type { Snapshot } from './snapshot.ts';

/** What calls need of the chain: the upstream's head, or its finalized block, at or above these. */
export interface BlockNeed {
  /** 0: any. */
  readonly head: number;
  /** An upstream whose head was last seen before this instant may have reached it by now; 0: what was seen counts. */
  readonly since: number;
  /** False: the tier is not left for it. A node next door that is a block late is better than one that costs. */
  readonly anyTier: boolean;
  /** 0: any. */
  readonly finalized: number;
}

/** Blocks whose height is remembered by their hash: half a day of Ethereum, some 500 kB. */
const HEIGHTS_MAX = 4096;

/** How much faster than learned a chain may grow before a head is implausible; that of the sidecar. */
const GROWTH_TOLERANCE = 3;

/** Assumed until an interval is learned; that of the sidecar. */
const UNLEARNED_INTERVAL_MS = 100;

export interface HeadsOptions {
  readonly maxLagBlocks: number;
  /** After this long every sample of a ranking is younger than what was seen before; probe interval + timeout. */
  readonly settleMs: number;
}

/** A head that is believed, and when. */
export interface Anchor {
  readonly number: number;
  readonly at: number;
  readonly blockIntervalMs: number | null;
}

export class Heads {
  #options: HeadsOptions;
  readonly #heights = new LRUCache<string, number>({ max: HEIGHTS_MAX });
  readonly #watchers = new Set<(head: number) => void>();
  #mark = 0;
  #roseAt = 0;
  #seenAt = 0;
  #regressions = 0;

  constructor(options: HeadsOptions) {
    this.#options = options;
  }

  /** Takes on another configuration; what was seen stays. */
  reconfigure(options: HeadsOptions): void {
    this.#options = options;
  }

  get settleMs(): number {
    return this.#options.settleMs;
  }

  /** The highest head that was answered or read from a ranking; 0 for none. */
  get mark(): number {
    return this.#mark;
  }

  /** How often the head went back for clients: answers below the mark that were let through, and falls of the mark. */
  get regressions(): number {
    return this.#regressions;
  }

  /** When the mark came to where it stands. */
  get roseAt(): number {
    return this.#roseAt;
  }

  /**
   * A newer ranking: what most upstreams have is the mark, and what one of them has is worth waiting for. A mark that
   * it makes implausible came from a lie before the first ranking, or from a chain that is gone.
   */
  read({ ranking, acceptedAt }: Snapshot): void {
    const { head, upstreams, blockIntervalMs } = ranking;
    if (head !== null) {
      const ranked = { number: head.number, at: acceptedAt, blockIntervalMs };
      if (head.number >= this.#mark) this.raise(head.number, acceptedAt);
      else if (this.#mark > this.ceiling(ranked, acceptedAt)) this.#move(head.number, acceptedAt);
      else this.fall(head.number, acceptedAt);
    }
    let highest = 0;
    for (const { head: own, reason } of upstreams) {
      if (own === null || reason === 'suspect' || reason === 'wrong_chain') continue;
      if (own.hash !== null) this.learnHeight(own.hash, own.number);
      highest = Math.max(highest, own.number);
    }
    this.announce(highest);
  }

  /** A client was shown this head, or most upstreams have it. */
  raise(head: number, now: number): void {
    if (head < this.#mark) return;
    if (head > this.#mark) this.#move(head, now);
    this.#seenAt = now;
  }

  /**
   * A head below the mark is all there is: the mark follows it only when it fell deeper than upstreams may lag, and
   * nobody has shown the mark for so long that whoever still had it would be known.
   */
  fall(head: number, now: number): void {
    const { maxLagBlocks, settleMs } = this.#options;
    if (this.#mark - head > maxLagBlocks && now - this.#seenAt > settleMs) this.#move(head, now);
  }

  /** An answer below the mark is let through. It counts once, whether the mark follows or not. */
  concede(head: number, now: number): void {
    const regressions = this.#regressions + 1;
    this.fall(head, now);
    this.#regressions = regressions;
  }

  #move(head: number, now: number): void {
    if (head < this.#mark) this.#regressions++;
    this.#mark = head;
    this.#roseAt = now;
    this.#seenAt = now;
  }

  /**
   * The highest head that an answer is believed to show; infinite while nothing is known.
   * @param ranked what the ranking believes, while it is fresh
   */
  ceiling(ranked: Anchor | null, now: number): number {
    if (ranked === null && this.#mark === 0) return Number.POSITIVE_INFINITY;
    const { number, at, blockIntervalMs } = ranked ?? {
      number: this.#mark,
      at: this.#seenAt,
      blockIntervalMs: null,
    };
    const elapsedMs = now - at + this.#options.settleMs;
    const growth = (GROWTH_TOLERANCE * elapsedMs) / (blockIntervalMs ?? UNLEARNED_INTERVAL_MS);
    return number + this.#options.maxLagBlocks + growth;
  }

  learnHeight(hash: string, height: number): void {
    this.#heights.set(hash, height);
  }

  heightOf(hash: string): number | null {
    return this.#heights.get(hash) ?? null;
  }

  /** An upstream has this head: wakes those who wait for it. */
  announce(head: number): void {
    for (const watcher of this.#watchers) watcher(head);
  }

  /** Calls back for every head that an upstream has shown; gives back how to stop that. */
  watch(watcher: (head: number) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
