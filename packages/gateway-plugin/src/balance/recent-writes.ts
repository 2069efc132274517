// Decides: which upstream took a transaction lately, so that its sender reads back what was written.
// Must not know: transactions, other replicas. Subjects are a transaction's hash or its sender's address.
import { LRUCache } from 'lru-cache';

/** Two subjects for each write: the last 5,000 writes, some 2 MB. */
const SUBJECTS_MAX = 10_000;

/** After so many blocks the others have the transaction as well, from their peers or in a block. */
const CAUGHT_UP_BLOCKS = 3;

/** Five blocks of Ethereum: where heads are unknown, and where no block comes. */
export const RECENT_WRITE_MS = 60_000;

interface Taken {
  /** Id of the upstream. */
  readonly by: string;
  /** Head when this replica heard of it; 0 for unknown. */
  readonly head: number;
  readonly until: number;
}

export class RecentWrites {
  readonly #taken = new LRUCache<string, Taken>({ max: SUBJECTS_MAX });

  note(subjects: readonly string[], by: string, head: number, now: number): void {
    for (const subject of subjects) this.#taken.set(subject, { by, head, until: now + RECENT_WRITE_MS });
  }

  /** Another upstream has shown it. */
  forget(subject: string): void {
    this.#taken.delete(subject);
  }

  /** The id of the upstream that took what the subject is about; null when any will do. */
  takerOf(subject: string, head: number, now: number): string | null {
    const taken = this.#taken.get(subject);
    if (taken === undefined) return null;
    const caughtUp = taken.head > 0 && head >= taken.head + CAUGHT_UP_BLOCKS;
    if (!caughtUp && now < taken.until) return taken.by;
    this.#taken.delete(subject);
    return null;
  }
}
