// Decides: what one gateway tells the others of its attempts: failures, and exclusions that ended.
// Must not know: what counts as a failure, or what the others make of it.
import { z } from 'zod';

/** Version written. Readers accept this and the one before. */
const REPORT_VERSION = 1;

/** 256 upstreams have some 40 kB. */
const REPORT_CHARS_MAX = 65_536;

const count = z.number().int().nonnegative();

const reportedSchema = z.object({
  id: z.string().min(1).max(64),
  /** A trial has succeeded; comes before the failures of the same report. */
  admitted: z.boolean(),
  /** Failures since the last report. */
  fails: count,
  /** Failures since the writer's last success, those above included: what it had told before and a success undid no longer counts. */
  streak: count,
  /** How long ago the first of the failures was when this was written. */
  ageMs: z.number().nonnegative(),
  /** Whether the writer excludes the upstream now. */
  ejected: z.boolean(),
});

const reportSchema = z.object({
  version: z.literal(REPORT_VERSION),
  /** The gateway that writes it. */
  by: z.string().min(1).max(128),
  upstreams: z.array(reportedSchema).max(256),
});

export type ReportedUpstream = z.output<typeof reportedSchema>;
export type Report = Omit<z.output<typeof reportSchema>, 'version'>;

export function encodeReport({ by, upstreams }: Report): string {
  return JSON.stringify({ version: REPORT_VERSION, by, upstreams });
}

/** The report in a stored text; null for what is none of ours. */
export function decodeReport(text: string): Report | null {
  if (text.length > REPORT_CHARS_MAX) return null;
  try {
    const result = reportSchema.safeParse(JSON.parse(text));
    return result.success ? { by: result.data.by, upstreams: result.data.upstreams } : null;
  } catch {
    return null;
  }
}
