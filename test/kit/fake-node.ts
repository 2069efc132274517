// Decides: the scripted EVM upstream on a real socket: what it was asked, what it answers, how it dies.
// Must not know: anything of ours but the scanner of envelopes, which echoes ids byte for byte.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { createChain, type FakeChain } from './fake-chain.ts';
import { isFault } from './fake-faults.ts';
import { type FakeCall, PROBE_METHODS } from './fake-methods.ts';
import type { FakeNodeOptions, Mode, NodeScript, RecordedRequest } from './fake-script.ts';
import { serve } from './fake-serve.ts';
import { EVM_PUSHES, type FakeSockets, type Pushes, type PushMode, serveSockets } from './fake-sockets.ts';
import type { Streamed } from './fake-stream.ts';
import { freePort } from './ports.ts';

export { balanceOf } from './fake-chain.ts';
export type { FakeCall } from './fake-methods.ts';
export type { FakeNodeOptions, Mode, Override, RecordedRequest } from './fake-script.ts';

/** Oldest requests are forgotten first. */
const REQUESTS_MAX = 10_000;
/** Longer bodies are recorded cut. */
const RECORDED_BODY_CHARS = 262_144;
/** Longer than any client keeps an idle socket, so that a test meets no race of its own making. */
const KEEP_ALIVE_MS = 120_000;

/** Starts on loopback and answers as soon as this resolves. */
export async function startFakeNode(options: FakeNodeOptions = {}): Promise<FakeNode> {
  const node = new FakeNode(options);
  await node.restart();
  return node;
}

export class FakeNode implements NodeScript {
  lateMs: number;
  retryAfter: NodeScript['retryAfter'];
  clientVersion: string;
  logCount: number;
  shuffleBatch: boolean;
  anyVerb: boolean;
  dropFromBatch: NodeScript['dropFromBatch'];
  answer: NodeScript['answer'];

  readonly chain: FakeChain;
  readonly requests: RecordedRequest[] = [];
  /** Writes that were carried out, also when the answer got lost; the bytes of their params. */
  readonly executions: string[] = [];
  /** Hashes of what was carried out. */
  readonly executed = new Set<string>();
  /** What `stream` answers sent. */
  readonly streams: Streamed[] = [];
  /** Calls (elements of batches count each) that are none of a probe. */
  reads = 0;
  /** Connections accepted since the start. */
  sockets = 0;
  /** HTTP requests that are neither answered nor given up. */
  inFlight = 0;

  #mode: Mode = 'ok';
  #lieBy: number;
  readonly #host: string;
  #port: number;
  #server: Server | null = null;
  readonly #pushes: Pushes;
  #pushMode: PushMode;
  #webSockets: FakeSockets | null = null;
  #requestCount = 0;
  readonly #methodCounts = new Map<string, number>();
  readonly #open = new Set<Socket>();

  constructor(options: FakeNodeOptions) {
    this.chain = createChain(options);
    this.chain.syncing = options.syncing ?? false;
    this.lateMs = options.lateMs ?? 3000;
    this.retryAfter = options.retryAfter;
    this.clientVersion = options.clientVersion ?? 'FakeNode/v1.0.0';
    this.logCount = options.logCount ?? 1;
    this.shuffleBatch = options.shuffleBatch ?? false;
    this.anyVerb = options.anyVerb ?? false;
    this.dropFromBatch = options.dropFromBatch;
    this.answer = options.answer;
    this.#lieBy = options.lieBy ?? 1_000_000;
    this.#host = options.host ?? '127.0.0.1';
    this.#port = options.port ?? 0;
    this.#pushes = options.pushes ?? EVM_PUSHES;
    this.#pushMode = options.pushMode ?? 'off';
    this.mode = options.mode ?? 'ok';
  }

  get url(): string {
    return `http://${this.#host}:${this.#port}`;
  }
  get port(): number {
    return this.#port;
  }
  /** Connections that are open now. */
  get openSockets(): number {
    return this.#open.size;
  }
  get mode(): Mode {
    return this.#mode;
  }
  set mode(mode: Mode) {
    this.#mode = mode;
    this.chain.frozen = mode === 'frozen';
    this.chain.lieBy = mode === 'lie' ? this.#lieBy : 0;
  }
  get lieBy(): number {
    return this.#lieBy;
  }
  set lieBy(blocks: number) {
    this.#lieBy = blocks;
    if (this.#mode === 'lie') this.chain.lieBy = blocks;
  }
  /** Of the present server; a restart begins with new ones. */
  get webSockets(): FakeSockets {
    if (this.#webSockets === null) throw new Error('the node was never started');
    return this.#webSockets;
  }
  get pushMode(): PushMode {
    return this.#pushMode;
  }
  set pushMode(mode: PushMode) {
    this.#pushMode = mode;
    this.webSockets.mode = mode;
  }
  get chainId(): number {
    return this.chain.chainId;
  }
  set chainId(chainId: number) {
    this.chain.chainId = chainId;
  }
  get head(): number {
    return this.chain.head;
  }
  set head(height: number) {
    this.chain.head = height;
  }
  get blockTimeMs(): number {
    return this.chain.blockTimeMs;
  }
  set blockTimeMs(ms: number) {
    this.chain.blockTimeMs = ms;
  }
  get fork(): string {
    return this.chain.fork;
  }
  set fork(label: string) {
    this.chain.fork = label;
  }
  get syncing(): unknown {
    return this.chain.syncing;
  }
  set syncing(answer: unknown) {
    this.chain.syncing = answer;
  }
  get finalized(): number {
    return this.chain.finalized;
  }

  /** HTTP requests, or calls of one method. */
  hits(method?: string): number {
    return method === undefined ? this.#requestCount : (this.#methodCounts.get(method) ?? 0);
  }

  /** Forgets what was recorded; sockets stay open. */
  clear(): void {
    this.requests.length = 0;
    this.executions.length = 0;
    this.streams.length = 0;
    this.executed.clear();
    this.#methodCounts.clear();
    this.#requestCount = 0;
    this.reads = 0;
    this.sockets = 0;
  }

  record(request: IncomingMessage, body: Buffer, calls: readonly (FakeCall | null)[]): void {
    this.#requestCount++;
    const methods = calls.flatMap((call) => (call === null ? [] : [call.method]));
    for (const method of methods) {
      this.#methodCounts.set(method, this.hits(method) + 1);
      if (!PROBE_METHODS.has(method)) this.reads++;
    }
    this.requests.push({
      verb: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      methods,
      body: body.toString('utf8').slice(0, RECORDED_BODY_CHARS),
      at: Date.now(),
    });
    if (this.requests.length > REQUESTS_MAX) this.requests.shift();
  }

  /** Listens again, on the port it had. */
  async restart(): Promise<void> {
    await this.kill();
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
      this.inFlight++;
      response.once('close', () => {
        this.inFlight--;
      });
      serve(this, request, response).catch((error: Error) => response.destroy(error));
    });
    this.#webSockets = serveSockets(server, this.chain, {
      pushes: this.#pushes,
      mode: this.#pushMode,
      isWell: () => !isFault(this.mode),
    });
    server.on('connection', (socket: Socket) => {
      this.sockets++;
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
    });
    // One that nobody else gets while the node is down.
    if (this.#port === 0) this.#port = await freePort();
    server.listen(this.#port, this.#host);
    await once(server, 'listening');
    this.#server = server;
  }

  /** The port is closed and every socket destroyed before this returns; the promise is for the operating system. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  stop(): Promise<void> {
    return this.kill();
  }
}
