// Decides: what a gateway tells of itself with each heartbeat.
// Must not know: how often, or what the others make of it.
import { z } from 'zod';

/** Version written. Readers accept this and the one before. */
const BEAT_VERSION = 1;

/** 256 upstreams with ids of 64 characters have some 20 kB. */
const BEAT_CHARS_MAX = 32_768;

const beatSchema = z.object({
  version: z.literal(BEAT_VERSION),
  /** Attempts in flight by upstream; those without are left out. */
  inFlight: z.record(z.string().min(1).max(64), z.number().int().positive()),
});

export type InFlight = z.output<typeof beatSchema>['inFlight'];

export function encodeBeat(inFlight: InFlight): string {
  return JSON.stringify({ version: BEAT_VERSION, inFlight });
}

/** The attempts in flight that a beat tells of; null for what is no beat of ours. */
export function decodeBeat(text: string): InFlight | null {
  if (text.length > BEAT_CHARS_MAX) return null;
  try {
    const result = beatSchema.safeParse(JSON.parse(text));
    return result.success ? result.data.inFlight : null;
  } catch {
    return null;
  }
}
