// Decides: what the values in the answers of all protocols mean, and which are none: whatever is odd becomes null.
// Must not know: which answer a value stands in.

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Undefined for what is no JSON. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A number as the Ethereum API and Substrate write it, at most 256 bits. */
export function isQuantity(value: unknown): value is string {
  return typeof value === 'string' && /^0x[0-9a-f]{1,64}$/i.test(value);
}

/** A quantity that is a height or a time; null if it is no number, or one that is not exact. */
export function quantityOf(value: unknown): number | null {
  return isQuantity(value) ? exact(Number(value)) : null;
}

/** A number as CometBFT writes it: in decimal, as a text. */
export function decimalOf(value: unknown): number | null {
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? exact(Number(value)) : null;
}

/** A height as any API may write it. */
export function heightOf(value: unknown): number | null {
  return typeof value === 'number' ? exact(value) : (quantityOf(value) ?? decimalOf(value));
}

function exact(number: number): number | null {
  return Number.isSafeInteger(number) && number >= 0 ? number : null;
}

/** Up to 256 bits; with `0x` as Ethereum and Substrate write it, without as CometBFT does. */
export function hashOf(value: unknown): string | null {
  return typeof value === 'string' && /^(?:0x)?[0-9a-f]{1,64}$/i.test(value) ? value : null;
}

/** A time of RFC 3339 in epoch ms. Not every runtime reads nanoseconds, so they are cut off. */
export function instantOf(value: unknown): number | null {
  if (typeof value !== 'string' || value.length > 64) return null;
  const ms = Date.parse(value.replace(/(\.\d{3})\d+/, '$1'));
  return Number.isFinite(ms) && ms >= 0 ? ms : null;
}

/** What a notification of a subscription brings; undefined in any other message. */
export function notified({ params }: Readonly<Record<string, unknown>>): unknown {
  return isRecord(params) ? params.result : undefined;
}

/** The value at a JSON pointer (RFC 6901); undefined where there is none. */
export function valueAt(document: unknown, pointer: string): unknown {
  const tokens = pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  return tokens.reduce<unknown>((at, token) => {
    if (Array.isArray(at)) return /^(?:0|[1-9]\d*)$/.test(token) ? at[Number(token)] : undefined;
    return isRecord(at) && Object.hasOwn(at, token) ? at[token] : undefined;
  }, document);
}
