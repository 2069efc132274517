// Decides: how long an upstream's "I cannot do that" is believed, per method.
// Must not know: which words it said it in.
import type { Member } from './member.ts';

/** Until it is asked again: a node that is upgraded or has finished indexing learns new methods. */
export const UNSUPPORTED_MS = 300_000;

/** A client may make up any number of methods; the oldest are forgotten. */
const METHODS_MAX = 256;

export function markUnsupported(member: Member, method: string, now: number): void {
  const { unsupported, changes } = member;
  unsupported.delete(method);
  unsupported.set(method, now + UNSUPPORTED_MS);
  const [oldest] = unsupported.keys();
  if (unsupported.size > METHODS_MAX && oldest !== undefined) unsupported.delete(oldest);
  changes.count++;
}

export function isUnsupported({ unsupported }: Member, method: string, now: number): boolean {
  return (unsupported.get(method) ?? 0) > now;
}

export function forgetUnsupported({ unsupported }: Member, now: number): void {
  for (const [method, until] of unsupported) if (until <= now) unsupported.delete(method);
}
