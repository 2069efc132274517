// Decides: whether heads are told to the sidecar alike on Bun, Deno and Node: in clear, over TLS, at an address of a name, and to the end.
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { createServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import type { NetworkStatus } from '../../packages/health-sidecar/src/index.ts';
import { startFakeNode } from '../kit/fake-node.ts';
import { startRedis } from '../kit/redis.ts';
import { createAuthority } from '../kit/redis-tls.ts';
import { startSidecarProcess } from '../kit/sidecar.ts';
import { waitFor } from '../kit/wait.ts';

/** In front of a node, for the name localhost; asks for a certificate of the client. */
async function startTls(nodePort: number) {
  const authority = await createAuthority();
  const own = await authority.issue('localhost');
  const client = await authority.issue('sidecar');
  const options = { cert: own.cert, key: own.key, ca: authority.cert, requestCert: true };
  const front = createServer(options, (socket) => {
    const node = connect(nodePort, '127.0.0.1');
    for (const one of [socket, node]) {
      one.on('error', () => {});
      one.on('close', () => [socket, node].map((other) => other.destroy()));
    }
    socket.pipe(node).pipe(socket);
  });
  front.on('tlsClientError', () => {});
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  onTestFinished(() => void front.close());
  // A TCP server's address is an object; only pipes have texts.
  const { port } = front.address() as AddressInfo;
  return { port, tls: { ca: authority.cert, cert: client.cert, key: client.key } };
}

test.each(['node', 'bun', 'deno'] as const)(
  'heads are told over every kind of socket: %s',
  async (runtime) => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const node = await startFakeNode({ head: 1000, pushMode: 'heads' });
    onTestFinished(() => node.stop());
    const { port, tls } = await startTls(node.port);
    const headers = { 'x-api-key': 'planted' };
    const upstreams = [
      { id: 'plain', url: node.url, headers },
      { id: 'named', url: `http://localhost:${node.port}`, headers },
      { id: 'tls', url: `https://localhost:${port}`, tls, headers },
    ];
    // At an hour's interval no second poll comes.
    const main = { resolve: 'each', probe: { interval: '1h', timeout: '3s' }, upstreams };
    const config = { redis: { url: redis.url }, networks: { main } };
    const sidecar = await startSidecarProcess({ config, runtime });
    onTestFinished(async () => void (await sidecar.stop()));

    const subscribed = () => node.webSockets.subscribed === upstreams.length;
    await waitFor(subscribed, { what: 'a subscription of each upstream', timeoutMs: 20_000 });
    expect(node.webSockets.headers).toMatchObject(headers);
    node.head = 1001;
    const wanted = ['named@127.0.0.1', 'plain', 'tls@127.0.0.1'];
    await waitFor(
      async () => {
        const [network]: NetworkStatus[] = (await sidecar.status()).networks;
        const told = network?.upstreams.filter(({ pushedAt }) => pushedAt !== null) ?? [];
        expect(told.map(({ id }) => id).toSorted()).toEqual(wanted);
        expect(told.map(({ headNumber }) => headNumber)).toEqual([1001, 1001, 1001]);
        return true;
      },
      { what: 'the head of each upstream' },
    );
    expect(sidecar.output).not.toContain('planted');
  },
);

test.each(['node', 'bun', 'deno'] as const)(
  'a socket whose other side does not even hear its closing is ended by force: %s',
  async (runtime) => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const node = await startFakeNode({ head: 1000, pushMode: 'deaf' });
    onTestFinished(() => node.stop());
    const probe = { interval: '1h', timeout: '2s' };
    const upstreams = [{ id: 'deaf', url: node.url }];
    const config = { redis: { url: redis.url }, networks: { main: { probe, upstreams } } };
    const sidecar = await startSidecarProcess({ config, runtime });
    onTestFinished(async () => void (await sidecar.stop()));

    await waitFor(() => node.webSockets.open === 1, { what: 'a socket', timeoutMs: 20_000 });
    await waitFor(() => node.webSockets.open === 0, { what: 'its end', timeoutMs: 20_000 });
  },
);
