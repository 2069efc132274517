// Decides: how a FakeNode answers as a Substrate node does.
// Must not know: anything of ours.

import { digest, hex } from './fake-chain.ts';
import {
  type FakeCall,
  type FakeNode,
  type FakeNodeOptions,
  type Override,
  startFakeNode,
} from './fake-node.ts';
import { SUBSTRATE_PUSHES } from './fake-sockets.ts';

export interface SubstrateScript {
  /** The hash of its block 0 is made of it. */
  chain: string;
  peers: number;
  isSyncing: boolean;
  shouldHavePeers: boolean;
  /** Instead of an answer of this kind. */
  answer: ((call: FakeCall) => Override | undefined) | undefined;
}

export const genesisOf = (chain: string): string => digest(`genesis:${chain}`);

/** Blocks between the best and the finalized one. */
export const FINALITY_BLOCKS = 2;

export async function startFakeSubstrate(
  options: FakeNodeOptions & Partial<SubstrateScript> = {},
): Promise<FakeNode & { readonly script: SubstrateScript }> {
  const script: SubstrateScript = {
    chain: options.chain ?? 'asset-hub',
    peers: options.peers ?? 8,
    isSyncing: options.isSyncing ?? false,
    shouldHavePeers: options.shouldHavePeers ?? true,
    answer: options.answer,
  };
  const node = await startFakeNode({
    pushes: SUBSTRATE_PUSHES,
    ...options,
    answer: (call) => script.answer?.(call) ?? answerOf(node, script, call),
  });
  return Object.assign(node, { script });
}

function answerOf({ chain }: FakeNode, script: SubstrateScript, call: FakeCall): Override | undefined {
  const [named]: unknown[] = JSON.parse(call.paramsText || '[]');
  const headerAt = (height: number) => ({ number: hex(height), parentHash: chain.hashOf(height - 1) });
  const { peers, isSyncing, shouldHavePeers } = script;
  switch (call.method) {
    case 'system_health':
      return { result: { peers, isSyncing, shouldHavePeers } };
    case 'chain_getBlockHash':
      return { result: named === 0 ? genesisOf(script.chain) : chain.hashOf(Number(named)) };
    case 'chain_getHeader':
      return { result: headerAt(chain.head - (named === undefined ? 0 : FINALITY_BLOCKS)) };
    case 'chain_getFinalizedHead':
      return { result: chain.hashOf(chain.head - FINALITY_BLOCKS) };
    case 'state_getRuntimeVersion':
      return { result: { specName: 'statemine', specVersion: 1_003_000 } };
    case 'rpc_methods':
      return { result: { methods: ['chain_getHeader', 'system_health'] } };
    default:
      return undefined;
  }
}
