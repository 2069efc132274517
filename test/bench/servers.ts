// Decides: the servers that the benchmark starts as processes of their own, chosen by the first argument.
// `nodes` answers every call at once on three ports; `constant` is a Fastify route that does nothing;
// `http-proxy` is @fastify/http-proxy in front of the nodes, in turn.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import httpProxy from '@fastify/http-proxy';
import fastify from 'fastify';

const [kind, ...origins] = process.argv.slice(2);
const HOST = '127.0.0.1';

const started: Record<string, () => Promise<readonly number[]>> = {
  nodes: async () => Promise.all([1, 2, 3].map(() => startNode())),
  constant: async () => {
    const app = fastify();
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    app.post('/', async (_request, reply) =>
      reply.header('content-type', 'application/json').send('{"jsonrpc":"2.0","id":1,"result":"0x1"}'),
    );
    await app.listen({ host: HOST, port: 0 });
    return [portOf(app.server)];
  },
  'http-proxy': async () => {
    const app = fastify();
    let turn = 0;
    await app.register(httpProxy, {
      upstream: '',
      replyOptions: { getUpstream: () => origins[turn++ % origins.length] ?? '' },
    });
    await app.listen({ host: HOST, port: 0 });
    return [portOf(app.server)];
  },
};

/** Echoes the id and answers a balance made of the address, so that a wrong answer would be seen. */
function startNode(): Promise<number> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { id, params } = JSON.parse(Buffer.concat(chunks).toString()) as {
        id: number;
        params?: string[];
      };
      const body = `{"jsonrpc":"2.0","id":${id},"result":"${params?.[0] ?? '0x0'}"}`;
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      });
      response.end(body);
    });
  });
  server.keepAliveTimeout = 65_000;
  return new Promise((resolve) => server.listen(0, HOST, () => resolve(portOf(server))));
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

const start = started[kind ?? ''];
if (!start) throw new Error(`the first argument is one of ${Object.keys(started).join(', ')}`);
process.stdout.write(`${JSON.stringify({ ports: await start() })}\n`);
