// Decides: which calls write a signed transaction, and which read back what such a call has written.
// Must not know: who signed it, or who took it.
import { knownMethod } from './tables.ts';

/** Larger transactions are refused by every node's pool (geth: 128 kB, with blobs 1 MB). */
const RAW_CHARS_MAX = 2_200_000;

/** The signed transaction that a call sends, as hexadecimal text; null for any other call. */
export function rawTransactionOf(method: string, params: unknown): string | null {
  if (!knownMethod(method)?.raw) return null;
  const raw = firstText(params);
  return raw !== null && raw.length <= RAW_CHARS_MAX && raw.startsWith('0x') ? raw : null;
}

/** An address has 42 characters, a transaction's hash 66. */
const SUBJECT = /^0x(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** The transaction or sender that a call asks about, in lower case; null for any other call. */
export function subjectOf(method: string, params: unknown): string | null {
  return knownMethod(method)?.subject ? subjectIn(firstText(params)) : null;
}

/** A text as the subject that it is; null for what is neither an address nor a hash. */
export function subjectIn(text: string | null): string | null {
  const subject = text?.length === 42 || text?.length === 66 ? text.toLowerCase() : '';
  return SUBJECT.test(subject) ? subject : null;
}

function firstText(params: unknown): string | null {
  const first: unknown = Array.isArray(params) ? params[0] : null;
  return typeof first === 'string' ? first : null;
}
