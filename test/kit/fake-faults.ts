// Decides: how each fault of a FakeNode looks on the wire.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The faults that do not depend on what was asked. */
export const FAULTS = [
  'hang',
  'http500',
  'http503',
  'http429',
  'http401',
  'reset',
  'html',
  'garbage',
  'badHeader',
  'noHttp',
] as const;

export type Fault = (typeof FAULTS)[number];

export function isFault(mode: string): mode is Fault {
  return (FAULTS as readonly string[]).includes(mode);
}

const STATUSES = { http500: 500, http503: 503, http429: 429, http401: 401 } as const;

export function sendFault(
  response: ServerResponse,
  fault: Fault,
  retryAfter: string | number | undefined,
): void {
  if (fault === 'hang') return;
  if (fault === 'reset') {
    resetSocket(response.socket);
  } else if (fault === 'badHeader') {
    response.socket?.end('HTTP/1.1 200 OK\r\nno header: x\r\n\r\n');
  } else if (fault === 'noHttp') {
    response.socket?.end('this is no HTTP\r\n\r\n');
  } else if (fault === 'html') {
    sendBody(response, '<!doctype html><title>Welcome</title>', { type: 'text/html' });
  } else if (fault === 'garbage') {
    sendBody(response, 'this is {no JSON');
  } else {
    if (fault === 'http429' && retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
    sendBody(response, `scripted ${fault}`, { status: STATUSES[fault], type: 'text/plain' });
  }
}

interface BodyOptions {
  readonly status?: number;
  readonly type?: string;
}

export function sendBody(
  response: ServerResponse,
  body: string,
  { status = 200, type = 'application/json' }: BodyOptions = {},
): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Headers that promise all of it, half of the body, then `cut`: the end, `stall`: silence. */
export function sendHalf(response: ServerResponse, body: string, then: 'cut' | 'stall'): void {
  const bytes = Buffer.from(body);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length });
  if (response.req.method === 'HEAD') return void response.end(); // There is no half of nothing.
  response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => {
    if (then === 'cut') response.socket?.destroy();
  });
}

/** RST instead of FIN: what a killed process with unread data leaves behind. */
export function resetSocket(socket: Socket | null): void {
  socket?.resetAndDestroy();
}
