// Decides: how fast an upstream answers lately (peak-sensitive moving average, as in Finagle's Peak EWMA).
// Must not know: failures. Fast ones would look like low latency, so only answers are told, and how long none came.
import type { Member } from './member.ts';

/** What was seen this long ago counts 1/e; an upstream that was slow is tried again after a few of these. */
const DECAY_MS = 10_000;

/** A slower answer is believed at once, a faster one bit by bit. */
export function recordLatency(member: Member, latencyMs: number, now: number): void {
  const before = latencyNow(member, now);
  const keep = Math.exp(-Math.max(0, now - member.latencyAt) / DECAY_MS);
  member.latencyMs =
    before === null || latencyMs > before ? latencyMs : before * keep + latencyMs * (1 - keep);
  member.latencyAt = now;
}

/** An attempt ended without an answer, which would have taken longer still. */
export function recordWait(member: Member, waitedMs: number, now: number): void {
  if (waitedMs > (latencyNow(member, now) ?? 0)) recordLatency(member, waitedMs, now);
}

/** Sinks while nothing is heard, so that an idle upstream gets its chance; null before anything is known. */
export function latencyNow({ latencyMs, latencyAt }: Member, now: number): number | null {
  return latencyMs === null ? null : latencyMs * Math.exp(-Math.max(0, now - latencyAt) / DECAY_MS);
}
