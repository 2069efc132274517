// Decides: how one attempt runs on the wire: send, hold what is small, stream what is large, end by timeout or cancellation.
// Must not know: what the bytes mean, or whether another attempt follows.
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Cancellation, CancelReason } from './cancellation.ts';
import type { Connections } from './pool.ts';

export interface AttemptRequest {
  readonly verb: string;
  /** With its query. */
  readonly path: string;
  /** Flat list of name, value, name, value: the form that undici writes fastest. Its own: undici asks for one to write to. */
  readonly headers: string[];
  readonly body: Uint8Array | null;
  /** To the first byte and between two bytes, in ms. */
  readonly readTimeoutMs: number;
  /** Up to this an answer is held until it is complete. */
  readonly holdBytes: number;
}

/** What came of an attempt, as plain facts. */
export type Reply = Answered | Broken | Cancelled;

export interface Answered {
  readonly kind: 'answered';
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The whole body, or its beginning when `rest` is given. */
  readonly body: Buffer;
  /** What an answer larger than `holdBytes` has beyond `body`; null when that is all. */
  readonly rest: Remainder | null;
}

export interface Remainder {
  /** Of the whole body, as the node said it; null where it said nothing. */
  readonly totalBytes: number | null;
  /** The whole body, beginning included. `onEnd` is called once. */
  stream(onEnd: (end: StreamEnd) => void): Readable;
  /** Nobody wants it. */
  discard(): void;
}

/** `complete`; `cut` by the node; `left` by the client, or ended by the deadline or a shutdown. */
export type StreamEnd = 'complete' | 'cut' | 'left';

export interface Broken {
  readonly kind: 'broken';
  /** `connecting`: no byte was sent. `waiting`: no answer yet. `reading`: the answer had begun. */
  readonly phase: 'connecting' | 'waiting' | 'reading';
  readonly timedOut: boolean;
  readonly reusedSocket: boolean;
  readonly error: Error;
}

export interface Cancelled {
  readonly kind: 'cancelled';
  readonly reason: CancelReason;
  readonly sent: boolean;
}

const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT']);

/** An attempt on its way. */
export interface Sent {
  /** Whether its answer has begun. */
  readonly answering: boolean;
  /** Ends it; its reply is then `cancelled`. */
  cancel(reason: CancelReason): void;
}

/** Sends once. Whatever happens is a reply, and there is exactly one, perhaps before this returns. */
export function dispatch(
  to: Connections,
  attemptRequest: AttemptRequest,
  cancellation: Cancellation,
  onReply: (reply: Reply) => void,
): Sent {
  const attempt = new Attempt(to, attemptRequest.holdBytes, cancellation, onReply);
  if (cancellation.reason !== null) {
    attempt.cancel(cancellation.reason);
    return attempt;
  }
  // `servername` is not in undici's types; without it undici takes the name from `Host`.
  const options: Dispatcher.DispatchOptions & { servername: string } = {
    servername: to.serverName,
    path: attemptRequest.path,
    // undici's type lists the usual verbs; it sends any token.
    method: attemptRequest.verb as Dispatcher.HttpMethod,
    headers: attemptRequest.headers,
    body: attemptRequest.body,
    headersTimeout: attemptRequest.readTimeoutMs,
    bodyTimeout: attemptRequest.readTimeoutMs,
    // After HEAD undici would close the connection, which is good for the next request as after any other (as in nginx).
    ...(attemptRequest.verb === 'HEAD' && { reset: false }),
  };
  to.pool.dispatch(options, attempt);
  return attempt;
}

class Attempt implements Dispatcher.DispatchHandler, Sent {
  readonly #to: Connections;
  readonly #holdBytes: number;
  readonly #onReply: (reply: Reply) => void;
  #replied = false;
  readonly #cancellation: Cancellation;
  readonly #onCancel = (reason: CancelReason) => this.cancel(reason);
  readonly #chunks: Buffer[] = [];
  #heldBytes = 0;
  #controller: Dispatcher.DispatchController | null = null;
  #phase: Broken['phase'] = 'connecting';
  #cancelReason: CancelReason | null = null;
  #status = 0;
  #headers: Answered['headers'] = {};
  #stream: Readable | null = null;
  #onStreamEnd: ((end: StreamEnd) => void) | null = null;

  constructor(
    to: Connections,
    holdBytes: number,
    cancellation: Cancellation,
    onReply: (reply: Reply) => void,
  ) {
    this.#to = to;
    this.#holdBytes = holdBytes;
    this.#onReply = onReply;
    this.#cancellation = cancellation;
    cancellation.onCancel(this.#onCancel);
  }

  get answering(): boolean {
    return this.#phase === 'reading';
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#cancelReason !== null) controller.abort(new Error(this.#cancelReason));
    else this.#phase = 'waiting';
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Answered['headers']): void {
    if (status < 200) return; // An interim answer (RFC 9110 section 15.2): the final one follows.
    this.#phase = 'reading';
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#stream) {
      this.#to.reclaim(chunk.length);
      if (!this.#stream.push(chunk)) controller.pause();
      return;
    }
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes <= this.#holdBytes) return;
    controller.pause();
    const length = this.#headers['content-length'];
    this.#answer({
      totalBytes: typeof length === 'string' ? Number(length) : null,
      stream: (onEnd) => this.#open(onEnd),
      discard: () => this.#abort('not wanted'),
    });
  }

  onResponseEnd(): void {
    this.#cancellation.offCancel(this.#onCancel);
    if (this.#stream) {
      this.#stream.push(null);
      this.#settleStream('complete');
    } else this.#answer(null);
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#cancellation.offCancel(this.#onCancel);
    if (this.#stream) {
      this.#settleStream(this.#cancelReason === null ? 'cut' : 'left');
      this.#stream.destroy(error);
      return;
    }
    const timedOut = TIMEOUTS.has((error as { code?: string }).code ?? ''); // undici's errors carry a code
    const reusedSocket = this.#phase === 'waiting' && this.#to.wasReused(error);
    this.#reply({ kind: 'broken', phase: this.#phase, timedOut, reusedSocket, error });
  }

  #answer(rest: Remainder | null): void {
    const [only] = this.#chunks;
    const body = this.#chunks.length === 1 && only ? only : Buffer.concat(this.#chunks);
    this.#reply({ kind: 'answered', status: this.#status, headers: this.#headers, body, rest });
  }

  cancel(reason: CancelReason): void {
    this.#cancelReason = reason;
    const sent = this.#phase !== 'connecting';
    this.#reply({ kind: 'cancelled', reason, sent }); // Too late, and so without effect, once streaming.
    this.#abort(reason);
  }

  #reply(reply: Reply): void {
    if (this.#replied) return;
    this.#replied = true;
    this.#onReply(reply);
  }

  /** Before the request has begun there is nothing to abort: then it ends in onRequestStart. */
  #abort(why: string): void {
    this.#controller?.abort(new Error(why));
  }

  #open(onEnd: (end: StreamEnd) => void): Readable {
    this.#onStreamEnd = onEnd;
    const stream = new Readable({
      read: () => this.#controller?.resume(),
      destroy: (error, done) => {
        if (this.#onStreamEnd) {
          this.#settleStream('left');
          this.#abort('the client left');
        }
        done(error);
      },
    });
    // Nobody may be reading yet when the deadline ends it; whoever reads hears of the error as well.
    stream.on('error', () => {});
    this.#stream = stream;
    for (const chunk of this.#chunks) stream.push(chunk);
    this.#chunks.length = 0;
    return stream;
  }

  #settleStream(end: StreamEnd): void {
    this.#onStreamEnd?.(end);
    this.#onStreamEnd = null;
  }
}
