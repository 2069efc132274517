// A CometBFT node is called by POST, which is JSON-RPC, and by the URI, which is passed through.
import { describe, expect, test } from 'vitest';
import { answering, FAULTS, startHttpBench } from './http-nodes.ts';

const NETWORK = {
  protocol: 'cometbft' as const,
};

/** As CometBFT answers a URI call. */
const uriAnswer = (answer: object, status = 200) =>
  ((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', 'x-own': '1' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: -1, ...answer }));
  }) satisfies (typeof FAULTS)[string];

const bench = async (respond: (typeof FAULTS)[string] | undefined) => {
  const made = await startHttpBench({ network: NETWORK, upstreams: [{}, {}, { disabled: true }] });
  for (const node of made.nodes) node.respond = uriAnswer({ result: { height: '5' } });
  if (respond) made.nodes[0].respond = respond;
  return { ...made, hits: () => made.nodes.map(({ seen }) => seen.length) };
};

describe('a URI call', () => {
  test('goes to the node with its query, without the headers of the client, and its answer comes back as it is', async () => {
    const { nodes, ask } = await bench(undefined);
    const headers = { authorization: 'Bearer mine', cookie: 'a=1' };
    const { status, text, headers: own } = await ask('GET', '/net/block?height=5&x="y"', { headers });
    expect([status, text, own['x-own']]).toEqual([
      200,
      '{"jsonrpc":"2.0","id":-1,"result":{"height":"5"}}',
      '1',
    ]);
    expect(nodes[0].seen[0]?.url).toBe('/block?height=5&x="y"');
    for (const name of ['authorization', 'cookie'])
      expect(nodes[0].seen[0]?.headers).not.toHaveProperty(name);
  });

  test('has its JSON-RPC error under the status 500 for an answer, which counts against nobody', async () => {
    const { ask, front, hits } = await bench(
      uriAnswer({ error: { code: -32602, message: 'no such tx' } }, 500),
    );
    const { status, text } = await ask('GET', '/net/tx?hash=0x00');
    expect([status, JSON.parse(text).error.message]).toEqual([500, 'no such tx']);
    expect(front.upstream('a').fails).toBe(0);
    expect(hits()).toEqual([1, 0, 0]);
  });

  test.each([
    ['resets', FAULTS.reset, 1],
    ['answers no JSON-RPC', answering(200), 1],
    ['answers 503', answering(503), 1],
    ['says that it has an internal error', uriAnswer({ error: { code: -32603, message: 'oops' } }, 500), 0],
    ['says that it is limited', uriAnswer({ error: { code: -32005, message: 'limit exceeded' } }), 0],
    ['knows no such method', answering(404), 0],
  ])('that reads goes on when the node %s', async (_what, respond, fails) => {
    const { ask, front, hits } = await bench(respond);
    expect((await ask('GET', '/net/status')).text).toContain('"height":"5"');
    expect(hits()).toEqual([1, 1, 0]);
    expect(front.upstream('a').fails).toBe(fails);
  });

  test('goes past a node that lately said that it lacks the method', async () => {
    const { ask, hits } = await bench(uriAnswer({ error: { code: -32601, message: 'not found' } }));
    for (let round = 0; round < 3; round++) expect((await ask('GET', '/net/status')).status).toBe(200);
    expect(hits()).toEqual([1, 3, 0]);
  });

  test('goes where the newest head is, or the height that it names', async () => {
    const { nodes, ask, hits } = await bench(undefined);
    nodes.forEach((node, at) => {
      const status = { sync_info: { latest_block_height: String(999 + at) } };
      node.respond = (_request, response) =>
        response.end(JSON.stringify({ jsonrpc: '2.0', id: 7, result: status }));
    });
    const headers = { 'content-type': 'application/json' };
    const body = '{"jsonrpc":"2.0","id":7,"method":"status"}';
    for (let at = 0; at < 4; at++) await ask('POST', '/net', { body, headers });
    const asked = async (path: string) => {
      for (const node of nodes) node.seen.length = 0;
      for (let at = 0; at < 4; at++) expect((await ask('GET', path)).status).toBe(200);
      return hits().slice(0, 2);
    };
    expect(await asked('/net/abci_query?path="/key"')).toEqual([0, 4]);
    expect(await asked('/net/status')).toEqual([2, 4]); // Its answer is looked at; a lower one is asked for again.
    expect(await asked('/net/block?height=1000')).toEqual([0, 4]);
    expect(await asked('/net/block?x=?&height="1000"')).toEqual([0, 4]);
    expect(await asked('/net/block?height=999')).toEqual([2, 2]);
    expect(await asked('/net/net_info')).toEqual([2, 2]);
  });

  test('that writes is sent once, and its error says that its fate is unknown', async () => {
    const { ask, hits } = await bench(FAULTS.reset);
    const { status, error, text } = await ask('GET', '/net/broadcast_tx_sync?tx=0x01');
    expect([status, error]).toMatchObject([502, { code: -32000, data: { code: 'RPCB_FATE_UNKNOWN' } }]);
    expect(JSON.parse(text)).toMatchObject({ jsonrpc: '2.0', id: null });
    expect(hits()).toEqual([1, 0, 0]);
  });

  test('without a method, and verbs that CometBFT does not know, are refused', async () => {
    const { ask, hits } = await bench(undefined);
    for (const [verb, path] of [
      ['GET', '/net/'],
      ['GET', '/net'],
      ['PUT', '/net/status'],
      ['HEAD', '/net/status'],
    ] as const) {
      const { status, error } = await ask(verb, path);
      expect([verb, path, status, verb === 'HEAD' || error?.data]).toMatchObject([
        ...[verb, path, 404],
        verb === 'HEAD' || { code: 'RPCB_NOT_FOUND' },
      ]);
    }
    expect(hits()).toEqual([0, 0, 0]);
  });
});

test('POST to a CometBFT network is JSON-RPC', async () => {
  const { ask, nodes } = await bench((_request, response) =>
    response.end('{"jsonrpc":"2.0","id":7,"result":"0x1"}'),
  );
  const body = '{"jsonrpc":"2.0","id":7,"method":"status","params":{}}';
  const headers = { 'content-type': 'application/json' };
  expect(await ask('POST', '/net', { body, headers })).toMatchObject({
    status: 200,
    text: '{"jsonrpc":"2.0","id":7,"result":"0x1"}',
  });
  expect(nodes[0].seen).toMatchObject([{ verb: 'POST', url: '/', body }]);
  expect((await ask('POST', '/net', { body: '{', headers })).status).toBe(400);
});
