// CometBFT nodes at different heights behind a real gateway: what clients see of the head by URI.
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { waitFor } from '../../../test/kit/wait.ts';
import type { FrontOptions } from './front.ts';
import { ask as askAt, startHttpBench } from './http-nodes.ts';

const HEAD = 1000;

const blockOf = (height: number) => ({ block: { header: { chain_id: 'c', height: String(height) } } });

function answerOf(method: string, height: number | null, head: number): object {
  if (method === 'status') return { result: { sync_info: { latest_block_height: String(head) } } };
  if (height !== null && height > head) return { error: { code: -32603, message: 'Internal error' } };
  return { result: blockOf(height ?? head) };
}

/** Nodes `a`, `b`, `c` at these heights, of which nothing is known but their answers. */
async function startAt(heads: number[], { network = {}, ...options }: FrontOptions = {}, padding = '') {
  const bench = await startHttpBench({
    ...options,
    plugin: { ops: '/ops' },
    network: { protocol: 'cometbft', ...network },
  });
  bench.nodes.forEach((node, at) => {
    node.respond = (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://node');
      const height = searchParams.get('height');
      const isGet = request.method === 'GET';
      const answer = answerOf(isGet ? pathname.slice(1) : 'status', Number(height) || null, heads[at] ?? 0);
      response.end(JSON.stringify({ jsonrpc: '2.0', id: isGet ? -1 : 1, ...answer, padding }));
    };
  });
  const get = async (path: string) => (await bench.ask('GET', path)).text;
  const post = async () => {
    const headers = { 'content-type': 'application/json' };
    const body = '{"jsonrpc":"2.0","id":1,"method":"status"}';
    return (await bench.ask('POST', '/net', { headers, body })).text;
  };
  return { ...bench, get, post, hits: () => bench.nodes.map(({ seen }) => seen.length) };
}

const heightIn = (text: string) => Number(/height":"(\d+)"/.exec(text)?.[1]);

const regressions = async (origin: string) => {
  const { text } = await askAt(origin, 'GET', '/ops/metrics');
  return Number(/^rpc_balancer_head_regressions_total\{network="net"\} (\d+)$/m.exec(text)?.[1]);
};

describe('the head of a CometBFT network', () => {
  test('does not go back, whether it is asked for by URI or by POST', async () => {
    const { get, post, front } = await startAt([HEAD - 1, HEAD, HEAD - 2]);
    const seen: number[] = [];
    for (let at = 0; at < 6; at++) {
      seen.push(heightIn(await get('/net/status')), heightIn(await get('/net/block')));
      seen.push(heightIn(await post()), heightIn(await get('/net/block?height=0')));
    }
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect([seen[0], seen.at(-1)]).toEqual([HEAD - 1, HEAD]);
    expect(await regressions(front.origin)).toBe(0);
    for (const id of ['a', 'b', 'c']) expect(front.upstream(id).fails).toBe(0);
  });

  test('that a URI call has shown is not gone below by POST', async () => {
    const { get, post, nodes } = await startAt([HEAD, HEAD - 1, HEAD - 1]);
    expect(heightIn(await get('/net/status'))).toBe(HEAD);
    for (let at = 0; at < 4; at++) expect(heightIn(await post())).toBe(HEAD);
    expect(nodes[1].seen.length).toBeGreaterThan(0);
  });

  test('is not learned from an answer that is none', async () => {
    const { get, nodes, hits } = await startAt([HEAD, HEAD, HEAD]);
    const higher = JSON.stringify({ jsonrpc: '2.0', id: -1, ...answerOf('status', null, HEAD + 3) });
    nodes[0].respond = (_request, response) => response.writeHead(503).end(higher);
    expect(heightIn(await get('/net/status'))).toBe(HEAD);
    expect(hits()).toEqual([1, 1, 0]);
  });

  test('may go back where the network says so', async () => {
    const { get } = await startAt([HEAD, HEAD - 1, HEAD - 2], { network: { monotonicHead: 'off' } });
    const seen = [];
    for (let at = 0; at < 3; at++) seen.push(heightIn(await get('/net/status')));
    expect(seen).toEqual([HEAD, HEAD - 1, HEAD - 2]);
  });

  test.each([
    ['first', [HEAD, HEAD - 2, HEAD - 1]],
    ['last', [HEAD, HEAD - 1, HEAD - 2]],
  ])(
    'is let through below the mark when nobody has more, the highest, and counted, also if that came not %s',
    async (_place, heads) => {
      const { get, nodes, front, hits } = await startAt(heads);
      expect(heightIn(await get('/net/status'))).toBe(HEAD);
      nodes[0].respond = (_request, response) => response.writeHead(503).end('down');
      expect(heightIn(await get('/net/status'))).toBe(HEAD - 1);
      expect(hits()).toEqual([2, 1, 1]);
      expect(await regressions(front.origin)).toBe(1);
    },
  );

  test('in blocks larger than what is held does not go back, and none is answered in part', async () => {
    const options = { gateway: { holdAnswer: 1024 } };
    const { get, front, hits } = await startAt([HEAD, HEAD - 1, HEAD - 1], options, 'x'.repeat(100_000));
    for (let at = 0; at < 3; at++) {
      const { result, padding } = JSON.parse(await get('/net/block'));
      expect([result, padding.length]).toEqual([blockOf(HEAD), 100_000]);
    }
    expect(hits()[1]).toBeGreaterThan(0);
    for (const id of ['a', 'b', 'c'])
      await waitFor(() => front.upstream(id).inFlight === 0, { what: 'all to end' });
  });

  test('is waited for by a URI call for its block, and not asked of those that lack it', async () => {
    const heads = [HEAD, HEAD, HEAD];
    const { get, nodes, hits, front } = await startAt(heads);
    for (let at = 0; at < 3; at++) await get('/net/status');
    const arrived = once(front.app.server, 'request');
    const waiting = get(`/net/block?height=${HEAD + 1}`);
    await arrived;
    heads[2] = HEAD + 1;
    while (heightIn(await get('/net/status')) === HEAD) expect(hits()[0]).toBeLessThan(100);
    expect(JSON.parse(await waiting).result).toEqual(blockOf(HEAD + 1));
    const asked = nodes.map(({ seen }) => seen.filter(({ url }) => url.startsWith('/block')).length);
    expect(asked).toEqual([0, 0, 1]);
  });

  test('is waited for once, and then asked for where it is not known to be', async () => {
    const { get, hits } = await startAt([HEAD, HEAD, HEAD]);
    for (let at = 0; at < 3; at++) await get('/net/status');
    expect(JSON.parse(await get(`/net/block?height=${HEAD + 1}`)).error.code).toBe(-32603);
    expect(hits().toSorted()).toEqual([1, 2, 2]); // One second opinion.
  });

  test('is not waited for beyond the deadline', async () => {
    const network = { deadline: 300, readTimeout: 200, connectTimeout: 50 };
    const { get, hits } = await startAt([HEAD, HEAD, HEAD], { network });
    for (let at = 0; at < 3; at++) await get('/net/status');
    const { error } = JSON.parse(await get(`/net/block?height=${HEAD + 1}`));
    expect(error.data).toMatchObject({ code: 'RPCB_DEADLINE', attempts: [] });
    expect(hits()).toEqual([1, 1, 1]);
  });
});
