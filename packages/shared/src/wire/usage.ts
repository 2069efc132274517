// Decides: what a gateway tells of the limits of its upstreams, and the form in which the ranking sums it up.
// Must not know: how often, or who adds it up.
import { z } from 'zod';
import type { Budget } from '../limits/usage.ts';

/** Version written. Readers accept this and the one before. */
const USAGE_VERSION = 1;

/** 256 upstreams with ids of 64 characters have some 50 kB. */
const USAGE_CHARS_MAX = 131_072;

const count = z.number().int().nonnegative();
const instant = z.number().nonnegative();

export const budgetSchema = z.object({
  attempts: count,
  throttled: count,
  retryAt: instant.nullable(),
  left: count.nullable(),
  limit: count.nullable(),
  resetAt: instant.nullable(),
}) satisfies z.ZodType<Budget>;

const usageSchema = z.object({
  version: z.literal(USAGE_VERSION),
  /** By upstream; those of which there is nothing to tell are left out. */
  upstreams: z.record(z.string().min(1).max(64), budgetSchema),
});

export type UsageReport = Readonly<Record<string, Budget>>;

export function encodeUsage(upstreams: UsageReport): string {
  return JSON.stringify({ version: USAGE_VERSION, upstreams });
}

/** What is told of each upstream; null for what is no usage of ours. */
export function decodeUsage(text: string): UsageReport | null {
  if (text.length > USAGE_CHARS_MAX) return null;
  try {
    const result = usageSchema.safeParse(JSON.parse(text));
    return result.success ? result.data.upstreams : null;
  } catch {
    return null;
  }
}
