// Decides: where the members of a JSON-RPC 2.0 envelope stand in the bytes, so that they can be relayed unchanged.
// Must not know: networks, upstreams, HTTP. Parsing and printing would damage integers above 2^53.

/** A half-open range of bytes. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The members of one envelope, each where its value stands. `end` is -1 when the bytes stop before it does. */
export interface Envelope extends Span {
  readonly jsonrpc: Span | undefined;
  readonly id: Span | undefined;
  readonly method: Span | undefined;
  readonly params: Span | undefined;
  readonly result: Span | undefined;
  readonly error: Span | undefined;
  /** A member twice, or in another case: Go takes `Method` for `method`, others do not. */
  readonly ambiguous: boolean;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const CUT = -1;

/** Finds the envelope that begins at `at`; null when no object begins there or it is not one. */
export function readEnvelope(bytes: Uint8Array, at = 0): Envelope | null {
  const start = skipSpace(bytes, at);
  if (bytes[start] !== OPEN_OBJECT) return null;
  // All members from the beginning: objects of one shape, which every request and every answer makes.
  const found: Writable<Envelope> = {
    start,
    end: CUT,
    ambiguous: false,
    jsonrpc: undefined,
    id: undefined,
    method: undefined,
    params: undefined,
    result: undefined,
    error: undefined,
  };
  let i = skipSpace(bytes, start + 1);
  for (let first = true; ; first = false) {
    if (bytes[i] === CLOSE_OBJECT && first) return ended(found, i + 1);
    if (bytes[i] !== QUOTE) return i >= bytes.length ? found : null;
    const keyEnd = skipString(bytes, i);
    if (keyEnd === CUT) return found;
    const key = keyName(bytes, i, keyEnd);
    i = skipSpace(bytes, keyEnd);
    if (bytes[i] !== COLON) return i >= bytes.length ? found : null;
    i = skipSpace(bytes, i + 1);
    const end = skipValue(bytes, i);
    if (end === null) return null;
    if (key === OTHER_CASE) found.ambiguous = true;
    else if (key !== undefined) {
      found.ambiguous ||= found[key] !== undefined;
      // A value of which not one byte has come is not there yet.
      if (i < bytes.length) found[key] = { start: i, end };
    }
    if (end === CUT) return found;
    i = skipSpace(bytes, end);
    if (bytes[i] === CLOSE_OBJECT) return ended(found, i + 1);
    if (bytes[i] !== COMMA) return i >= bytes.length ? found : null;
    i = skipSpace(bytes, i + 1);
  }
}

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

function ended(found: Writable<Envelope>, end: number): Envelope {
  found.end = end;
  return found;
}

/** The spans of the elements of the array that `bytes` are; `complete` is false when the bytes stop early. */
export function readElements(
  bytes: Uint8Array,
): { readonly spans: readonly Span[]; readonly complete: boolean } | null {
  let i = skipSpace(bytes, 0);
  if (bytes[i] !== OPEN_ARRAY) return null;
  const spans: Span[] = [];
  i = skipSpace(bytes, i + 1);
  if (bytes[i] === CLOSE_ARRAY) return { spans, complete: true };
  for (;;) {
    const end = skipValue(bytes, i);
    if (end === null) return null;
    if (end === CUT) return { spans, complete: false };
    spans.push({ start: i, end });
    i = skipSpace(bytes, end);
    if (bytes[i] === CLOSE_ARRAY) return { spans, complete: true };
    if (bytes[i] !== COMMA) return i >= bytes.length ? { spans, complete: false } : null;
    i = skipSpace(bytes, i + 1);
  }
}

/** Whether only white space follows `at`. */
export function endsAt(bytes: Uint8Array, at: number): boolean {
  return skipSpace(bytes, at) === bytes.length;
}

/** Whether arrays and objects are nested deeper than `limit`; safe on bytes that are no JSON. */
export function isNestedDeeper(bytes: Uint8Array, limit: number): boolean {
  let depth = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) {
      i = skipString(bytes, i) - 1;
      if (i < 0) return false;
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth++;
      if (depth > limit) return true;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth--;
  }
  return false;
}

function skipSpace(bytes: Uint8Array, at: number): number {
  let i = at;
  while (bytes[i] === 0x20 || bytes[i] === 0x0a || bytes[i] === 0x0d || bytes[i] === 0x09) i++;
  return i;
}

/** The index after the string that begins at `at`, or CUT. Short ones in a loop, where a search of the runtime's own costs more. */
function skipString(bytes: Uint8Array, at: number): number {
  const short = Math.min(at + 48, bytes.length);
  for (let i = at + 1; i < short; i++) {
    if (bytes[i] === QUOTE) return i + 1;
    if (bytes[i] === BACKSLASH) i++;
  }
  for (let quote = bytes.indexOf(QUOTE, at + 1); quote !== -1; quote = bytes.indexOf(QUOTE, quote + 1)) {
    let backslashes = 0;
    while (bytes[quote - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return CUT;
}

/** The index after the value that begins at `at`; CUT when the bytes stop first; null when no value begins there. */
function skipValue(bytes: Uint8Array, at: number): number | null {
  const first = bytes[at];
  if (first === undefined) return CUT;
  if (first === QUOTE) return skipString(bytes, at);
  if (first === OPEN_OBJECT || first === OPEN_ARRAY) return skipContainer(bytes, at);
  return skipScalar(bytes, at);
}

function skipContainer(bytes: Uint8Array, at: number): number {
  let depth = 0;
  for (let i = at; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) {
      i = skipString(bytes, i) - 1;
      if (i < 0) return CUT;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth--;
      if (depth === 0) return i + 1;
    }
  }
  return CUT;
}

/** Numbers, true, false, null: whatever else stands there is no JSON. */
function skipScalar(bytes: Uint8Array, at: number): number | null {
  let i = at;
  while (i < bytes.length && isScalarByte(bytes[i] ?? 0)) i++;
  if (i === bytes.length) return CUT; // More digits may follow.
  if (i === at) return null;
  // A plain number, which ids mostly are; the rest is left to the grammar.
  if (i - at === 1 && isDigit(bytes[at])) return i;
  return SCALAR.test(ascii(bytes, at, i)) ? i : null;
}

const SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isScalarByte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x2b ||
    byte === 0x45
  );
}

/** The envelope's member that a key names; OTHER_CASE for one that only some would take for it; undefined for others. */
function keyName(bytes: Uint8Array, start: number, end: number): Member | typeof OTHER_CASE | undefined {
  const length = end - start - 2;
  const usual = SPELLED[length]?.[bytes[start + 1] ?? 0];
  if (usual && isSpelled(bytes, start + 1, usual.codes)) return usual.name;
  if (length > 60) return undefined; // Longer than any spelling of `jsonrpc` with every character escaped.
  let text = ascii(bytes, start + 1, end - 1);
  if (text.includes('\\')) text = unescaped(text);
  // Go's encoding/json folds U+017F (long s) to an s; raw, it is these two bytes of UTF-8.
  const folded = text.replace(/\u017f|\u00c5\u00bf/g, 's').toLowerCase();
  const name = MEMBERS.find((member) => member === folded);
  return name === undefined || text === name ? name : OTHER_CASE;
}

/** A member only for those who compare without regard to case, as Go does. */
const OTHER_CASE = Symbol('in another case');

const MEMBERS = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'] as const;
type Member = (typeof MEMBERS)[number];

interface Spelling {
  readonly name: Member;
  readonly codes: readonly number[];
}

/** The usual spellings by their length and first byte; no two of one length begin alike. */
const SPELLED: readonly (readonly (Spelling | undefined)[])[] = Array.from({ length: 8 }, (_, length) =>
  Array.from({ length: 256 }, (_, first) => {
    const name = MEMBERS.find((member) => member.length === length && member.charCodeAt(0) === first);
    return name && { name, codes: Array.from(name, (char) => char.charCodeAt(0)) };
  }),
);

function isSpelled(bytes: Uint8Array, at: number, codes: readonly number[]): boolean {
  for (let i = 0; i < codes.length; i++) if (bytes[at + i] !== codes[i]) return false;
  return true;
}

function unescaped(text: string): string {
  return text.replace(/\\u([0-9a-f]{4})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i] ?? 0);
  return text;
}
