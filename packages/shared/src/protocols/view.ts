// Decides: what a call has to do with the head of the chain: what it needs, shows, sends and reads back.
// Must not know: upstreams.
import { type NamedBlock, namedBlock, type Shown, shownBy } from './blocks.ts';
import {
  EVM_ANSWERS_BLOCK,
  EVM_ANSWERS_NUMBER,
  EVM_BLOCK_PARAMS,
  EVM_RAW_WRITES,
  EVM_READS_OF_WRITES,
} from './evm-blocks.ts';
import { rawTransactionOf, subjectOf } from './writes.ts';

export interface ChainView {
  /** The block that a node must have. */
  readonly named: NamedBlock | null;
  /** What the answer shows of the node's head. */
  readonly shown: Shown | null;
  /** The transaction or sender that the call asks about. */
  readonly subject: string | null;
  /** The signed transaction that the call sends. */
  readonly raw: string | null;
}

const VIEWING: ReadonlySet<string> = new Set([
  ...Object.keys(EVM_BLOCK_PARAMS),
  ...EVM_ANSWERS_NUMBER,
  ...EVM_ANSWERS_BLOCK,
  ...EVM_RAW_WRITES,
  ...EVM_READS_OF_WRITES,
]);

/** Null for the many calls that have nothing to do with it. Params of any JSON shape. */
export function chainView(method: string, params: unknown): ChainView | null {
  if (!VIEWING.has(method)) return null;
  return {
    named: namedBlock(method, params),
    shown: shownBy(method),
    subject: subjectOf(method, params),
    raw: rawTransactionOf(method, params),
  };
}
