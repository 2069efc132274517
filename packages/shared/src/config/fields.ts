// Decides: how the scalars of the configuration are written (durations, sizes, switches, URLs, globs).
// Must not know: which key a scalar belongs to.
import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { redactUrl, shownKey } from '../redact.ts';

const DURATION_UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const SIZE_UNITS_BYTES = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const;

/** A typo is worth a suggestion up to this edit distance; further away it would be a guess. */
const SUGGESTION_EDITS_MAX = 3;

/** A strict object whose unknown keys are errors that name the nearest known key. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? unknownKeys(issue.keys, known) : undefined),
  });
}

function unknownKeys(keys: readonly string[], known: readonly string[]): string {
  const lines = keys.map((key) => {
    const nearest = closest(key, known);
    const edits = distance(key, nearest);
    const near = edits <= SUGGESTION_EDITS_MAX && edits < nearest.length;
    return `unknown key "${shownKey(key)}"; ${near ? `did you mean "${nearest}"?` : `known keys: ${known.join(', ')}`}`;
  });
  return lines.join('; ');
}

/** `500ms`, `2s`, `5m`, `1h`, or an integer of milliseconds. Output: milliseconds. */
export function duration(minMs = 1, maxMs = 366 * 24 * 3_600_000) {
  return z
    .union([z.string(), z.number()], {
      error: (issue) => `expected a duration such as 500ms, 2s, 5m or 1h${got(issue.input)}`,
    })
    .transform((value, context) => {
      const ms = typeof value === 'number' ? value : withUnit(value, DURATION_UNITS_MS);
      if (ms === undefined || !Number.isSafeInteger(ms)) {
        return fail(
          context,
          `expected a duration${got(value)}; write 500ms, 2s, 5m, 1h or a number of milliseconds`,
        );
      }
      if (ms < minMs || ms > maxMs) {
        return fail(context, `expected a duration from ${minMs} ms to ${maxMs} ms, got ${ms} ms`);
      }
      return ms;
    });
}

/** A duration, or `p50` to `p99`: the time within which that share of the calls was answered lately. */
export function quantileOrDuration() {
  return z.union([
    z
      .string()
      .regex(/^p[5-9]\d$/)
      .transform((text) => ({ quantile: Number(text.slice(1)) / 100 })),
    duration(1, 3_600_000),
  ]);
}

/** `256kb`, `10mb`, or an integer of bytes. Output: bytes. */
export function size(minBytes = 1, maxBytes = 1024 ** 3) {
  return z
    .union([z.string(), z.number()], {
      error: (issue) => `expected a size such as 256kb or 10mb${got(issue.input)}`,
    })
    .transform((value, context) => {
      const bytes = typeof value === 'number' ? value : withUnit(value, SIZE_UNITS_BYTES);
      if (bytes === undefined || !Number.isSafeInteger(bytes)) {
        return fail(context, `expected a size${got(value)}; write 256kb, 10mb or a number of bytes`);
      }
      if (bytes < minBytes || bytes > maxBytes) {
        return fail(context, `expected a size from ${minBytes} to ${maxBytes} bytes, got ${bytes}`);
      }
      return bytes;
    });
}

function withUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const parts = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim());
  const unit = units[parts?.[2]?.toLowerCase() ?? ''];
  return parts && unit !== undefined ? Math.round(Number(parts[1]) * unit) : undefined;
}

/** `on` / `off`, or `true` / `false`. Output: boolean. */
export function onOff() {
  return z
    .union([z.boolean(), z.enum(['on', 'off'])], {
      error: (issue) => `expected on or off${got(issue.input)}`,
    })
    .transform((value) => value === true || value === 'on');
}

/** `off` (or `false`), else what `schema` says. Output: `null` when off. */
export function offOr<Schema extends z.ZodType>(schema: Schema) {
  return z.union([z.literal(['off', false]).transform(() => null), schema]);
}

/** A whole number in a range. */
export function whole(min: number, max: number) {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z
    .number({ error: (issue) => `${expected}${got(issue.input)}` })
    .int({ error: (issue) => `${expected}${got(issue.input)}` })
    .min(min, { error: (issue) => `${expected}${got(issue.input)}` })
    .max(max, { error: (issue) => `${expected}${got(issue.input)}` });
}

/** A word that is safe as path segment, metric label and part of a Redis name. */
export function identifier() {
  return z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, {
    error: (issue) =>
      `expected 1 to 64 letters, digits, "-", "_", "." or "@", beginning with a letter or digit${got(issue.input)}`,
  });
}

/** A URL of one of the given schemes. What was found is not repeated: a URL may hold a key. */
export function url(schemes: readonly string[], example: string) {
  return z.string().refine((text) => hasScheme(text, schemes), {
    error: `expected a URL beginning with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}, without fragment, special characters of a password percent-encoded; write e.g. ${example}`,
  });
}

function hasScheme(text: string, schemes: readonly string[]): boolean {
  const parts = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/?#\s]*@)?([^/?#\s]*)([^\s#]*)$/i.exec(text);
  const [, scheme = '', host = '', path = ''] = parts ?? [];
  if (!schemes.includes(scheme.toLowerCase())) return false;
  // A socket has a path instead of a host; any other path than a database means that a password holds a slash.
  if (scheme.toLowerCase() === 'unix') return host === '' && path.length > 1;
  if (scheme.toLowerCase().startsWith('redis') && !/^(?:\/\d*)?(?:\?.*)?$/.test(path)) return false;
  if (!URL.canParse(`http://${host}`)) return false; // Such as 999.1.1.1
  const address = /^(?:\[[0-9a-f:.]+\]|[^:@[\]]+)(?::(\d{1,5}))?$/i.exec(host);
  if (!address) return false;
  const port = Number(address[1] ?? 1);
  return port > 0 && port < 65_536;
}

/** A certificate or key as PEM text. */
export function pem() {
  return z.string().regex(/^\s*-----BEGIN [A-Z0-9 ]+-----/, {
    error: 'expected PEM text; write e.g. ${file:/etc/ssl/ca.pem}',
  });
}

const GLOB = /^[\w.*/-]{1,128}$/;
const GLOB_EXPECTED = 'expected a method or a glob such as "debug_*"';

/** A key that is a method, or a glob of methods in which `*` stands for any text. */
export function globKey() {
  return z.string().regex(GLOB, GLOB_EXPECTED);
}

/** Deeper than any document that is read here. */
const POINTER_CHARS_MAX = 1024;

/** A JSON pointer, RFC 6901; the empty one is the whole document. */
export function jsonPointer() {
  return z
    .string()
    .max(POINTER_CHARS_MAX)
    .regex(/^(?:\/(?:[^~/]|~[01])*)*$/, {
      error: (issue) =>
        `expected a JSON pointer (RFC 6901), such as /status or /checks/0/ok${got(issue.input)}`,
    });
}

/** A list of method globs. */
export function globs() {
  return z
    .array(z.string().regex(GLOB, { error: (issue) => `${GLOB_EXPECTED}${got(issue.input)}` }))
    .max(200);
}

/** Longest wrong value that is shown: one that is cut could not be found any more by those who hide secrets. */
const SHOWN_CHARS_MAX = 60;

/** Shows a wrong value in an error message. Never used for a field that may hold a secret. */
export function got(value: unknown): string {
  if (value === undefined) return ', got nothing';
  // A URL in the wrong place may still hold a key.
  const text = (JSON.stringify(value) ?? String(value)).replace(/[a-z][a-z0-9+.-]*:\/\/[^\s"]*/gi, redactUrl);
  return `, got ${text.length > SHOWN_CHARS_MAX ? `${text.length} characters` : text}`;
}

function fail(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
