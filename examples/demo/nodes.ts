// Decides: which nodes the demo has, and how one of them falls behind and comes back.
// Must not know: gateways, sidecars.
import { type Anvil, startAnvil } from '../../test/kit/anvil.ts';

/** Anvil's own; nothing else on a developer's machine is likely to be taken for it. */
export const CHAIN_ID = 31_337;

/** Short enough that a lag shows within seconds. */
const BLOCK_TIME_S = 1;

export interface DemoNode {
  readonly id: string;
  readonly anvil: Anvil;
}

/** Three chains of their own with the same block time, so that their heads agree; each mines without the others. */
export async function startNodes(): Promise<readonly DemoNode[]> {
  const nodes = await Promise.all(
    ['node-a', 'node-b', 'node-c'].map(async (id) => ({
      id,
      anvil: await startAnvil({ chainId: CHAIN_ID }),
    })),
  );
  // Only now, and in one turn: a node that takes longer to start must not stay a block behind.
  await Promise.all(nodes.map((node) => mineEvery(node, BLOCK_TIME_S)));
  return nodes;
}

export async function stopNodes(nodes: readonly DemoNode[]): Promise<void> {
  await Promise.all(nodes.map(({ anvil }) => anvil.stop()));
}

export interface Laggard {
  readonly id: string;
  /** Lets the node stand still, or catch up and go on; resolves with what was done. */
  toggle(): Promise<string>;
}

/** @param model a node that goes on, so that the laggard knows where to catch up to */
export function laggardOf(node: DemoNode, model: DemoNode): Laggard {
  let behind = false;
  return {
    id: node.id,
    async toggle() {
      behind = !behind;
      if (behind) {
        await mineEvery(node, 0);
        return `${node.id} mines no more and falls behind`;
      }
      const missing = (await headOf(model)) - (await headOf(node));
      if (missing > 0) await node.anvil.mine(missing);
      await mineEvery(node, BLOCK_TIME_S);
      return `${node.id} has caught up ${missing} blocks and mines again`;
    },
  };
}

async function mineEvery({ anvil }: DemoNode, seconds: number): Promise<void> {
  await anvil.rpc('evm_setIntervalMining', [seconds]);
}

async function headOf({ anvil }: DemoNode): Promise<number> {
  return Number(await anvil.rpc('eth_blockNumber'));
}
