// Decides: what sort of method one is, and whether it may be sent twice.
// Must not know: attempts, upstreams, answers.
import { globOf } from './glob.ts';
import { type Effect, LOOKUP, type ProtocolTable } from './table.ts';
import { isAdminName, knownMethod } from './tables.ts';

/** What is to be known of a method before it is sent. */
export interface MethodTraits {
  /** Whose method it is; null for one that is listed nowhere. */
  readonly protocol: ProtocolTable['name'] | null;
  readonly effect: Effect | 'unknown';
  /** For the operator of a node, not for its clients. */
  readonly admin: boolean;
  /** How much dearer than a look-up it is for a node. */
  readonly cost: number;
}

export function traitsOf(method: string): MethodTraits {
  const known = knownMethod(method);
  if (known === undefined)
    return { protocol: null, effect: 'unknown', admin: isAdminName(method), cost: LOOKUP };
  const { table, effect, admin = false, cost = LOOKUP } = known;
  return { protocol: table.name, effect, admin, cost };
}

/**
 * `read`: may be sent again, anywhere. `write`: sent once. `unknown`: taken for a read that may not be sent again
 * once its first byte was written (design rule 7); so are methods whose effect stays on one node, such as filters.
 */
export type Safety = 'read' | 'write' | 'unknown';

const SAFETY: Readonly<Record<MethodTraits['effect'], Safety>> = {
  read: 'read',
  signed: 'write',
  filled: 'write',
  node: 'unknown',
  connection: 'unknown',
  unknown: 'unknown',
};

function listedSafety(method: string): Safety {
  return SAFETY[knownMethod(method)?.effect ?? 'unknown'];
}

export interface MethodRules {
  /** Globs of further methods that may be repeated; they win over the built-in tables. */
  readonly reads: readonly string[];
  /** Globs of further methods that are sent once; they win over `reads`. */
  readonly writes: readonly string[];
}

/** Compiles a network's rules into one look-up. */
export function createSafetyOf({ reads, writes }: MethodRules): (method: string) => Safety {
  if (reads.length === 0 && writes.length === 0) return listedSafety;
  const isRead = anyOf(reads);
  const isWrite = anyOf(writes);
  return (method) => {
    if (isWrite(method)) return 'write';
    return isRead(method) ? 'read' : listedSafety(method);
  };
}

/** Methods whose answer is kept; clients may make up any number of them. */
const KEPT_METHODS_MAX = 1000;
/** Longer than any method; paths may be much longer. */
const KEPT_CHARS_MAX = 256;

/** A look-up by glob: the first that matches wins. */
export function createGlobTable<Value>(
  table: Readonly<Record<string, Value>>,
): (method: string) => Value | undefined {
  const rows = Object.entries(table).map(([glob, value]) => ({ matches: globOf(glob), value }));
  const kept = new Map<string, Value | undefined>();
  return (method) => {
    if (kept.has(method)) return kept.get(method);
    const value = rows.find((row) => row.matches(method))?.value;
    if (kept.size < KEPT_METHODS_MAX && method.length <= KEPT_CHARS_MAX) kept.set(method, value);
    return value;
  };
}

function anyOf(globs: readonly string[]): (method: string) => boolean {
  const compiled = globs.map(globOf);
  return (method) => compiled.some((matches) => matches(method));
}
