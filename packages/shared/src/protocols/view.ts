// Decides: what a call has to do with the head of the chain: what it needs, shows, sends and reads back.
// Must not know: upstreams.
import { type NamedBlock, namedBlock, shownBy } from './blocks.ts';
import type { Shown } from './table.ts';
import { knownMethod } from './tables.ts';
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

/** Null for the many calls that have nothing to do with it. Params of any JSON shape. */
export function chainView(method: string, params: unknown): ChainView | null {
  const known = knownMethod(method);
  if (known === undefined) return null;
  const { block, raw, subject } = known;
  if (block === undefined && !raw && !subject) return null;
  const named = namedBlock(method, params);
  return {
    named,
    shown: shownBy(method, named),
    subject: subjectOf(method, params),
    raw: rawTransactionOf(method, params),
  };
}
