// Decides: which protocols a network may have, and what each changes in its configuration: the identity's form, defaults.
// Must not know: how a protocol is probed or relayed.
import type { z } from 'zod';
import { got } from './fields.ts';

/** What the upstreams of a network speak. */
export const PROTOCOLS = ['evm', 'substrate', 'cometbft', 'http'] as const;
export type ProtocolName = (typeof PROTOCOLS)[number];

interface Rules {
  /** Reason beside each: what gossip takes there at most. */
  readonly maxLagBlocks: number;
  /** Null where nothing that an upstream answers identifies it. */
  readonly identity: { readonly pattern: RegExp; readonly expected: string } | null;
}

const RULES: Readonly<Record<ProtocolName, Rules>> = {
  evm: {
    maxLagBlocks: 5, // A minute of Ethereum.
    identity: { pattern: /^(0|[1-9]\d{0,77})$/, expected: 'a chain id in decimal, such as "1"' },
  },
  substrate: {
    maxLagBlocks: 3, // 18 s of Polkadot.
    identity: {
      pattern: /^0x[0-9a-fA-F]{64}$/,
      expected: 'the genesis hash, "0x" and 64 hexadecimal digits',
    },
  },
  cometbft: {
    maxLagBlocks: 3, // Some 18 s of Cosmos; a validator votes on each block, so honest nodes are close together.
    identity: {
      // MaxChainIDLen of CometBFT.
      pattern: /^[\x21-\x7e]{1,50}$/,
      expected: 'a chain id of at most 50 visible characters, such as "cosmoshub-4"',
    },
  },
  http: { maxLagBlocks: 5, identity: null }, // Slots of a beacon chain, most of the time.
};

interface Network {
  readonly protocol: ProtocolName;
  readonly identity?: string | undefined;
}

/** What is wrong with the network because of its `protocol`. */
export function checkIdentity({ protocol, identity }: Network, context: z.RefinementCtx): void {
  const rule = RULES[protocol].identity;
  if (identity === undefined || rule?.pattern.test(identity)) return;
  const message =
    rule === null
      ? 'expected no identity: an upstream of an http network does not say which network it is of. Remove this key'
      : `expected ${rule.expected}${got(identity)}`;
  context.addIssue({ code: 'custom', path: ['identity'], message });
}

/** An identity as it is compared: hexadecimal digits are lower case. */
export function plainIdentity({ protocol, identity }: Network): string | undefined {
  return protocol === 'substrate' ? identity?.toLowerCase() : identity;
}

export function defaultLagBlocks(protocol: ProtocolName): number {
  return RULES[protocol].maxLagBlocks;
}
