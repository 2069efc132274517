import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createAuthority } from '../../../test/kit/redis-tls.ts';
import { type Front, startFront, startNodes } from './front.ts';

/** A node behind TLS that asks for a certificate if told so. */
async function startSecureNode({ requestCert }: { requestCert: boolean }) {
  const authority = await createAuthority();
  const own = await authority.issue('localhost', ['127.0.0.1']);
  let answered = 0;
  const tls = { ...own, ca: authority.cert, requestCert, rejectUnauthorized: requestCert };
  const server = createServer(tls, (_request, response) => {
    answered++;
    response.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // A TCP server's address is an object.
  return { authority, port, answered: () => answered };
}

async function frontTo(port: number, tls?: object, host = '127.0.0.1'): Promise<Front> {
  const placeholders = await startNodes({});
  return startFront(placeholders, { upstreams: [{ url: `https://${host}:${port}`, ...(tls && { tls }) }] });
}

test('a node whose certificate nobody vouches for gets not one byte of a request', async () => {
  const node = await startSecureNode({ requestCert: false });
  const front = await frontTo(node.port);
  const { status, json } = await front.call('eth_sendRawTransaction', ['0x01']);
  expect({ status, code: json.error.data.code }).toEqual({ status: 502, code: 'RPCB_ATTEMPTS_FAILED' });
  expect(node.answered()).toBe(0);
});

test('a node whose certificate the configured authority vouches for is spoken to', async () => {
  const node = await startSecureNode({ requestCert: false });
  const front = await frontTo(node.port, { ca: node.authority.cert });
  expect((await front.call('eth_gasPrice')).json.result).toBe('0x1');
});

test('a certificate of our own is shown to a node that asks for one', async () => {
  const node = await startSecureNode({ requestCert: true });
  const ours = await node.authority.issue('gateway');
  const without = await frontTo(node.port, { ca: node.authority.cert });
  expect((await without.call('eth_gasPrice')).status).toBe(502);
  const front = await frontTo(node.port, { ca: node.authority.cert, ...ours });
  expect((await front.call('eth_gasPrice')).json.result).toBe('0x1');
  expect(node.answered()).toBe(1);
});
