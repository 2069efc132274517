// Decides: time and chance as tests hand them in.
// Must not know: who asks.

export interface FakeClock {
  readonly now: () => number;
  readonly advance: (ms: number) => void;
}

/** A clock that stands still until it is moved; it begins in 2024 so that header times look real. */
export function createClock(startAt = 1_704_067_200_000): FakeClock {
  let at = startAt;
  return {
    now: () => at,
    advance(ms) {
      at += ms;
    },
  };
}

/** Mulberry32: numbers from 0 up to 1, the same for the same seed. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The elements in an order that the random numbers decide; the input stays as it is. */
export function shuffled<Element>(elements: readonly Element[], random: () => number): Element[] {
  return elements
    .map((element) => ({ element, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ element }) => element);
}
