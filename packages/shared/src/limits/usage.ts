// Decides: what one process knows of the limit of an upstream: what it sent there in the last minute, and what came back about limits.
// Must not know: what others sent there, or what follows from it.
import { Minute } from './minute.ts';
import { type HeaderOf, type RateLimit, readRateLimit } from './rate-limit.ts';

/** What is used and left of an upstream's limit. Times are epoch ms. */
export interface Budget {
  /** HTTP requests sent in the last minute; a batch is one. */
  readonly attempts: number;
  /** Those of them that were answered with a limit. */
  readonly throttled: number;
  /** Until when nothing is sent there, because it asked for that; null for not. */
  readonly retryAt: number | null;
  /** What the node says is left of its `limit` until `resetAt`; null while it says nothing. */
  readonly left: number | null;
  readonly limit: number | null;
  readonly resetAt: number | null;
}

/** How long a word without an end is believed: a window of a minute is the most usual. */
const WORD_MS = 60_000;

const NO_WORD = { left: null, limit: null, resetAt: null } as const;

export class Usage {
  readonly #attempts = new Minute();
  readonly #throttled = new Minute();
  #word: RateLimit | null = null;
  #wordUntil = 0;

  attempted(now: number): void {
    this.#attempts.add(now);
  }

  throttled(now: number): void {
    this.#throttled.add(now);
  }

  /** Takes note of what an answer says of the limit, if it does. */
  hear(headerOf: HeaderOf, now: number): void {
    const word = readRateLimit(headerOf, now);
    if (word === null) return;
    this.#word = word;
    this.#wordUntil = word.resetAt ?? now + WORD_MS;
  }

  budget(now: number, retryAt: number | null = null): Budget {
    return {
      attempts: this.#attempts.count(now),
      throttled: this.#throttled.count(now),
      retryAt,
      ...((this.#wordUntil > now && this.#word) || NO_WORD),
    };
  }
}

/** What several processes know, together. Of their words the one with the least left is the latest of a window. */
export function addUp(budgets: readonly Budget[], now: number): Budget {
  const sum = (of: (budget: Budget) => number) => budgets.reduce((total, budget) => total + of(budget), 0);
  const retryAt = Math.max(0, ...budgets.map((budget) => budget.retryAt ?? 0));
  const words = budgets.flatMap(({ left, limit, resetAt }) =>
    left === null || (resetAt !== null && resetAt <= now) ? [] : [{ left, limit, resetAt }],
  );
  return {
    attempts: sum(({ attempts }) => attempts),
    throttled: sum(({ throttled }) => throttled),
    retryAt: retryAt > now ? retryAt : null,
    ...(words.toSorted((a, b) => a.left - b.left)[0] ?? NO_WORD),
  };
}
