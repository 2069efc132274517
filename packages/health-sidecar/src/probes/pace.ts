// Decides: how often upstreams are probed, so that the calls of the probes keep within a budget.
// Must not know: which calls these are, or when the last probe was.
import type { ProbeConfig } from '@rpc-balancer/shared';

const MINUTE_MS = 60_000;

/** Rounds begin a little early or late: a probe is due after this share of the interval. */
export const DUE_RATIO = 0.9;

/** Rounds are so much shorter or longer, so that networks which started together do not probe in step for ever. */
const JITTER_RATIO = 0.05;

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
