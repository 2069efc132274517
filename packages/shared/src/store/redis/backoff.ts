// Decides: how long to wait before the next attempt to connect.
// Must not know: what failed, or the clock.

/** A restarting server answers again after some 100 ms; less would only add load to its start. */
const DELAY_FIRST_MS = 100;

/** Long enough to spare a server that is down, short enough to be back in seconds. */
const DELAY_MAX_MS = 5000;

/**
 * Doubles with each attempt up to the limit; half of it is random, so that replicas which lost the same server
 * do not all come back at once.
 * @param attempt 1 for the first
 * @param random gives 0 (inclusive) to 1 (exclusive)
 */
export function reconnectDelayMs(attempt: number, random: () => number): number {
  const longest = Math.min(DELAY_MAX_MS, DELAY_FIRST_MS * 2 ** (attempt - 1));
  return Math.round(longest / 2 + (longest / 2) * random());
}
