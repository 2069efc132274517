// Decides: how one upstream is listened to for new heads: connected, subscribed, connected again, given up for long.
// Must not know: what follows from a head, and other upstreams. Whatever goes wrong here speaks against nobody: polling goes on.
import type { Head } from '@rpc-balancer/shared';
import type { Socket } from '../runtime.ts';
import type { Push } from './protocol.ts';
import { isRecord, parsedJson } from './values.ts';

export interface FollowOptions {
  readonly push: Push;
  /** Opens a socket; may reject. */
  readonly open: () => Promise<Socket>;
  /** How long it may take until the upstream has agreed to tell. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly random: () => number;
  /** Resolves early when the signal says so; never rejects. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onHead: (head: Head) => void;
  /** A connection is over: until the next head nothing follows from silence. */
  readonly onEnd: () => void;
}

export interface Following {
  /** What a poll saw: a subscription that does not tell as much is opened anew. */
  polled(height: number): void;
  /** Resolves after the signal; never rejects. */
  readonly ended: Promise<void>;
}

/** `refused`: it does not know such a subscription. */
type Ending = 'told' | 'failed' | 'refused';

/** One connection: to be ended, and gone. */
interface Session {
  readonly over: AbortController;
  readonly gone: AbortController;
}

/** Blocks with thousands of transactions have small headers; more is nonsense, and is not parsed. */
const MESSAGE_CHARS_MAX = 262_144;

/** A head that is told this much later than it could be polled is not worth a socket. */
const SILENCE_MS = 3000;

/** Who is alive closes in less; who does not would keep a socket of each attempt. */
const CLOSE_MS = 3000;

const RETRY_MIN_MS = 500;
/** An upstream without WebSocket may get one some day. */
const REFUSED_RETRY_MS = 600_000;
/** Where heads were told before, such as by a node that is restarted. */
const KNOWN = { factor: 4, mostMs: 10_000 };
/** Steep: thousands of upstreams may have no WebSocket at all, and each attempt costs as much as some probes. */
const UNKNOWN = { factor: 16, mostMs: REFUSED_RETRY_MS };

const SUBSCRIPTION_ID = 1;

export function follow(options: FollowOptions): Following {
  const { signal, now, random, pause } = options;
  let session = newSession();
  let told: number | null = null;
  let behindSince: number | null = null;

  async function listenOn(): Promise<void> {
    let failures = 0;
    let hasTold = false;
    // One listener for all sessions: a signal made of two is kept by both for as long as they live.
    const endAtOnce = () => [session.over, session.gone].map((one) => one.abort());
    signal.addEventListener('abort', endAtOnce, { once: true });
    while (!signal.aborted) {
      session = newSession();
      told = null;
      behindSince = null;
      const beganAt = now();
      const ending = await listen({ ...options, onHead }, session);
      hasTold ||= ending === 'told';
      // Who closes each socket after a head or two would else be asked several times a second.
      const lasted = ending === 'told' && now() - beganAt >= KNOWN.mostMs;
      failures = lasted ? 0 : failures + 1;
      const { factor, mostMs } = hasTold ? KNOWN : UNKNOWN;
      const waitMs = Math.min(mostMs, RETRY_MIN_MS * factor ** failures);
      await pause((ending === 'refused' ? REFUSED_RETRY_MS : waitMs) * (0.5 + random() / 2), signal);
    }
  }

  function onHead(head: Head): void {
    told = head.number;
    behindSince = null;
    options.onHead(head);
  }

  return {
    polled(height) {
      told ??= height;
      if (height <= told) behindSince = null;
      else behindSince ??= now();
      if (behindSince !== null && now() - behindSince >= SILENCE_MS) session.over.abort();
    },
    ended: listenOn(),
  };
}

function newSession(): Session {
  return { over: new AbortController(), gone: new AbortController() };
}

/** One connection, from its opening to its end. */
async function listen(
  { push, open, timeoutMs, pause, onHead, onEnd }: FollowOptions,
  { over, gone }: Session,
): Promise<Ending> {
  const { signal } = over;
  const end = () => over.abort();
  const socket = await open().catch(() => null); // Such as a certificate that the runtime cannot read.
  if (socket === null) return 'failed';
  let agreed = false;
  let ending: Ending = 'failed';
  socket.onopen = () => {
    const { method, params } = push;
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: SUBSCRIPTION_ID, method, params }));
  };
  socket.onmessage = (event) => {
    const data: unknown = event.data;
    if (signal.aborted || typeof data !== 'string' || data.length > MESSAGE_CHARS_MAX) return;
    const message = parsedJson(data);
    if (!isRecord(message)) return;
    if (message.id === SUBSCRIPTION_ID && isRecord(message.error)) {
      if (!agreed) ending = 'refused'; // Else it is cancelled, as CometBFT does when it stops or we are slow.
      return end();
    }
    agreed = true;
    const head = push.headIn(message);
    if (head === null) return;
    ending = 'told';
    onHead(head);
  };
  socket.onerror = end;
  socket.onclose = () => {
    gone.abort();
    end();
  };
  void pause(timeoutMs, signal).then(() => agreed || end());
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  onEnd();
  socket.close();
  await pause(CLOSE_MS, gone.signal);
  socket.terminate();
  return ending;
}
