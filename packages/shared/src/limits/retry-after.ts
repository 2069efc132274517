// Decides: how long an upstream that answers with a limit is left alone: as its Retry-After says, else longer each time.
// Must not know: what such an answer looks like, who sends. The clock is handed in. Foreign text: nothing is thrown.

/** First wait after a refusal without Retry-After. */
export const THROTTLE_FIRST_MS = 1000;

export interface Throttle {
  /** Nothing is sent there before this instant, epoch ms; 0 for never throttled. */
  throttledUntil: number;
  /** The wait after the next refusal that names none; {@link THROTTLE_FIRST_MS} again after a success. */
  throttleMs: number;
}

/**
 * What the header asks to wait: seconds, or a date (RFC 9110 section 10.2.3); null where it says neither.
 * @param now wall clock in epoch ms, for a date
 */
export function retryAfterMs(
  header: string | readonly string[] | null | undefined,
  now: number,
): number | null {
  const text = typeof header === 'string' ? header : header?.[0];
  if (text === undefined) return null;
  if (/^\s*\d{1,9}\s*$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/**
 * Takes note of a refusal. Refusals of what was out together say the same thing: only one that comes after the wait makes
 * it longer.
 * @param askedMs what the upstream asked for; null where it named none. 0, as of a date that its clock has passed and ours
 * has not, is none: it would be asked in vain at once
 * @param mostMs the longest wait, whatever it asked for
 * @returns whether this changed anything
 */
export function prolong(
  throttle: Throttle,
  now: number,
  { askedMs, mostMs }: { readonly askedMs: number | null; readonly mostMs: number },
): boolean {
  const named = askedMs !== null && askedMs > 0;
  if (!named && now < throttle.throttledUntil) return false;
  const waitMs = named ? askedMs : throttle.throttleMs;
  if (!named) throttle.throttleMs = Math.min(throttle.throttleMs * 2, mostMs);
  throttle.throttledUntil = Math.max(throttle.throttledUntil, now + Math.min(waitMs, mostMs));
  return true;
}
