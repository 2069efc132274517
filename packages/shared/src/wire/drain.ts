// Decides: the document that says whether an operator has drained an upstream, and which of two is the later word.
// Must not know: how it is stored, or what a gateway does about it.
import { z } from 'zod';

const DRAIN_VERSION = 1;

/** Longest document: a name and a reason at their limits, every character escaped. */
const DRAIN_CHARS_MAX = 4000;

const drainSchema = z.object({
  version: z.literal(DRAIN_VERSION),
  upstream: z.string().min(1).max(64),
  /** Rises with each word about the upstream, whoever says it: the highest one holds, wherever it was kept. */
  revision: z.number().int().positive(),
  /** False: it was lifted. Kept as well, so that nobody who missed that brings the drain back. */
  drained: z.boolean(),
  /** When it was said, epoch ms. */
  since: z.number().nonnegative(),
  by: z.string().max(128).nullable(),
  reason: z.string().max(300).nullable(),
});

/** The last word of an operator about one upstream. */
export type Drain = z.output<typeof drainSchema>;

/** What an operator may say of it. */
export type DrainNote = Pick<Drain, 'by' | 'reason'>;

/** The word that follows `before`, said at `now`. */
export function nextDrain(
  before: Drain | null,
  { upstream, drained, by, reason, now }: Omit<Drain, 'version' | 'revision' | 'since'> & { now: number },
): Drain {
  const since = Math.floor(now);
  const revision = Math.max((before?.revision ?? 0) + 1, since);
  return { version: DRAIN_VERSION, upstream, revision, drained, since, by, reason };
}

export function encodeDrain(drain: Drain): string {
  return JSON.stringify(drain);
}

/** The document in a stored text; null for what is none of ours. */
export function decodeDrain(text: string): Drain | null {
  if (text.length > DRAIN_CHARS_MAX) return null;
  try {
    const result = drainSchema.safeParse(JSON.parse(text));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

const commandSchema = z.strictObject({
  network: z.string().min(1).max(64),
  upstream: z.string().min(1).max(64),
  by: drainSchema.shape.by.default(null),
  reason: drainSchema.shape.reason.default(null),
});

/** What an operator asks for. */
export type DrainCommand = z.output<typeof commandSchema>;

/** The command that a value is, or what is wrong with it. */
export function readDrainCommand(value: unknown): DrainCommand | { readonly invalid: string } {
  const result = commandSchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  return { invalid: `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not a command'}` };
}
