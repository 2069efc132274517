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

export interface Link {
  /** Stays true for the moment in which an idle connection that the server closed is made anew. */
  connected(): boolean;
  problem(): string | null;
  /**
   * Resolves when commands can be sent; rejects when the last attempt to connect failed.
   * @param renewed the present connection is known to be over: wait for the next
   */
  usable(renewed?: boolean): Promise<void>;
  fail(error: unknown): void;
  succeed(): void;
  close(): Promise<void>;
}

export function createLink(client: Client, { random, explain, onReady, onChange }: LinkOptions): Link {
  // The two classes declare `on` for their own event names; what is used here they have in common.
  const emitter = client as Pick<NodeJS.EventEmitter, 'on' | 'once'>;
  let connected = false;
  let problem: string | null = null;
  let closing = false;
  let endCount = 0;
  let reconnectTimer: NodeJS.Timeout | undefined;
  let waiting: (() => void)[] = [];

  function changed(): void {
    wake();
    onChange();
  }

  function fail(error: unknown): void {
    if (closing) return;
    connected = false;
    problem = explain(error);
    changed();
  }

  function succeed(): void {
    if (connected && problem === null) return;
    connected = true;
    problem = null;
    changed();
  }

  function wake(): void {
    const woken = waiting;
    waiting = [];
    for (const go of woken) go();
  }

  function onError(error: unknown): void {
    // A connection that was good may simply be made anew: only a failed attempt is a problem.
    if (client.status === 'ready') return;
    fail(error);
  }

  let wasReady = false;
  emitter.on('error', onError);
  emitter.on('node error', onError);
  emitter.on('ready', () => {
    if (closing) return;
    endCount = 0;
    wasReady = true;
    succeed();
    wake(); // Also when nothing changed to the outside.
    onReady();
  });
  emitter.on('close', () => {
    if (!wasReady && problem === null) fail(new Error('closed during the handshake'));
    wasReady = false;
  });
  emitter.on('end', () => {
    // ioredis gives up where its connector fails (no Sentinel answers): go on in its place.
    if (closing) return;
    endCount += 1;
    reconnectTimer = setTimeout(connect, reconnectDelayMs(endCount, random));
  });

  function connect(): void {
    client.connect().catch(() => {}); // The error events have said it.
  }
  connect();

  return {
    connected: () => connected,
    problem: () => problem,
    async usable(renewed = false) {
      for (let stale = renewed; stale || client.status !== 'ready'; stale = false) {
        if (closing) throw new Error('the store is closed');
        if (problem !== null) throw new Unusable(problem);
        await new Promise<void>((go) => waiting.push(go));
      }
    },
    fail,
    succeed,
    async close() {
      closing = true;
      clearTimeout(reconnectTimer);
      changed();
      if (client.status === 'end') return;
      const waits = client.status !== 'wait' && client.status !== 'reconnecting';
      const ended = new Promise<void>((resolve) => {
        if (!waits) return resolve();
        const timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
        emitter.once('end', () => {
          clearTimeout(timer);
          resolve();
        });
      });
      client.disconnect();
      await ended;
    },
  };
}

/** The link has failed before; its problem is explained already. */
export class Unusable extends Error {}
