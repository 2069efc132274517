// Decides: which protocols there are, and what is known of a method whichever of them it belongs to.
// Must not know: what a method's traits are used for.
import { COMETBFT } from './cometbft.ts';
import { EVM } from './evm.ts';
import { HTTP } from './http.ts';
import { SUBSTRATE } from './substrate.ts';
import type { Effect, Method, ProtocolTable } from './table.ts';

/** By their names in the configuration. A new one adds its file and a line here. */
export const PROTOCOLS = { evm: EVM, substrate: SUBSTRATE, cometbft: COMETBFT, http: HTTP };
export type ProtocolName = keyof typeof PROTOCOLS;
/** Object.keys widens to string[]. */
export const PROTOCOL_NAMES = Object.keys(PROTOCOLS) as ProtocolName[];

/** All apply in each network: a Substrate node may speak Ethereum too. No name stands in two of them. */
export const TABLES: readonly ProtocolTable[] = Object.values(PROTOCOLS);

/** Whether a method of such a network is called as `GET /method`, too. */
export function hasUris(protocol: ProtocolName): boolean {
  return PROTOCOLS[protocol].hasUris;
}

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
