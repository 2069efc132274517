// Decides: how the balancer stands in a Fastify app as a good guest: decorator outside, routes inside, nothing leaks out.
// Must not know: how a request is answered. The one place where Fastify meets the data path.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { BalancerError } from '@rpc-balancer/shared';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
} from 'fastify';
import fp from 'fastify-plugin';
import { Balancer, type RpcBalancer } from './balancer.ts';
import { forward } from './forward.ts';
import { createGateway, type Gateway } from './gateway.ts';
import { type Answer, answerError, answerOf } from './guard/answer.ts';
import { ownError } from './guard/body-error.ts';
import { explainAfter } from './observe/explain.ts';
import { createMetrics } from './observe/metrics.ts';
import type { OpsSources } from './observe/ops.ts';
import { registerOps } from './ops-routes.ts';
import { type ResolvedOptions, type RpcBalancerOptions, resolveOptions } from './options.ts';
import { type ClientFacts, checkContent, forwardedHeaders, pinIn, suffixOf } from './request.ts';
import { Cancellation } from './upstream/cancellation.ts';
import type { Exchange } from './upstream/exchange.ts';
import type { Network } from './upstream/network.ts';
import { VERSION } from './version.ts';

declare module 'fastify' {
  interface FastifyInstance {
    rpcBalancer: RpcBalancer;
  }
}

const { timeOrigin } = performance;

/** Epoch ms that never jumps: the process's start by wall clock, then the monotonic clock. */
const now = () => timeOrigin + performance.now();

const plugin: FastifyPluginAsync<RpcBalancerOptions> = async (fastify, given) => {
  // Fastify hands `prefix` on without applying it, since this outer plugin does not make a context of its own.
  const options = resolveOptions(given);
  const balancer = balancerOf(fastify, options);
  balancer.assertFree(Object.keys(options.config.networks));
  const gateway = createGateway({
    config: options.config,
    file: options.file,
    redis: options.redis,
    resolver: options.resolver,
    instance: balancer.options.instance,
    now,
    random: Math.random,
    log: options.logger ?? fastify.log,
    onAttempt: balancer.metrics.onAttempt,
    onSecond: balancer.metrics.onSecond,
    onInvalidRanking: balancer.metrics.onInvalidRanking,
    onReload: balancer.metrics.onReload,
    assertFree: (names) => balancer.assertFree(names),
    onBeatFailure: balancer.metrics.onBeatFailure,
    onReportFailure: balancer.metrics.onReportFailure,
  });
  balancer.add(gateway);

  let closing = false;
  fastify.addHook('onReady', async () => gateway.start());
  fastify.addHook('preClose', async () => {
    closing = true;
    gateway.drain();
  });
  fastify.addHook('onClose', async () => gateway.close());

  await fastify.register(async (routes) => registerNetworks(routes, gateway, balancer, () => closing), {
    prefix: options.prefix,
  });
  if (options.ops !== null) {
    const token = options.config.gateway.admin?.token ?? null;
    const sources = opsSources(balancer, () => closing);
    await fastify.register(async (routes) => registerOps(routes, sources, balancer, token), {
      prefix: options.ops,
    });
  }
};

/** The one decorator that all registrations on an instance share. */
function balancerOf(fastify: FastifyInstance, options: ResolvedOptions): Balancer {
  if (fastify.hasDecorator('rpcBalancer')) {
    const existing = fastify.rpcBalancer;
    if (existing instanceof Balancer) return existing;
    throw new BalancerError('RPCB_CONFIG', {
      detail:
        'another plugin has decorated this instance with "rpcBalancer"; register it in a context of its own',
    });
  }
  const balancer: Balancer = new Balancer({
    instance: `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`,
    version: VERSION,
    startedAt: now(),
    now,
    metrics: createMetrics(
      { networks: () => balancer.networks(), store: () => balancer.storeHealth(), now },
      options.metrics ?? undefined,
    ),
  });
  fastify.decorate('rpcBalancer', balancer);
  return balancer;
}

/** Answered with `RPCB_NOT_FOUND` where a network has the path. OPTIONS is left to a host's CORS. */
const OTHER_METHODS = ['GET', 'PUT', 'PATCH', 'DELETE'];

type NetworkRequest = FastifyRequest<{ Params: { network: string } }>;

function registerNetworks(
  routes: FastifyInstance,
  gateway: Gateway,
  balancer: Balancer,
  isClosing: () => boolean,
): void {
  const { bodyLimit, root } = gateway.config.gateway;
  // The host's own JSON parser would be inherited; nodes get the bytes as they came.
  routes.removeAllContentTypeParsers();
  // Named besides the catch-all, the usual type is found without being taken apart.
  routes.addContentTypeParser(
    ['application/json', '*'],
    { parseAs: 'buffer', bodyLimit },
    (_request, body, done) => done(null, body),
  );
  routes.setErrorHandler((error, request, reply) => {
    const own = ownError(error, bodyLimit);
    if (own === null) throw error; // The host's hooks throw for the host's error handler.
    const { network } = request.params as { network?: string }; // of the routes below
    const name = network ?? root;
    if (name !== undefined && gateway.networks.has(name))
      balancer.metrics.onRequest(name, own.code, reply.elapsedTime);
    return send(reply, answerError(own, null, request.id), request.id);
  });

  const segments = routes.prefix.split('/').filter((part) => part !== '').length;
  const handle = (request: NetworkRequest, reply: FastifyReply) => {
    const network = gateway.networks.get(request.params.network);
    return network ? answer(network, segments + 1, request, reply) : reply.callNotFound();
  };
  const noSuchRoute = async (request: FastifyRequest, reply: FastifyReply) => {
    const { network = root ?? '' } = request.params as { network?: string }; // of the routes below
    if (!gateway.networks.has(network)) return reply.callNotFound();
    throw new BalancerError('RPCB_NOT_FOUND', { detail: 'JSON-RPC over HTTP is sent with POST' });
  };
  for (const path of ['/:network', '/:network/*']) {
    routes.post(path, handle);
    routes.route({ method: OTHER_METHODS, url: path, handler: noSuchRoute });
  }
  if (root !== undefined) {
    routes.post('/', (request, reply) => {
      const network = gateway.networks.get(root);
      return network ? answer(network, segments, request, reply) : reply.callNotFound();
    });
    routes.route({ method: OTHER_METHODS, url: '/', handler: noSuchRoute });
  }

  async function answer(
    network: Network,
    depth: number,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const startedAt = now();
    const requestId = request.id;
    // The client may have left while the host's hooks ran; then no `close` will come.
    if (reply.raw.destroyed || request.raw.destroyed) return reply.hijack();
    const cancellation = gateway.running.add(new Cancellation());
    reply.raw.on('close', () => {
      gateway.running.remove(cancellation);
      cancellation.cancel('client'); // Without effect when all is done; a hook of the host may have left a stream unread.
      if (isClosing() && reply.raw.writableFinished) endIdleConnections();
    });
    let written: Answer;
    try {
      checkContent(request.headers);
      const incoming = {
        body: Buffer.isBuffer(request.body) ? request.body : null,
        suffix: suffixOf(request.raw.url ?? '/', depth),
        headers: forwardedHeaders(factsOf(request), network.config.hostHeader),
        cancellation,
        pin: gateway.config.gateway.pinHeader ? pinIn(request.headers) : null,
      };
      const forwarded = await forward(network, incoming, now);
      const { calls, exchange } = forwarded;
      written = answerOf(forwarded, requestId);
      if (isDebugging(request.log)) request.log.debug(explainAfter(calls, exchange), 'answered');
      if (gateway.config.gateway.exposeHeaders) expose(reply, exchange, balancer.options.instance);
    } catch (error) {
      if (!(error instanceof BalancerError)) throw error;
      written = answerError(error, null, requestId);
    }
    balancer.metrics.onRequest(network.name, written.code, now() - startedAt);
    if (isClosing() && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
    return send(reply, written, requestId);
  }

  /** An answer that began before the stop has promised to keep its connection, which would hold up the close. */
  function endIdleConnections(): void {
    setImmediate(() => routes.server.closeIdleConnections?.()); // An HTTP/2 host has no such method.
  }
}

/** Asked before the line is put together, which would cost each request. */
function isDebugging({ level }: FastifyBaseLogger): boolean {
  return level === 'debug' || level === 'trace';
}

function factsOf(request: FastifyRequest): ClientFacts {
  const { headers, ip, protocol, host, id: requestId } = request;
  return { headers, peer: request.socket.remoteAddress, ip, protocol, host, requestId };
}

function send(reply: FastifyReply, answer: Answer, requestId: string): FastifyReply {
  const { status, body, streamBytes = null, retryAfterMs, passed } = answer;
  reply.code(status).header('x-request-id', requestId);
  // RFC 9110 section 10.2.3: whole seconds; rounded up, or clients come too early.
  if (retryAfterMs !== null) reply.header('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  if (body === null) return reply.send();
  if (streamBytes !== null) reply.header('content-length', String(streamBytes));
  if (passed) return reply.headers(passed).send(body);
  return reply.header('content-type', 'application/json').send(body);
}

function expose(reply: FastifyReply, { attemptCount, lastUpstream }: Exchange, instance: string): void {
  reply.header('x-rpcb-attempts', String(attemptCount)).header('x-rpcb-replica', instance);
  if (lastUpstream !== null) reply.header('x-rpcb-upstream', lastUpstream);
}

function opsSources(balancer: Balancer, isClosing: () => boolean): OpsSources {
  return {
    status: () => balancer.status(),
    readiness: () => balancer.readiness(),
    network: (name) => balancer.find(name)?.network ?? null,
    isClosing,
    registry: balancer.metrics.registry,
    now,
  };
}

/** The plugin. Options: {@link RpcBalancerOptions}; throws `RPCB_CONFIG` at boot with every problem at once. */
export const rpcBalancer = fp(plugin, { fastify: '5.x', name: '@rpc-balancer/gateway-plugin' });
