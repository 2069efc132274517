// Decides: which block a call names, and what its answer tells of the node's head.
// Must not know: upstreams, or which of them has a block.
import { EVM_ANSWERS_BLOCK, EVM_ANSWERS_NUMBER, EVM_BLOCK_PARAMS } from './evm-blocks.ts';

/** The moving blocks that a call can name; `earliest` is none, since every node has it or will never have it. */
export type BlockTag = 'latest' | 'pending' | 'safe' | 'finalized';

/** What a node must have to answer a call. A filter may name a number and a tag, or two of each: the highest counts. */
export interface NamedBlock {
  readonly number: number | null;
  readonly hash: string | null;
  readonly tag: BlockTag | null;
}

const LATEST: NamedBlock = { number: null, hash: null, tag: 'latest' };

/** The newest comes last. */
const TAGS: readonly BlockTag[] = ['finalized', 'safe', 'latest', 'pending'];

const POSITIONS: ReadonlyMap<string, readonly number[]> = new Map(Object.entries(EVM_BLOCK_PARAMS));

/**
 * The block that a call names; null for a call that names none. What is malformed names nothing: the node says so itself.
 * @param params any JSON value, as the client sent it
 */
export function namedBlock(method: string, params: unknown): NamedBlock | null {
  const positions = POSITIONS.get(method);
  if (positions === undefined) return null;
  if (params !== undefined && !Array.isArray(params)) return null;
  let named: NamedBlock | null = positions.length === 0 ? LATEST : null;
  for (const position of positions) named = highest(named, blockIn(params?.[position]));
  return named;
}

/** By value of one parameter: left out, a number, a tag or a hash, or an object of them. */
function blockIn(value: unknown): NamedBlock | null {
  if (value === undefined || value === null) return LATEST;
  if (typeof value === 'string') return fromText(value);
  // Otterscan and some libraries send plain numbers.
  if (typeof value === 'number') return fromNumber(value);
  if (typeof value !== 'object' || Array.isArray(value)) return null;
  const fields = value as Readonly<Record<string, unknown>>; // Any JSON object.
  const { blockHash, blockNumber } = fields;
  if (typeof blockHash === 'string') return fromText(blockHash);
  if (blockNumber !== undefined) return blockIn(blockNumber === null ? undefined : scalar(blockNumber));
  return highest(blockIn(scalar(fields.fromBlock)), blockIn(scalar(fields.toBlock)));
}

/** An object inside an object names nothing. */
function scalar(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? false : value;
}

/** "0x" and 13 hexadecimal digits: 2^52 - 1, beyond any height and exact in JavaScript. */
const QUANTITY_CHARS_MAX = 15;

const HASH_CHARS = 66;

function fromText(text: string): NamedBlock | null {
  if (text === 'latest') return LATEST;
  if (text.charCodeAt(0) === 0x30) {
    if (text.length <= QUANTITY_CHARS_MAX)
      return /^0x(?:0|[1-9a-f][0-9a-f]*)$/i.test(text) ? fromNumber(Number(text)) : null;
    const isHash = text.length === HASH_CHARS && /^0x[0-9a-f]+$/i.test(text);
    return isHash ? { number: null, hash: text.toLowerCase(), tag: null } : null;
  }
  const tag = TAGS.find((known) => known === text);
  return tag === undefined ? null : { number: null, hash: null, tag };
}

function fromNumber(number: number): NamedBlock | null {
  return Number.isSafeInteger(number) && number >= 0 ? { number, hash: null, tag: null } : null;
}

/** Of two named blocks what a node needs for both. */
function highest(a: NamedBlock | null, b: NamedBlock | null): NamedBlock | null {
  if (a === null || b === null) return a ?? b;
  return {
    number: a.number === null || b.number === null ? (a.number ?? b.number) : Math.max(a.number, b.number),
    hash: a.hash ?? b.hash,
    tag: newness(a.tag) > newness(b.tag) ? a.tag : b.tag,
  };
}

function newness(tag: BlockTag | null): number {
  return tag === null ? -1 : TAGS.indexOf(tag);
}

/** `number`: the result is the head's number. `block`: it is a block with number and hash. */
export type Shown = 'number' | 'block';

const SHOWN: ReadonlyMap<string, Shown> = new Map([
  ...EVM_ANSWERS_NUMBER.map((method) => [method, 'number'] as const),
  ...EVM_ANSWERS_BLOCK.map((method) => [method, 'block'] as const),
]);

/** What an answer to this method shows of the node's head; null for nothing. */
export function shownBy(method: string): Shown | null {
  return SHOWN.get(method) ?? null;
}
