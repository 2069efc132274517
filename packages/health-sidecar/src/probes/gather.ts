// Decides: when new heads are told of: those of one block together, and not more often than anybody can use.
// Must not know: heads, upstreams, rankings.

/** The nodes of a network have a block within some milliseconds of each other, and a ranking may tell of all. */
const GATHER_MS = 20;

/** At most 20 times a second, however fast a chain is, or an upstream that plays tricks. */
const APART_MS = 50;

export interface Gather {
  /** There is something new. */
  tell(): void;
  /** Whether there is something new before the other has resolved; those of one block are one. */
  before(other: Promise<unknown>): Promise<boolean>;
}

export function createGather(now: () => number, pause: (ms: number) => Promise<void>): Gather {
  let isNew = false;
  let wake = () => {};
  let lastAt = Number.NEGATIVE_INFINITY;
  return {
    tell() {
      isNew = true;
      wake();
    },
    async before(other) {
      const told = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (!isNew) await Promise.race([other, told]);
      if (!isNew) return false;
      await pause(Math.max(GATHER_MS, lastAt + APART_MS - now()));
      isNew = false;
      lastAt = now();
      return true;
    },
  };
}
