// Decides: what a probe asks seldom only: what a node is, and whether it lets batches through that it refused.
// Must not know: what the answers mean.
import type { Batches } from './protocol.ts';

/** A runtime upgrade is seen within minutes, and the list of methods is long; batches may be let through again. */
const SELDOM_MS = 600_000;

export class Seldom {
  readonly #now: () => number;
  readonly #isCounted: boolean;
  readonly #describedAt = new Map<string, number>();
  readonly #refusedBatchAt = new Map<string, number>();

  /** @param isCounted whether the calls of the probes are: a batch that is refused costs some, so there is none then */
  constructor(now: () => number, isCounted: boolean) {
    this.#now = now;
    this.#isCounted = isCounted;
  }

  /** Whether an upstream is to be asked what it is. */
  describes(id: string): boolean {
    return this.#isLongAgo(this.#describedAt.get(id));
  }

  described(id: string, at: number): void {
    this.#describedAt.set(id, at);
  }

  batchesOf(id: string): Batches {
    return {
      areRefused: () => this.#isCounted || !this.#isLongAgo(this.#refusedBatchAt.get(id)),
      refused: () => this.#refusedBatchAt.set(id, this.#now()),
    };
  }

  forget(id: string): void {
    this.#describedAt.delete(id);
    this.#refusedBatchAt.delete(id);
  }

  #isLongAgo(at = Number.NEGATIVE_INFINITY): boolean {
    return this.#now() - at >= SELDOM_MS;
  }
}
