// Substrate and CometBFT nodes at different heights behind a real gateway: what clients see of the head.
import { describe, expect, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import type { Override } from '../../../test/kit/fake-script.ts';
import { type Front, startFront, startNodes } from './front.ts';

const HEAD = 1000;
const hex = (height: number) => `0x${height.toString(16)}`;
const hashOf = (height: number) => `0x${height.toString(16).padStart(64, 'a')}`;
const heightOf = (hash: string) => Number.parseInt(hash.replace(/^0xa+/, ''), 16);

type Answer = (method: string, params: readonly unknown[], head: number) => Override | undefined;

/** Nodes at these heights, of which nothing is known but their answers. */
async function startAt(
  answer: Answer,
  ...heads: readonly number[]
): Promise<{ front: Front; nodes: FakeNode[] }> {
  const nodes = await startNodes(...heads.map(() => ({})));
  nodes.forEach((node, at) => {
    node.answer = ({ method, params }) => answer(method, params as readonly unknown[], heads[at] ?? 0);
  });
  return { front: await startFront(nodes, { network: { probe: 'off' } }), nodes };
}

const header = (height: number) => ({
  parentHash: hashOf(height - 1),
  number: hex(height),
  stateRoot: hashOf(0),
  digest: { logs: [] },
});

const substrate: Answer = (method, [hash], head) => {
  if (method === 'chain_getBlockHash')
    return { result: Number(hash) > head ? null : hashOf(Number(hash ?? head)) };
  const height = typeof hash === 'string' ? heightOf(hash) : head;
  if (method === 'chain_getHeader') return { result: height > head ? null : header(height) };
  if (method === 'state_getStorage') return { result: '0x00' };
  return undefined;
};

const cometbft: Answer = (method, params, head) => {
  const { height = head } = params as { height?: unknown };
  if (method === 'status')
    return { result: { node_info: { moniker: 'm' }, sync_info: { latest_block_height: String(head) } } };
  if (method === 'abci_query') return { result: { response: { code: 0 } } };
  if (Number(height) > head) {
    const data = `height ${height} must be less than or equal to the current blockchain height ${head}`;
    return { error: { code: -32603, message: 'Internal error', data } };
  }
  return { result: { block_id: {}, block: { header: { chain_id: 'c', height: String(height) } } } };
};

async function named(front: Front, method: string, params: object) {
  const { json } = await front.send('/net', JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
  return json;
}

describe('a Substrate network', () => {
  test('does not show a head that goes back', async () => {
    const { front } = await startAt(substrate, HEAD - 1, HEAD, HEAD - 2);
    const seen: number[] = [];
    for (let at = 0; at < 9; at++)
      seen.push(Number((await front.call('chain_getHeader')).json.result.number));
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(HEAD);
  });

  test('has the block of a hash that it has just given, and reads its state where it is', async () => {
    const { front, nodes } = await startAt(substrate, HEAD - 1, HEAD);
    for (let at = 0; at < 4; at++) await front.call('chain_getHeader');
    const { json } = await front.call('chain_getBlockHash', [HEAD]);
    expect(json.result).toBe(hashOf(HEAD));
    for (const node of nodes) node.clear();
    for (let at = 0; at < 4; at++) await front.call('state_getStorage', ['0x5f', hashOf(HEAD)]);
    expect((await front.call('chain_getHeader', [hashOf(HEAD)])).json.result).toEqual(header(HEAD));
    expect(nodes.map((node) => node.hits())).toEqual([0, 5]);
  });

  test('learns the height of a hash from the header that it was asked for', async () => {
    const { front, nodes } = await startAt(substrate, HEAD - 5, HEAD);
    for (let at = 0; at < 4; at++) await front.call('chain_getHeader');
    await front.call('chain_getHeader', [hashOf(HEAD - 2)]);
    for (let at = 0; at < 4; at++) await front.call('state_getStorage', ['0x5f', hashOf(HEAD - 2)]);
    expect(nodes.map((node) => node.hits('state_getStorage'))).toEqual([0, 4]);
    for (let at = 0; at < 4; at++) await front.call('state_getStorage', ['0x5f', hashOf(HEAD - 9)]);
    expect(nodes.map((node) => node.hits('state_getStorage'))).toEqual([2, 6]);
  });

  test('does not ask around for a hash that a node at the head has not got', async () => {
    const { front, nodes } = await startAt(substrate, HEAD, HEAD);
    for (let at = 0; at < 4; at++) await front.call('chain_getHeader');
    for (const node of nodes) node.clear();
    expect((await front.call('chain_getHeader', [hashOf(HEAD + 500)])).json.result).toBeNull();
    expect(nodes.map((node) => node.hits()).toSorted()).toEqual([0, 1]);
  });
});

describe('a CometBFT network', () => {
  test('does not show a head that goes back, whichever method shows it', async () => {
    const { front } = await startAt(cometbft, HEAD - 1, HEAD, HEAD - 2);
    const seen: number[] = [];
    for (let at = 0; at < 6; at++) {
      seen.push(Number((await named(front, 'status', {})).result.sync_info.latest_block_height));
      seen.push(Number((await named(front, 'block', {})).result.block.header.height));
    }
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(HEAD);
  });

  test('answers for a height from a node that has it, by name or by place', async () => {
    const { front, nodes } = await startAt(cometbft, HEAD - 1, HEAD);
    for (let at = 0; at < 4; at++) await named(front, 'status', {});
    for (const node of nodes) node.clear();
    for (let at = 0; at < 3; at++) {
      const height = String(HEAD);
      expect((await named(front, 'block', { height })).result.block.header.height).toBe(height);
      expect((await named(front, 'abci_query', { path: '/key', data: '00', height })).result).toBeDefined();
      expect((await named(front, 'abci_query', ['/key', '00', height, false])).result).toBeDefined();
    }
    expect(nodes.map((node) => node.hits())).toEqual([0, 9]);
  });

  test('asks another node when one says that the height is not there yet, and ejects nobody', async () => {
    const { front, nodes } = await startAt(cometbft, HEAD - 1, HEAD);
    for (let at = 0; at < 2; at++) {
      const { result } = await named(front, 'block', { height: String(HEAD) });
      expect(result.block.header.height).toBe(String(HEAD));
    }
    expect(nodes.map((node) => node.hits())).toEqual([1, 2]);
    expect(front.upstream('a')).toMatchObject({ fails: 0, state: 'eligible' });
    const ahead = await named(front, 'block', { height: String(HEAD + 50) });
    expect(ahead.error.data).toContain('current blockchain height');
  });
});
