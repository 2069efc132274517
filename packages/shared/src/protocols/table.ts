// Decides: in which words a protocol's data file says what its methods are.
// Must not know: any method.

/**
 * What a call does, and so how often it may be sent. `read`: changes nothing and depends on nothing but the chain.
 * `signed`: a write by content, the same bytes are the same transaction. `filled`: a write that the node completes
 * (nonce, signature, time), so that twice is two. `node`: made from, or leaves behind, what one node alone has.
 * `connection`: lives and dies with the connection that it came on.
 */
export type Effect = 'read' | 'signed' | 'filled' | 'node' | 'connection';

/** What an answer shows of the head: its number; a block with number and hash; the hash of the named number; a decimal height. */
export type Shown = 'number' | 'block' | 'hash' | 'height';

export interface Method {
  /**
   * Positions of the parameters that name a block; one that is left out means `latest`. None: the answer is of the latest
   * block. `finalized`: of the latest finalized one. Absent: it is about no block, or about one that nobody can tell.
   */
  readonly block?: readonly number[] | 'finalized';
  /** Names of those parameters, in the same order, where clients may send an object. */
  readonly names?: readonly string[];
  /** How many blocks above its head a node can already answer for. */
  readonly lead?: number;
  readonly shows?: Shown;
  /** The first parameter is a signed transaction, and the answer its hash. */
  readonly raw?: true;
  /** The first parameter is a transaction's hash, or a sender's address whose nonce is asked. */
  readonly subject?: true;
  /** A multiple of {@link LOOKUP}, which is what it costs when nothing is said. */
  readonly cost?: number;
  /** For the operator of the node: its keys, peers, pool, files or chain. */
  readonly admin?: true;
}

/** Costs are orders of magnitude between methods, not measurements. This one reads something by its key. */
export const LOOKUP = 1;
/** Executes one call against a state. */
export const RUN = 2;
/** Goes through many blocks or keys, or replays one transaction. */
export const SCAN = 10;
/** Replays whole blocks, or walks the whole state. */
export const REPLAY = 50;

/** Everything of a protocol that is known without asking a node. */
export interface ProtocolTable {
  /** What the configuration calls it. */
  readonly name: string;
  /** Unless configured, with the reason beside it: what gossip takes there at most. */
  readonly maxLagBlocks: number;
  readonly identity: IdentityForm | null;
  /** Whether methods are called as `GET /method`, too. */
  readonly hasUris: boolean;
  /** How a text spells a height: 0x1f4, or 500 (where 0 stands for the latest). */
  readonly heights: 'hex' | 'decimal';
  /** Methods that begin so are for operators even when they are listed nowhere. */
  readonly adminPrefixes: readonly string[];
  readonly methods: Readonly<Record<Effect, Readonly<Record<string, Method>>>>;
}

/** How an upstream says which network it is of; null where nothing that it answers does. */
export interface IdentityForm {
  readonly pattern: RegExp;
  readonly expected: string;
  /** Whether it is compared in lower case. */
  readonly foldsCase: boolean;
}
