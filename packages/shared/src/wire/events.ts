// Decides: what is said on the events channel.
// Must not know: how it travels. A lost event is repaired by a slow poll.
import { z } from 'zod';
import { recentWriteSchema } from './recent-write.ts';

/** Longest name of a process: a host name of 253 characters and what makes it unique. */
const INSTANCE_CHARS_MAX = 300;

const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ranking'), network: z.string().max(64), epoch: z.number(), seq: z.number() }),
  z.object({
    type: z.literal('released'),
    network: z.string().max(64),
    heir: z.string().max(INSTANCE_CHARS_MAX).optional(),
  }),
  recentWriteSchema.extend({ type: z.literal('written'), network: z.string().max(64) }),
  z.object({ type: z.literal('drain'), network: z.string().max(64) }),
  z.object({ type: z.literal('reported'), network: z.string().max(64) }),
]);

/**
 * `ranking`: a newer one was published. `released`: the lease of a network is free, and if an heir is named, it is meant
 * for that sidecar. `written`: an upstream took a
 * transaction. `reported`: a gateway tells of failures or of the end of an exclusion.
 * `drain`: an operator drained or undrained.
 */
export type StoreEvent = z.output<typeof eventSchema>;

/** Longest event that is read. */
const EVENT_CHARS_MAX = 1000;

/** The event in a message; null for what is none of ours, such as an event of a newer version. */
export function decodeEvent(text: string): StoreEvent | null {
  if (text.length > EVENT_CHARS_MAX) return null;
  try {
    const result = eventSchema.safeParse(JSON.parse(text));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}
