// Decides: what gateways tell each other of a transaction that an upstream took.
// Must not know: how it is stored, or who reads it back.
import { z } from 'zod';

/** A transaction has a hash and a sender. */
const SUBJECTS_MAX = 2;

export const recentWriteSchema = z.object({
  /** Id of the upstream that took it. */
  upstream: z.string().min(1).max(64),
  /** The transaction's hash and, where it could be recovered, its sender's address. */
  subjects: z.array(z.string().min(1).max(66)).min(1).max(SUBJECTS_MAX),
});

export type RecentWrite = z.output<typeof recentWriteSchema>;

/** The write in a stored text; null for what is none of ours. */
export function decodeRecentWrite(text: string): RecentWrite | null {
  try {
    const result = recentWriteSchema.safeParse(JSON.parse(text));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}
