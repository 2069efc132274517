// Decides: what a node's answer says is left of its limit: the RateLimit fields of the IETF drafts, and those in wide use before them.
// Must not know: HTTP clients, whose limit it is. Foreign text: whatever it is, nothing is thrown.

export interface RateLimit {
  /** Requests that may still be sent before `resetAt`. */
  readonly left: number;
  /** Requests allowed in the whole window; null where nobody says. */
  readonly limit: number | null;
  /** When the window ends, epoch ms; null where nobody says. */
  readonly resetAt: number | null;
}

/** The value of a header, by its name in lower case. */
export type HeaderOf = (name: string) => string | null | undefined;

/** A field that lists some policies is far shorter; the rest of a longer one is not looked at. */
const FIELD_CHARS_MAX = 1024;

/** With a dash behind: draft-ietf-httpapi-ratelimit-headers up to 06; GitHub and most gateways; the oldest spelling. */
const SPELLINGS = ['ratelimit', 'x-ratelimit', 'x-rate-limit'].map((prefix) => ({
  left: `${prefix}-remaining`,
  limit: `${prefix}-limit`,
  reset: `${prefix}-reset`,
}));

/** Seconds since 1970 have passed this in 2001, milliseconds have in 1970: what is smaller counts from now. */
const EPOCH_SECONDS_MIN = 1_000_000_000;
const EPOCH_MS_MIN = 1_000_000_000_000;

/** What the answer says of the limit that is nearest to its end; null where it says nothing that can be read. */
export function readRateLimit(headerOf: HeaderOf, now: number): RateLimit | null {
  const field = headerOf('ratelimit');
  const told = field ? readField(field, headerOf('ratelimit-policy') ?? '', now) : null;
  return told ?? readPlain(headerOf, now);
}

/** One field with all in it: drafts 08 and later (`"default";r=50;t=30`), or draft 07 (`limit=100, remaining=50, reset=30`). */
function readField(field: string, policyField: string, now: number): RateLimit | null {
  const policies = new Map(itemsIn(policyField).map((item) => [item.name, item.parameters]));
  const found = itemsIn(field).flatMap(({ name, parameters }) => {
    const policy = policies.get(name);
    const left = wholeIn(parameters.get('r'));
    const unit = policy?.get('qu') ?? 'requests';
    if (left === null || unit !== 'requests') return [];
    return [{ left, limit: wholeIn(policy?.get('q')), resetAt: resetIn(parameters.get('t'), now) }];
  });
  const members = new Map(itemsIn(field).map(({ name }) => pairIn(name)));
  const left = wholeIn(members.get('remaining'));
  if (left !== null)
    found.push({ left, limit: wholeIn(members.get('limit')), resetAt: resetIn(members.get('reset'), now) });
  return found.toSorted((a, b) => a.left - b.left)[0] ?? null;
}

function readPlain(headerOf: HeaderOf, now: number): RateLimit | null {
  for (const names of SPELLINGS) {
    const text = headerOf(names.left); // Missing in most answers.
    const left = text ? wholeIn(text) : null;
    if (left === null) continue;
    return { left, limit: wholeIn(headerOf(names.limit)), resetAt: resetIn(headerOf(names.reset), now) };
  }
  return null;
}

interface Item {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** The items of a list (RFC 9651 section 3.1), as far as one can read it: `"name";key=value, "other";…`. */
function itemsIn(field: string): Item[] {
  return parts(field.slice(0, FIELD_CHARS_MAX), /(?:"[^"]*"|[^",])+/g).map((text) => {
    const [name = '', ...parameters] = parts(text, /(?:"[^"]*"|[^";])+/g);
    return { name: unquoted(name), parameters: new Map(parameters.map(pairIn)) };
  });
}

function parts(text: string, pattern: RegExp): string[] {
  return (text.match(pattern) ?? []).map((part) => part.trim());
}

function pairIn(text: string): [string, string] {
  const [key = '', value = ''] = text.split('=', 2);
  return [key.trim().toLowerCase(), unquoted(value.trim())];
}

function unquoted(text: string): string {
  return text.replace(/^"|"$/g, '');
}

/** The number at the beginning: a limit may be followed by its window, as in `100, 100;w=60`. */
function wholeIn(text: string | null | undefined): number | null {
  const digits = /^\s*(\d{1,15})(?=\s*(?:[.,;]|$))/.exec(text ?? '')?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Seconds from now, seconds or milliseconds since 1970, or a date: each is in use. */
function resetIn(text: string | null | undefined, now: number): number | null {
  const digits = /^\s*(\d{1,15}(?:\.\d{1,9})?)\s*$/.exec(text ?? '')?.[1];
  if (digits === undefined) {
    const at = Date.parse(text ?? '');
    return at >= 0 ? at : null;
  }
  const value = Number(digits);
  if (value >= EPOCH_MS_MIN) return value;
  return value >= EPOCH_SECONDS_MIN ? value * 1000 : now + value * 1000;
}
