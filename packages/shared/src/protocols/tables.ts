// Decides: which protocols there are, and what is known of a method whichever of them it belongs to.
// Must not know: what a method's traits are used for.
import { COMETBFT } from './cometbft.ts';
import { EVM } from './evm.ts';
import { SUBSTRATE } from './substrate.ts';
import type { Effect, Method, ProtocolTable } from './table.ts';

/** All apply in each network: a Substrate node may speak Ethereum too. No name stands in two of them. */
export const TABLES: readonly ProtocolTable[] = [EVM, SUBSTRATE, COMETBFT];

export interface KnownMethod extends Method {
  readonly table: ProtocolTable;
  readonly effect: Effect;
}

const KNOWN: ReadonlyMap<string, KnownMethod> = new Map(
  TABLES.flatMap((table) =>
    // The keys of a record of effects are effects; the compiler gives up its keys.
    (Object.keys(table.methods) as Effect[]).flatMap((effect) =>
      Object.entries(table.methods[effect]).map(
        ([name, method]) => [name, { ...method, table, effect }] as const,
      ),
    ),
  ),
);

const ADMIN_PREFIXES: readonly string[] = TABLES.flatMap(({ adminPrefixes }) => adminPrefixes);

/** What the tables say of a method; undefined for one that is listed nowhere. */
export function knownMethod(method: string): KnownMethod | undefined {
  return KNOWN.get(method);
}

/** Whether an unlisted method belongs to a name space of operators. */
export function isAdminName(method: string): boolean {
  return ADMIN_PREFIXES.some((prefix) => method.startsWith(prefix));
}
