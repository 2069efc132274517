// Decides: what a sidecar tells the others of itself.
// Must not know: how often, or what the others make of it.
import { z } from 'zod';

/** Version written. Readers accept this and the one before. */
const ATTENDANCE_VERSION = 1;

/** A thousand networks with names of 64 characters. */
const ATTENDANCE_CHARS_MAX = 70_000;

const attendanceSchema = z.object({
  version: z.literal(ATTENDANCE_VERSION),
  /** How many leases it holds. */
  held: z.number().int().nonnegative(),
  /** The networks that it would publish. */
  takes: z.array(z.string().min(1).max(64)),
});

export type Attendance = Omit<z.output<typeof attendanceSchema>, 'version'>;

export function encodeAttendance({ held, takes }: Attendance): string {
  return JSON.stringify({ version: ATTENDANCE_VERSION, held, takes });
}

/** What a sidecar tells of itself; null for what is none of ours. */
export function decodeAttendance(text: string): Attendance | null {
  if (text.length > ATTENDANCE_CHARS_MAX) return null;
  try {
    const { version: _version, ...attendance } = attendanceSchema.parse(JSON.parse(text));
    return attendance;
  } catch {
    return null;
  }
}
