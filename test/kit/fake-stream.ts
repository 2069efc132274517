// Decides: how a huge answer is made while it is sent, and how it is proven to have arrived unchanged.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createRandom } from './clock.ts';

const CHUNK_BYTES = 65_536;

export interface Streamed {
  /** Of the whole body: envelope and result. */
  readonly bytes: number;
  readonly sha256: string;
  /** False when the connection ended before the last byte was taken. */
  readonly complete: boolean;
}

export interface StreamOptions {
  /** Text of the id. */
  readonly id: string;
  /** Hex digits of the result. */
  readonly digits: number;
  /** Without a content-length. */
  readonly chunked: boolean;
  /** Destroy the socket after this share of the digits; 1: send all. */
  readonly share: number;
}

/** Sends `{"jsonrpc":"2.0","id":…,"result":"0x…"}` no faster than it is taken. */
export async function sendStream(response: ServerResponse, options: StreamOptions): Promise<Streamed> {
  const { id, digits, chunked, share } = options;
  const begin = Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":"0x`);
  const end = Buffer.from('"}');
  const total = begin.length + digits + end.length;
  const hash = createHash('sha256');
  let bytes = 0;
  let closed = false;
  response.once('close', () => {
    closed = true;
  });

  async function send(chunk: Buffer): Promise<void> {
    if (closed) return;
    hash.update(chunk);
    bytes += chunk.length;
    // Either event may come, so the other one's listener is taken away.
    if (response.write(chunk)) return;
    const stop = new AbortController();
    await Promise.race([
      once(response, 'drain', { signal: stop.signal }),
      once(response, 'close', { signal: stop.signal }),
    ]).finally(() => stop.abort());
  }

  response.writeHead(200, {
    'content-type': 'application/json',
    ...(chunked ? {} : { 'content-length': total }),
  });
  const random = createRandom(digits);
  await send(begin);
  const limit = Math.floor(digits * share);
  for (let sent = 0; sent < limit && !closed; sent += CHUNK_BYTES) {
    await send(hexChunk(Math.min(CHUNK_BYTES, limit - sent), random));
  }
  if (share < 1) response.destroy();
  else {
    await send(end);
    response.end();
  }
  return { bytes, sha256: hash.digest('hex'), complete: !closed && share === 1 };
}

/** Each chunk begins with eight random digits, so that a chunk lost, doubled or moved changes the hash. */
function hexChunk(length: number, random: () => number): Buffer {
  const mark = Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
  return Buffer.alloc(length, `${mark}0123456789abcdef`);
}
