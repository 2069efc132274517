// Decides: a TCP path to a server that a test can hold up, so that one process alone loses the server.
// Must not know: what travels on it.
import { connect, createServer, type Socket } from 'node:net';
import { freePort } from './ports.ts';

export interface TcpPath {
  readonly port: number;
  /** Nothing passes in either direction; no socket is closed, as when a cable is cut. */
  hold(): void;
  /** What was held up passes now, late. */
  release(): void;
  /** Everything arrives so much later from now on, in either direction. */
  slow(ms: number): void;
  /** Resets every connection and each one that comes, as when a network is unplugged. */
  cut(): void;
  /** What comes from now on passes. */
  mend(): void;
  /** When the client last sent something with this text, whether or not it passed; epoch ms. */
  lastSentAt(): number;
  /** Ends every connection and takes no more. */
  close(): void;
}

/** A path on loopback to a port. */
export async function openTcpPath(toPort: number, text = ''): Promise<TcpPath> {
  const sockets = new Set<Socket>();
  let held: (() => void)[] | null = null;
  let sentAt = 0;
  let broken = false;
  let lateMs = 0;

  function pass(from: Socket, to: Socket, onChunk: (chunk: Buffer) => void = () => {}): void {
    from.on('data', (chunk: Buffer) => {
      onChunk(chunk);
      if (held) held.push(() => to.write(chunk));
      else if (lateMs > 0) setTimeout(() => to.write(chunk), lateMs);
      else to.write(chunk);
    });
    const end = () => {
      if (held) held.push(() => to.destroy());
      else to.destroy();
    };
    from.on('close', end).on('error', end);
  }

  const server = createServer((client) => {
    if (broken) {
      client.on('error', () => {}).resetAndDestroy();
      return;
    }
    const upstream = connect(toPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    pass(client, upstream, (chunk) => {
      if (chunk.includes(text)) sentAt = Date.now();
    });
    pass(upstream, client);
  });
  const port = await freePort();
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  return {
    port,
    hold() {
      held ??= [];
    },
    release() {
      const late = held ?? [];
      held = null;
      for (const go of late) go();
    },
    slow(ms) {
      lateMs = ms;
    },
    cut() {
      broken = true;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    mend() {
      broken = false;
    },
    lastSentAt: () => sentAt,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
