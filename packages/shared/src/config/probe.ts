// Decides: the keys of a network's probes, their defaults and limits, and which of them go with which protocol.
// Must not know: how a probe is made.
import { z } from 'zod';
import type { ProtocolName } from '../protocols/tables.ts';
import { duration, got, jsonPointer, offOr, section, whole } from './fields.ts';

const STATUS_MIN = 100;
const STATUS_MAX = 599;
const METHODS = ['GET', 'HEAD', 'POST'] as const;
/** Longer than any that is written by hand. */
const TEXT_CHARS_MAX = 1024;
const POINTERS_MAX = 32;

/** A path of a request, with its query. */
function requestPath() {
  return z.string().regex(/^\/[^\s#]{0,1023}$/, {
    error: (issue) => `expected a path that begins with a slash, such as /health${got(issue.input)}`,
  });
}

/** `200`, or `200-299`. Output: the first and the last. */
function statusRange() {
  const expected = 'expected a status such as 200, or a range such as 200-299';
  return z
    .union([z.string(), z.number()], { error: (issue) => `${expected}${got(issue.input)}` })
    .transform((given, context) => {
      const [, first = '', last = first] = /^(\d{3})(?:-(\d{3}))?$/.exec(String(given)) ?? [];
      const range = { first: Number(first), last: Number(last) };
      if (first !== '' && STATUS_MIN <= range.first && range.first <= range.last && range.last <= STATUS_MAX)
        return range;
      context.addIssue({ code: 'custom', message: `${expected}${got(given)}` });
      return z.NEVER;
    });
}

function scalar() {
  return z.union([z.string().max(TEXT_CHARS_MAX), z.number(), z.boolean(), z.null()], {
    error: (issue) => `expected a text, a number, true, false or null${got(issue.input)}`,
  });
}

export const probeSchema = section({
  /** Time from the beginning of one probe to the beginning of the next. */
  interval: duration(100, 3_600_000).default(2000),
  /** Limit of each call of a probe. A synced node answers in milliseconds. */
  timeout: duration(10, 60_000).default(5000),
  /** Tries before a probe is called failed, so that one lost packet excludes nobody. */
  attempts: whole(1, 10).default(3),
  /** Most calls of probes to one upstream in a minute, as plans count them. `off`: as often as `interval` says. */
  maxPerMinute: offOr(whole(1, 1_000_000)).default(null),
  /** How an upstream of an http network is asked; a POST has no body. */
  method: z
    .enum(METHODS, { error: (issue) => `expected ${METHODS.join(', ')}${got(issue.input)}` })
    .optional(),
  /** What it is asked. */
  path: requestPath().optional(),
  /** The answers that are good. */
  status: statusRange().optional(),
  /** What must stand in the answer, by JSON pointer. */
  json: z
    .record(jsonPointer(), scalar())
    .refine((all) => Object.keys(all).length <= POINTERS_MAX, `expected at most ${POINTERS_MAX} pointers`)
    .optional(),
  /** Where an upstream of an http network says its head; without a path, in the answer to the probe itself. */
  head: offOr(section({ path: requestPath().optional(), pointer: jsonPointer() })).optional(),
});

type GivenProbe = z.output<typeof probeSchema>;

/** The keys that only an http network has; the other protocols know by themselves what to ask. */
type HttpProbe = {
  readonly [Key in 'method' | 'path' | 'status' | 'json' | 'head']: Exclude<GivenProbe[Key], undefined>;
};

const HTTP_DEFAULTS: HttpProbe = {
  method: 'GET',
  path: '/health', // What most services have.
  status: { first: 200, last: 299 },
  json: {},
  head: null,
};

interface Network {
  readonly protocol: ProtocolName;
  readonly probe: GivenProbe | null;
}

/** What is wrong with the probe because of the network's `protocol`. */
export function checkProbe({ protocol, probe }: Network, context: z.RefinementCtx): void {
  if (probe === null) return;
  if (protocol === 'http') {
    checkBody(probe, context);
    return;
  }
  for (const key of Object.keys(HTTP_DEFAULTS)) {
    if (!(key in probe)) continue;
    const message = `expected protocol: http for this key, got ${protocol}, which knows by itself what to ask. Remove the key, or set protocol: http`;
    context.addIssue({ code: 'custom', path: ['probe', key], message });
  }
}

/** An answer to HEAD has no body to look into. */
function checkBody({ method, json = {}, head }: GivenProbe, context: z.RefinementCtx): void {
  const looksInto = Object.keys(json).length > 0 || (head && head.path === undefined);
  if (method !== 'HEAD' || !looksInto) return;
  const message =
    'expected GET or POST with json, or with a head without a path: an answer to HEAD has no body';
  context.addIssue({ code: 'custom', path: ['probe', 'method'], message });
}

export function completeProbe(given: GivenProbe | null) {
  if (given === null) return null;
  return {
    ...given,
    method: given.method ?? HTTP_DEFAULTS.method,
    path: given.path ?? HTTP_DEFAULTS.path,
    status: given.status ?? HTTP_DEFAULTS.status,
    json: given.json ?? HTTP_DEFAULTS.json,
    head: given.head ?? HTTP_DEFAULTS.head,
  };
}
