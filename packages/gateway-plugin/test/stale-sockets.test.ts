import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startFront, startNodes } from './front.ts';

/** A node that answers once per connection and resets or ends it at the second request, as idle timeouts do. */
async function startForgetful(end: 'reset' | 'end'): Promise<{ url: string; answered: () => number }> {
  const seen = new WeakSet<Socket>();
  let answered = 0;
  const server = createServer((request, response) => {
    const { socket } = request;
    if (seen.has(socket)) {
      if (end === 'reset') socket.resetAndDestroy();
      else socket.destroy();
      return;
    }
    seen.add(socket);
    answered++;
    response.setHeader('content-type', 'application/json');
    response.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // A TCP server's address is an object.
  return { url: `http://127.0.0.1:${port}`, answered: () => answered };
}

async function startBench(end: 'reset' | 'end') {
  const node = await startForgetful(end);
  const placeholders = await startNodes({});
  const front = await startFront(placeholders, { upstreams: [{ url: node.url }] });
  return { front, node };
}

test.each(['reset', 'end'] as const)(
  'a read on a socket that the node gave up (%s) is sent again to the same node, which is not blamed',
  async (end) => {
    const { front, node } = await startBench(end);
    for (let at = 0; at < 5; at++) expect((await front.call('eth_gasPrice')).json.result).toBe('0x1');
    expect(node.answered()).toBe(5);
    expect(front.upstream('a')).toMatchObject({ fails: 0, inFlight: 0 });
  },
);

test('a write on a socket that the node gave up has an unknown fate, since the node may have read it', async () => {
  const { front, node } = await startBench('reset');
  await front.call('eth_gasPrice');
  const { json } = await front.call('eth_sendRawTransaction', ['0x01']);
  expect(json.error.data.code).toBe('RPCB_FATE_UNKNOWN');
  expect(node.answered()).toBe(1);
  expect(front.upstream('a').fails).toBe(0);
});
