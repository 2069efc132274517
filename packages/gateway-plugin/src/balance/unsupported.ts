// Decides: how long an upstream's "I cannot do that" is believed, per method, and for which blocks.
// Must not know: which words it said it in.
import type { ChainView } from '@rpc-balancer/shared';
import type { Member } from './member.ts';

/** Until it is asked again: a node that is upgraded or has finished indexing learns new methods. */
export const UNSUPPORTED_MS = 300_000;

/** A client may make up any number of methods; the oldest are forgotten. */
const METHODS_MAX = 256;

/** A call, as far as an upstream may lack what it needs. */
export interface Asked {
  readonly method: string;
  readonly view: ChainView | null;
}

export function markUnsupported(member: Member, method: string, upToBlock: number, now: number): void {
  const { unsupported, changes } = member;
  const before = unsupported.get(method);
  const known = before && before.until > now ? before.upToBlock : 0;
  unsupported.delete(method);
  unsupported.set(method, { upToBlock: Math.max(known, upToBlock), until: now + UNSUPPORTED_MS });
  const [oldest] = unsupported.keys();
  if (unsupported.size > METHODS_MAX && oldest !== undefined) unsupported.delete(oldest);
  changes.count++;
}

/** A call that names no height is taken to be of a block that is there. */
export function isUnsupported({ unsupported }: Member, { method, view }: Asked, now: number): boolean {
  const lack = unsupported.get(method);
  if (lack === undefined || lack.until <= now) return false;
  return (view?.named?.number ?? Number.MAX_SAFE_INTEGER) <= lack.upToBlock;
}

export function forgetUnsupported({ unsupported }: Member, now: number): void {
  for (const [method, { until }] of unsupported) if (until <= now) unsupported.delete(method);
}
