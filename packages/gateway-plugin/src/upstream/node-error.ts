// Decides: what a node means by a JSON-RPC error. The one place that looks at foreign codes and texts.
// Must not know: what follows from it.

interface NodeError {
  readonly code: number;
  readonly text: string;
}

/** The error object of an answer; null for what is none. */
export function readError(bytes: Uint8Array): NodeError | null {
  try {
    const error: unknown = JSON.parse(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(),
    );
    if (typeof error !== 'object' || error === null || !('code' in error)) return null;
    const { code, message, data } = error as { code: unknown; message?: unknown; data?: unknown }; // Any JSON object
    return typeof code === 'number' ? { code, text: `${textOf(message)} ${textOf(data)}` } : null;
  } catch {
    return null;
  }
}

/** Texts are looked at as they are, and the texts one level down: "data": {"message": "…"} is how some nodes say it. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  return Object.values(value)
    .filter((member) => typeof member === 'string')
    .join(' ');
}

/** `switched_off`: a method that this node was told not to serve. `no_history`: state or blocks that it has not got, or not yet. */
type Meaning = 'no_method' | 'limit' | 'switched_off' | 'no_history' | 'internal' | 'about_request';

export function meaningOf(error: NodeError): Meaning {
  if (error.code === -32601) return 'no_method';
  if (isLimit(error)) return 'limit';
  if (isRevert(error)) return 'about_request';
  if (SWITCHED_OFF.test(error.text)) return 'switched_off';
  if (NO_HISTORY.some((pattern) => pattern.test(error.text))) return 'no_history';
  return error.code === -32603 ? 'internal' : 'about_request';
}

/**
 * -32005: EIP-1474 "limit exceeded"; 429 as a code: Alchemy, Infura; -32999: polkadot-sdk since 2024, where a rate limit is set;
 * -32009: jsonrpsee 0.24.11 "Server is busy". -32005 of a range that is too wide, or of batches, is about the request.
 */
function isLimit({ code, text }: NodeError): boolean {
  if (code === -32005) return !/query returned more than|range|results|batch/i.test(text);
  return code === 429 || code === -32999 || code === -32009;
}

/** EIP-1474 code 3; Frontier and older clients answer -32603 or -32000 to every revert and say so in text or data. */
function isRevert({ code, text }: NodeError): boolean {
  return code === 3 || /revert/i.test(text) || /0x08c379a0|0x4e487b71/.test(text);
}

/** CometBFT 0.38.19 without an index. */
const SWITCHED_OFF = /(?:transaction|block) indexing is disabled/i;

const NO_HISTORY: readonly RegExp[] = [
  // geth 1.13 and 1.14.
  /missing trie node|header not found|unknown ?block|block not found|state (?:\S+ )?is not available/i,
  // erigon 2 and reth 1; Nethermind 1.25; anvil 1.
  /pruned|history has been|ancient data|no state available|BlockOutOfRange/i,
  // polkadot-sdk: "UnknownBlock: …", older "Api called for an unknown Block: …", both above; Substrate 2 the text alone.
  /state already discarded/i,
  // CometBFT 0.38.19: blocks that are gone, and blocks that are not there yet.
  /is not available, lowest height|less than or equal to the current blockchain height|greater than max height/i,
  /could(?: not|n't) find (?:results|validators|validator set|consensus params|block)\b|not persisting finalize block/i,
];

/**
 * JSON-RPC 2.0 section 5.1, and jsonrpsee 0.24.11 (reth, polkadot-sdk): -32005 where batches are off, -32010 where one is
 * too long. Said of a whole batch they mean that it was not read.
 */
const BATCH_UNREAD: ReadonlySet<number> = new Set([-32600, -32700, -32601, -32005, -32010]);

/** Whether an error in answer to a whole batch means that none of its calls ran. */
export function isBatchUnread({ code }: NodeError): boolean {
  return BATCH_UNREAD.has(code);
}
