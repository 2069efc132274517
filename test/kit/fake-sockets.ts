// Decides: how a fake node tells of new heads over WebSocket, and how it fails at that.
// Must not know: which node it is; its chain and its protocol are handed in.
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type FakeChain, hex } from './fake-chain.ts';

/** How a protocol tells of heads. */
export interface Pushes {
  readonly path: string;
  readonly method: string;
  /** What the subscription is answered with. */
  readonly agreed: unknown;
  /** The message that tells of the head. */
  messageOf(chain: FakeChain): object;
}

const SUBSCRIPTION = '0x9ce59a13059e417087c02d3236a0b1cc';

export const EVM_PUSHES: Pushes = {
  path: '/',
  method: 'eth_subscribe',
  agreed: SUBSCRIPTION,
  messageOf: (chain) => ({
    method: 'eth_subscription',
    params: { subscription: SUBSCRIPTION, result: chain.block('latest') },
  }),
};

export const SUBSTRATE_PUSHES: Pushes = {
  path: '/',
  method: 'chain_subscribeNewHeads',
  agreed: SUBSCRIPTION,
  messageOf: ({ head, hashOf }) => ({
    method: 'chain_newHead',
    params: { subscription: SUBSCRIPTION, result: { number: hex(head), parentHash: hashOf(head - 1) } },
  }),
};

export const COMET_PUSHES: Pushes = {
  path: '/websocket',
  method: 'subscribe',
  agreed: {},
  messageOf: ({ head }) => ({
    id: 1,
    result: {
      query: "tm.event='NewBlockHeader'",
      data: {
        type: 'tendermint/event/NewBlockHeader',
        value: { header: { height: String(head), time: '2026-01-02T03:04:05.123456789Z' } },
      },
    },
  }),
};

/**
 * `silent`: it agrees and says nothing; `refuse`: it knows no such subscription; `off`: no upgrade, as without WebSocket; `deaf`: it hears
 * nothing after the upgrade, no subscription and no closing.
 */
export type PushMode = 'heads' | 'silent' | 'refuse' | 'off' | 'deaf';

export interface FakeSockets {
  mode: PushMode;
  /** Subscriptions that were agreed to or refused, since the start. */
  readonly asked: number;
  /** Connections that were upgraded and are not ended. */
  readonly open: number;
  /** Open and agreed to. */
  readonly subscribed: number;
  /** Headers of the last upgrade. */
  readonly headers: IncomingMessage['headers'];
  /** When each head was told, epoch ms. */
  readonly toldAt: ReadonlyMap<number, number>;
  /** Sends this to all that have subscribed. */
  send(text: string): void;
  /** Sends a message of this length to all of them, in frames of a megabyte. */
  sendLong(bytes: number): void;
}

const FRAME = Buffer.alloc(1024 ** 2, 'a');

/** Between two looks at a chain that a clock drives. */
const LOOK_MS = 4;

export function serveSockets(
  server: Server,
  chain: FakeChain,
  { pushes, mode, isWell = () => true }: { pushes: Pushes; mode: PushMode; isWell?: () => boolean },
): FakeSockets {
  const sockets = new WebSocketServer({ noServer: true });
  const subscribers = new Set<WebSocket>();
  const toldAt = new Map<number, number>();
  let told = heightNow();
  const state = { mode, asked: 0, open: 0, headers: {}, toldAt, send, sendLong, subscribed: 0 };

  function heightNow(): number {
    return Number(chain.block('latest')?.number);
  }

  function send(text: string): void {
    for (const subscriber of subscribers) subscriber.send(text);
  }

  function sendLong(bytes: number): void {
    for (let left = bytes; left > 0; left -= FRAME.length)
      for (const subscriber of subscribers)
        subscriber.send(FRAME, { binary: false, fin: left <= FRAME.length });
  }

  function look(): void {
    const height = heightNow();
    if (height === told || !isWell()) return;
    told = height;
    if (state.mode !== 'heads') return;
    toldAt.set(height, performance.timeOrigin + performance.now());
    send(JSON.stringify({ jsonrpc: '2.0', ...pushes.messageOf(chain) }));
  }

  function accept(socket: WebSocket): void {
    socket.on('error', () => {});
    socket.on('message', (bytes) => {
      const { id, method } = JSON.parse(String(bytes));
      const isAgreed = method === pushes.method && state.mode !== 'refuse';
      const error = { code: -32_601, message: `the method ${method} does not exist` };
      const answer = isAgreed ? { result: pushes.agreed } : { error };
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
      state.asked++;
      if (isAgreed) subscribers.add(socket);
      state.subscribed = subscribers.size;
    });
    socket.on('close', () => {
      subscribers.delete(socket);
      state.subscribed = subscribers.size;
    });
  }

  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => {}); // A client may reset what it gives up.
    if (!isWell()) return;
    state.headers = request.headers;
    if (state.mode === 'off' || request.url?.split('?')[0] !== pushes.path) {
      stream.end('HTTP/1.1 405 Method Not Allowed\r\nconnection: close\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, stream, head, accept);
    state.open++;
    stream.once('close', () => state.open--);
    if (state.mode === 'deaf') stream.removeAllListeners('data').resume();
  });
  const timer = setInterval(look, LOOK_MS);
  server.once('close', () => clearInterval(timer));
  return state;
}
