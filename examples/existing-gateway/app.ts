// An API gateway as a team may have it: authentication, health, metrics and routes of its own.
// One `register` adds the balancer; nothing else in here knows of it but the route that uses it.
import { createHash, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { rpcBalancer } from '@rpc-balancer/gateway-plugin';
import fastify from 'fastify';
import { Counter, Registry } from 'prom-client';

const { API_TOKEN = '', PORT = '3000' } = process.env;
if (API_TOKEN === '') throw new Error('set API_TOKEN to the token that clients must send');

const app = fastify({ logger: true });

const registry = new Registry();
const seen = new Counter({
  name: 'our_requests_total',
  help: 'Requests to this API gateway, by status',
  labelNames: ['status'],
  registers: [registry],
});
app.addHook('onResponse', async (_request, reply) => seen.inc({ status: reply.statusCode }));

/** Hashes are of one length, so that the comparison takes the same time whatever was sent. */
const hash = (text: string) => createHash('sha256').update(text).digest();
const expected = hash(`Bearer ${API_TOKEN}`);

app.addHook('onRequest', async (request, reply) => {
  if (request.routeOptions.url === '/health') return;
  if (timingSafeEqual(hash(request.headers.authorization ?? ''), expected)) return;
  return reply.code(401).send({ error: 'our gateway wants a token' });
});
app.setNotFoundHandler(async (_request, reply) =>
  reply.code(404).send({ error: 'our gateway has no such route' }),
);

app.get('/health', async () => ({ ours: 'fine' }));
app.get('/metrics', async (_request, reply) =>
  reply.type(registry.contentType).send(await registry.metrics()),
);

// The whole integration. The hooks above run before the balancer's routes, and its metrics go to our registry.
await app.register(rpcBalancer, {
  config: join(import.meta.dirname, 'networks.yaml'),
  prefix: '/rpc', // POST /rpc/mainnet
  ops: '/-/rpc', // GET /-/rpc/status, /ready, …
  metrics: registry,
});

app.get('/v1/head', async () => {
  const head = await app.rpcBalancer.call('mainnet', 'eth_blockNumber');
  return { head: Number(head.json()) };
});

// A guest installs no signal handlers; the host closes, and the balancer finishes what is in flight.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => app.close());

await app.listen({ host: '127.0.0.1', port: Number(PORT) });
