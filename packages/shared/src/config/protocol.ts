// Decides: what a network's protocol changes in its configuration: the identity's form, defaults.
// Must not know: which protocols there are, how one is probed or relayed.
import type { z } from 'zod';
import { PROTOCOLS, type ProtocolName } from '../protocols/tables.ts';
import { got } from './fields.ts';

interface Network {
  readonly protocol: ProtocolName;
  readonly identity?: string | undefined;
}

/** What is wrong with the network because of its `protocol`. */
export function checkIdentity({ protocol, identity }: Network, context: z.RefinementCtx): void {
  const rule = PROTOCOLS[protocol].identity;
  if (identity === undefined || rule?.pattern.test(identity)) return;
  const message =
    rule === null
      ? 'expected no identity: an upstream of an http network does not say which network it is of. Remove this key'
      : `expected ${rule.expected}${got(identity)}`;
  context.addIssue({ code: 'custom', path: ['identity'], message });
}

/** An identity as it is compared. */
export function plainIdentity({ protocol, identity }: Network): string | undefined {
  return PROTOCOLS[protocol].identity?.foldsCase ? identity?.toLowerCase() : identity;
}

export function defaultLagBlocks(protocol: ProtocolName): number {
  return PROTOCOLS[protocol].maxLagBlocks;
}
