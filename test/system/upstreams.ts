// Decides: the FakeNodes of a system test, how reads are sent to a gateway, and who answered.
// Must not know: what is asserted.
import { balanceOf, type FakeNode, type FakeNodeOptions, startFakeNode } from '../kit/fake-node.ts';
import type { Program } from '../kit/program.ts';
import type { Networks } from './cluster.ts';

/** Nodes in step: a block each quarter of a second, so that lag shows soon. */
export const BLOCK_MS = 250;

/** Node `a`, `b`, `c` … of one chain, with these scripts. */
export function startChain(...scripts: readonly FakeNodeOptions[]): Promise<FakeNode[]> {
  // Well before now, so that each node may stand a thousand blocks back.
  const headAt = Date.now() - 2000 * BLOCK_MS;
  return Promise.all(
    scripts.map((script) => startFakeNode({ head: 20_000_000, headAt, blockTimeMs: BLOCK_MS, ...script })),
  );
}

export function upstreamsOf(nodes: readonly { readonly url: string }[]): Networks[string]['upstreams'] {
  return nodes.map(({ url }, at) => ({ id: idOf(at), url }));
}

export function idOf(at: number): string {
  return String.fromCharCode(97 + at);
}

export function addressOf(index: number): string {
  return `0x${(index + 1).toString(16).padStart(40, '0')}`;
}

export function balanceCall(index: number): string {
  const params = [addressOf(index), 'latest'];
  return JSON.stringify({ jsonrpc: '2.0', id: index, method: 'eth_getBalance', params });
}

export function balanceAnswer(index: number): string {
  return JSON.stringify({ jsonrpc: '2.0', id: index, result: balanceOf(addressOf(index)) });
}

export async function post(
  url: string,
  body: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body });
  return { status: response.status, text: await response.text() };
}

/** So many reads through each gateway, one after another; gives what was not answered rightly. */
export async function readThrough(
  gateways: readonly Program[],
  network: string,
  count: number,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const { url } of gateways) {
    for (let index = 0; index < count; index++) {
      const { status, text } = await post(`${url}/${network}`, balanceCall(index));
      if (status !== 200 || text !== balanceAnswer(index)) wrong.push(`HTTP ${status} ${text}`);
    }
  }
  return wrong;
}
