// Decides: when one client counts as connected, and keeps it trying until it is closed.
// Must not know: what is sent over it.
import { reconnectDelayMs } from './backoff.ts';
import type { Client } from './client.ts';

/** Closing waits no longer, whatever the server does. */
const CLOSE_TIMEOUT_MS = 1000;

export interface LinkOptions {
  readonly random: () => number;
  readonly explain: (error: unknown) => string;
  /** Called after each connection, the first one included. */
  readonly onReady: () => void;
  /** Called when `connected` or `problem` may have changed. */
  readonly onChange: () => void;
}

export class Link {
  readonly #client: Client;
  readonly #emitter: Pick<NodeJS.EventEmitter, 'on' | 'once'>;
  readonly #options: LinkOptions;
  #connected = false;
  #problem: string | null = null;
  #closing = false;
  #wasReady = false;
  #endCount = 0;
  #reconnectTimer: NodeJS.Timeout | undefined;
  #waiting: (() => void)[] = [];

  constructor(client: Client, options: LinkOptions) {
    this.#client = client;
    // The two classes declare `on` for their own event names; what is used here they have in common.
    this.#emitter = client as Pick<NodeJS.EventEmitter, 'on' | 'once'>;
    this.#options = options;
    this.#emitter.on('error', (error) => this.#onError(error));
    this.#emitter.on('node error', (error) => this.#onError(error));
    this.#emitter.on('ready', () => this.#onReady());
    this.#emitter.on('close', () => this.#onClose());
    this.#emitter.on('end', () => this.#onEnd());
    this.#connect();
  }

  /** Stays true for the moment in which an idle connection that the server closed is made anew. */
  get connected(): boolean {
    return this.#connected;
  }

  get problem(): string | null {
    return this.#problem;
  }

  /**
   * Resolves when commands can be sent; rejects when the last attempt to connect failed.
   * @param renewed the present connection is known to be over: wait for the next
   */
  async usable(renewed = false): Promise<void> {
    for (let stale = renewed; stale || this.#client.status !== 'ready'; stale = false) {
      if (this.#closing) throw new Error('the store is closed');
      if (this.#problem !== null) throw new Unusable(this.#problem);
      await new Promise<void>((go) => this.#waiting.push(go));
    }
  }

  fail(error: unknown): void {
    if (this.#closing) return;
    this.#connected = false;
    this.#problem = this.#options.explain(error);
    this.#changed();
  }

  succeed(): void {
    if (this.#connected && this.#problem === null) return;
    this.#connected = true;
    this.#problem = null;
    this.#changed();
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#reconnectTimer);
    this.#changed();
    const { status } = this.#client;
    if (status === 'end') return;
    const ended = status === 'wait' || status === 'reconnecting' ? null : this.#ended();
    this.#client.disconnect();
    await ended;
  }

  #connect(): void {
    this.#client.connect().catch(() => {}); // The error events have said it.
  }

  #onError(error: unknown): void {
    // A connection that was good may simply be made anew: only a failed attempt is a problem.
    if (this.#client.status !== 'ready') this.fail(error);
  }

  #onReady(): void {
    if (this.#closing) return;
    this.#endCount = 0;
    this.#wasReady = true;
    this.succeed();
    this.#wake(); // Also when nothing changed to the outside.
    this.#options.onReady();
  }

  #onClose(): void {
    if (!this.#wasReady && this.#problem === null) this.fail(new Error('closed during the handshake'));
    this.#wasReady = false;
  }

  #onEnd(): void {
    // ioredis gives up where its connector fails (no Sentinel answers): go on in its place.
    if (this.#closing) return;
    this.#endCount += 1;
    const delayMs = reconnectDelayMs(this.#endCount, this.#options.random);
    this.#reconnectTimer = setTimeout(() => this.#connect(), delayMs);
  }

  #changed(): void {
    this.#wake();
    this.#options.onChange();
  }

  #wake(): void {
    const woken = this.#waiting;
    this.#waiting = [];
    for (const go of woken) go();
  }

  /** Resolves when the connection has ended, or after a time. */
  #ended(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
      this.#emitter.once('end', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** The link has failed before; its problem is explained already. */
export class Unusable extends Error {}
