// Decides: how a test gets upstreams that speak plain HTTP with every verb, and a gateway with an http network over them.
// Must not know: what is asserted. All of it is closed when the test ends.
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as send,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { type Front, type FrontOptions, startFront } from './front.ts';

export interface SeenRequest {
  readonly verb: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Respond = (request: IncomingMessage, response: ServerResponse) => void;

/** An upstream that says who it is, unless the test says otherwise. */
export interface HttpNode {
  readonly url: string;
  readonly seen: SeenRequest[];
  respond: Respond;
  kill(): Promise<void>;
}

export async function startHttpNode(name: string): Promise<HttpNode> {
  const seen: SeenRequest[] = [];
  const server: Server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const { method = '', url = '', headers } = request;
    buffer(request).then(
      (body) => {
        seen.push({ verb: method, url, headers, body: body.toString() });
        node.respond(request, response);
      },
      () => {},
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // of a TCP server
  const node: HttpNode = {
    url: `http://127.0.0.1:${port}`,
    seen,
    respond: (_request, response) => response.end(name),
    async kill() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  onTestFinished(() => node.kill());
  return node;
}

/** Ways to fail, by name. */
export const FAULTS: Readonly<Record<string, Respond>> = {
  hang: () => {},
  reset: (_request, response) => response.socket?.resetAndDestroy(),
  'bad header': (_request, response) => response.socket?.end('HTTP/1.1 200 OK\r\nno header: x\r\n\r\n'),
  'odd status': (_request, response) =>
    response.socket?.end('HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nok'),
  cut: (_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.socket?.destroy());
  },
};

/** With a body that says so. */
export function answering(status: number, headers: Readonly<Record<string, string>> = {}): Respond {
  return (_request, response) => response.writeHead(status, headers).end(`it says ${status}`);
}

export interface HttpBench {
  readonly nodes: readonly [HttpNode, HttpNode, HttpNode];
  readonly front: Front;
  ask(verb: string, path: string, given?: Given): Promise<HttpAnswer>;
}

export interface Given {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The error of ours. */
  readonly error: Readonly<Record<string, unknown>> | null;
}

/** The network `net` over the nodes `a`, `b`, `c`. */
export async function startHttpBench(options: FrontOptions = {}): Promise<HttpBench> {
  const nodes = await Promise.all([startHttpNode('a'), startHttpNode('b'), startHttpNode('c')] as const);
  const front = await startFront(nodes, {
    ...options,
    network: { protocol: 'http', strategy: 'round_robin', ...options.network },
  });
  return { nodes, front, ask: (verb, path, given) => ask(front.origin, verb, path, given) };
}

/** As raw as Node's own client: any verb, and the path as it is. */
export async function ask(
  origin: string,
  verb: string,
  path: string,
  { headers = {}, body }: Given = {},
): Promise<HttpAnswer> {
  const { hostname, port } = new URL(origin);
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const request = send({
    hostname,
    port,
    method: verb,
    path,
    headers: { ...length, ...headers },
    agent: false,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage]; // as Node documents the event
  const text = (await buffer(response)).toString();
  const isJson = response.headers['content-type'] === 'application/json' && text !== '';
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    error: isJson ? JSON.parse(text).error : null,
  };
}
