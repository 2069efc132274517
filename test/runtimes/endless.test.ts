// Decides: whether what a node sends without end takes no memory of the sidecar, on Bun, Deno and Node.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import pidusage from 'pidusage';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { NetworkStatus } from '../../packages/health-sidecar/src/index.ts';
import { startFakeNode } from '../kit/fake-node.ts';
import type { Runtime } from '../kit/paths.ts';
import { startSidecarProcess } from '../kit/sidecar.ts';
import { waitFor } from '../kit/wait.ts';
import { redisServer } from '../system/programs.ts';

const RUNTIMES: readonly Runtime[] = ['node', 'bun', 'deno'];
const ENDLESS_BYTES = 1024 ** 3;
/** A probe reads up to 4 MiB; the rest is what the buffers of two sockets and a runtime take at once. */
const TAKEN_BYTES_MAX = 64 * 1024 ** 2;
/** What the runtimes need by themselves is less than a third of it. */
const MEMORY_BYTES_MAX = 512 * 1024 ** 2;
/** Each of them is cut off anew. */
const ANSWERS_MIN = 6;

/** More than the sidecar takes; Bun can be told no limit, and has one of its own. */
const MESSAGE_BYTES = { node: 2 * 1024 ** 2, bun: 256 * 1024 ** 2, deno: 2 * 1024 ** 2 };

const PIECE = Buffer.alloc(65_536, 'a');
const CHUNK = Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from('\r\n')]);

/** Sends a chunked answer of a gibibyte, whatever its headers say besides. */
function sendEndless(socket: Socket, header: string, onSent: (bytes: number) => void): void {
  let sent = 0;
  const goOn = () => {
    while (!socket.destroyed && sent < ENDLESS_BYTES) {
      sent += PIECE.length;
      onSent(sent);
      if (!socket.write(CHUNK)) return void socket.once('drain', goOn);
    }
    socket.end('0\r\n\r\n');
  };
  socket.write(`HTTP/1.1 200 OK\r\n${header}transfer-encoding: chunked\r\n\r\n`);
  goOn();
}

async function startEndless(header: string) {
  const sent: number[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // Whoever asked has gone.
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', () => {
      const at = sent.push(0) - 1;
      sendEndless(socket, header, (bytes) => {
        sent[at] = bytes;
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  // A TCP server's address is an object; only pipes have texts.
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sent };
}

async function start(runtime: Runtime, upstreams: readonly object[], interval: number | string) {
  const redis = await redisServer();
  const main = { probe: { interval, timeout: '20s', attempts: 1 }, upstreams };
  const sidecar = await startSidecarProcess({
    config: { redis: { url: redis.url }, networks: { main } },
    runtime,
  });
  onTestFinished(async () => void (await sidecar.stop()));
  return sidecar;
}

describe.each(RUNTIMES)('what is sent without end, on %s', (runtime) => {
  test(`an answer is given up after a few megabytes, whatever length it claims: ${runtime}`, async () => {
    const plain = await startEndless('');
    const lying = await startEndless('content-length: 10\r\n');
    const upstreams = [
      { id: 'plain', url: plain.url },
      { id: 'lying', url: lying.url },
    ];
    const sidecar = await start(runtime, upstreams, 300);
    let memory = 0;
    await waitFor(
      async () => {
        memory = Math.max(memory, (await pidusage(sidecar.process.pid)).memory);
        const [network]: NetworkStatus[] = (await sidecar.status()).networks;
        expect(network?.upstreams.map(({ reason }) => reason)).toEqual(['probe_failed', 'probe_failed']);
        for (const { sent } of [plain, lying]) expect(sent.length).toBeGreaterThan(ANSWERS_MIN);
        return true;
      },
      { what: 'several probes of both', timeoutMs: 40_000, everyMs: 20 },
    );
    expect(Math.max(...plain.sent, ...lying.sent)).toBeLessThan(TAKEN_BYTES_MAX);
    expect(memory).toBeLessThan(MEMORY_BYTES_MAX);
  });

  test(`a message ends its socket, and speaks against nobody: ${runtime}`, async () => {
    const node = await startFakeNode({ head: 1000, pushMode: 'heads' });
    onTestFinished(() => node.stop());
    const sidecar = await start(runtime, [{ id: 'a', url: node.url }], '1h');
    await waitFor(() => node.webSockets.subscribed === 1, { what: 'a subscription', timeoutMs: 20_000 });
    node.webSockets.sendLong(MESSAGE_BYTES[runtime]);
    await waitFor(() => node.webSockets.subscribed === 0, {
      what: 'the end of the socket',
      timeoutMs: 20_000,
    });
    expect((await sidecar.status()).networks[0].upstreams[0].reason).toBeNull();
  });
});
