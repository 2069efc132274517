// Decides: which block a call names, and what its answer tells of the node's head.
// Must not know: upstreams, or which of them has a block.
import type { Method, ProtocolTable, Shown } from './table.ts';
import { knownMethod } from './tables.ts';

/** The moving blocks that a call can name; `earliest` is none, since every node has it or will never have it. */
export type BlockTag = 'latest' | 'pending' | 'safe' | 'finalized';

/** What a node must have to answer a call. A filter may name a number and a tag, or two of each: the highest counts. */
export interface NamedBlock {
  readonly number: number | null;
  readonly hash: string | null;
  readonly tag: BlockTag | null;
}

const LATEST = tagged('latest');
const FINALIZED = tagged('finalized');

/** The newest comes last. */
const TAGS: readonly BlockTag[] = ['finalized', 'safe', 'latest', 'pending'];

/**
 * The block that a call names; null for a call that names none. What is malformed names nothing: the node says so itself.
 * @param params any JSON value, as the client sent it
 */
export function namedBlock(method: string, params: unknown): NamedBlock | null {
  const known = knownMethod(method);
  if (known?.block === undefined) return null;
  if (known.block === 'finalized') return FINALIZED;
  if (known.block.length === 0) return LATEST;
  const values = valuesIn(known, known.block, params);
  if (values === null) return null;
  const read = READERS[known.table.heights];
  return lead(values.map(read).reduce(highest), known.lead ?? 0);
}

function valuesIn({ names }: Method, block: readonly number[], params: unknown): readonly unknown[] | null {
  if (params === undefined || params === null) return block.map(() => undefined);
  if (Array.isArray(params)) return block.map((position) => params[position]);
  if (names === undefined || typeof params !== 'object') return null;
  const fields = params as Readonly<Record<string, unknown>>; // Any JSON object.
  return names.map((name) => fields[name]);
}

/** What a node needs that can answer for blocks above its head. */
function lead(named: NamedBlock | null, blocks: number): NamedBlock | null {
  return named?.number == null ? named : { ...named, number: Math.max(0, named.number - blocks) };
}

const READERS: Readonly<Record<ProtocolTable['heights'], (value: unknown) => NamedBlock | null>> = {
  hex: blockIn,
  decimal: decimalIn,
};

/** A height as text or number; 0 and nothing mean the latest. */
function decimalIn(value: unknown): NamedBlock | null {
  if (value === undefined || value === null || value === '') return LATEST;
  const isHeight = typeof value === 'number' || (typeof value === 'string' && /^\d{1,15}$/.test(value));
  const number = isHeight ? Number(value) : -1;
  return number === 0 ? LATEST : fromNumber(number);
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
  return tag === undefined ? null : tagged(tag);
}

function tagged(tag: BlockTag): NamedBlock {
  return { number: null, hash: null, tag };
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

/** What an answer to this call shows of the node's head; null for nothing. A hash shows the height that was asked for. */
export function shownBy(method: string, named: NamedBlock | null): Shown | null {
  const shown = knownMethod(method)?.shows ?? null;
  return shown === 'hash' && named?.number == null ? null : shown;
}
