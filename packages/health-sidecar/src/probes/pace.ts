// Decides: how often upstreams are probed, so that the calls of the probes keep within a budget, and how long what they found counts.
// Must not know: which calls these are, or when the last probe was.
import type { ProbeConfig } from '@rpc-balancer/shared';

const MINUTE_MS = 60_000;

/** Rounds begin a little early or late: a probe is due after this share of the interval. */
export const DUE_RATIO = 0.9;

/** Rounds are so much shorter or longer, so that networks which started together do not probe in step for ever. */
const JITTER_RATIO = 0.05;

/** In the first round nobody is judged before who was not heard, and those who were decide nothing alone, also where probes are more frequent. */
export const SETTLE_MIN_MS = 1000;

/** A ranking is published at least so many times in its life, so that two lost publications do not make it stale. */
const PUBLICATIONS_PER_AGE = 3;

export interface Pace {
  readonly probe: ProbeConfig;
  /** From one round to the next. */
  readonly periodMs: number;
  /** A good sample counts while the next probe may still be on its way. */
  readonly freshMs: number;
  /** The word of a probe is waited for until the end of its round, a little early or late. */
  readonly overdueMs: number;
}

/** @param callsMax most calls of one probe */
export function paceOf(
  configured: ProbeConfig,
  { callsMax, rankingMaxAgeMs }: { readonly callsMax: number; readonly rankingMaxAgeMs: number },
): Pace {
  const probe = paced(configured, callsMax);
  const { interval, timeout } = probe;
  return {
    probe,
    periodMs: Math.min(interval, rankingMaxAgeMs / PUBLICATIONS_PER_AGE),
    freshMs: Math.max(3 * interval, interval + timeout),
    overdueMs: Math.max(SETTLE_MIN_MS, interval * DUE_RATIO),
  };
}

/**
 * The configured probe, or a slower one where the budget of each upstream wants it. A new publisher probes at once,
 * whenever the one before did: the budget has room for one such probe in a minute, if it has room for two at all.
 * A failed probe is not tried again at once, because that would spend what the next probes need.
 * @param callsMax most calls of one probe
 */
export function paced(probe: ProbeConfig, callsMax: number): ProbeConfig {
  const { maxPerMinute } = probe;
  if (maxPerMinute === null) return probe;
  const affordable = maxPerMinute / callsMax;
  const perMinute = affordable < 1 ? affordable : Math.max(1, Math.floor(affordable) - 1);
  const leastMs = Math.ceil(MINUTE_MS / perMinute / DUE_RATIO);
  return { ...probe, interval: Math.max(probe.interval, leastMs), attempts: 1 };
}

/** How long this round lasts. */
export function jittered(periodMs: number, random: () => number): number {
  return periodMs * (1 + JITTER_RATIO * (2 * random() - 1));
}
