// Decides: how the networks stand in a Fastify app, and how a request becomes plain data and its answer a reply.
// Must not know: how an answer comes about. The one place where Fastify meets the data paths.
import { BalancerError, PASSED_VERBS } from '@rpc-balancer/shared';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Balancer } from './balancer.ts';
import { forward } from './forward.ts';
import type { Gateway } from './gateway.ts';
import { type Answer, answerError, answerHttpError, answerOf, errorOf } from './guard/answer.ts';
import { ownError } from './guard/body-error.ts';
import { explainAfter } from './observe/explain.ts';
import { isPassedThrough, readAsked } from './passthrough/asked.ts';
import { passThrough } from './passthrough/passthrough.ts';
import { Passage, type ProxyOptions, registerProxy } from './passthrough/proxy.ts';
import { bodyOf, type ClientFacts, checkContent, forwardedHeaders, pinIn, suffixOf } from './request.ts';
import type { Call } from './upstream/call.ts';
import { Cancellation } from './upstream/cancellation.ts';
import type { Exchange, PassedOn } from './upstream/exchange.ts';
import type { Network } from './upstream/network.ts';

export interface Surroundings {
  readonly gateway: Gateway;
  readonly balancer: Balancer;
  readonly isClosing: () => boolean;
  readonly now: () => number;
}

export async function registerNetworks(routes: FastifyInstance, surroundings: Surroundings): Promise<void> {
  const { gateway, balancer } = surroundings;
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
    const { network: name = root } = request.params as { network?: string }; // of the routes below
    const network = name === undefined ? undefined : gateway.networks.get(name);
    if (network) balancer.metrics.onRequest(network.name, own.code, reply.elapsedTime);
    return send(reply, answerFailure(own, network, request.id), request.id);
  });

  const front = new Front(routes, surroundings);
  await registerProxy(routes, {
    bare: (request, reply) => front.enter(networkIn(request), request, reply),
    before: async (request, reply) => front.divert(request, reply),
    handler: (request, reply, options) => front.pass(request, reply, options),
  });
  if (root !== undefined) {
    routes.route({
      method: [...PASSED_VERBS],
      url: '/',
      handler: (request, reply) => front.enter(root, request, reply),
    });
  }
}

function networkIn({ params }: FastifyRequest): string {
  return (params as { network: string }).network; // of the routes above
}

/** How requests come in and answers go out, in one registration. */
class Front {
  readonly #routes: FastifyInstance;
  readonly #gateway: Gateway;
  readonly #balancer: Balancer;
  readonly #isClosing: () => boolean;
  readonly #now: () => number;
  /** Path segments before the name of a network. */
  readonly #segments: number;

  constructor(routes: FastifyInstance, { gateway, balancer, isClosing, now }: Surroundings) {
    this.#routes = routes;
    this.#gateway = gateway;
    this.#balancer = balancer;
    this.#isClosing = isClosing;
    this.#now = now;
    this.#segments = routes.prefix.split('/').filter((part) => part !== '').length;
  }

  /** At `/:network` itself, or at the root of the network that is served there. */
  enter(name: string, request: FastifyRequest, reply: FastifyReply): FastifyReply | Promise<FastifyReply> {
    const network = this.#gateway.networks.get(name);
    if (!network) return leave(reply);
    if (network.config.protocol === 'http') {
      this.#balancer.metrics.onRequest(name, 'ok', reply.elapsedTime);
      const { url } = request;
      const mark = url.indexOf('?');
      // RFC 9110 section 15.4.9: verb and body stay.
      return reply.redirect(`${this.#routes.prefix}/${name}/${mark === -1 ? '' : url.slice(mark)}`, 308);
    }
    const isRoot = (request.params as { network?: string }).network === undefined; // of the routes above
    return this.#readJsonRpc(network, this.#segments + (isRoot ? 0 : 1), request, reply);
  }

  /** Behind `/:network/`: answers what is not passed through. */
  async divert(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const network = this.#gateway.networks.get(networkIn(request));
    if (!network) return leave(reply);
    if (!isPassedThrough(network, request.method))
      return this.#readJsonRpc(network, this.#segments + 1, request, reply);
    if (request.headers.upgrade?.toLowerCase() === 'websocket')
      throw new BalancerError('RPCB_NOT_FOUND', { detail: 'WebSocket is not served here' });
    return undefined;
  }

  /** Behind `/:network/`: what is passed through, over the proxy. */
  async pass(request: FastifyRequest, reply: FastifyReply, options: ProxyOptions): Promise<FastifyReply> {
    const network = this.#gateway.networks.get(networkIn(request));
    if (!network) return leave(reply); // It went while the hooks of the host ran.
    const line = { verb: request.method, url: request.raw.url ?? '/', depth: this.#segments + 1 };
    return this.#answer(network, { request, reply }, async (passedOn) => {
      const asked = readAsked(network, line);
      const { call, suffix } = asked;
      const here = `${this.#routes.prefix}/${network.name}`;
      const passage = new Passage({ request, reply, options, here }, asked, passedOn.headers);
      const exchange = await passThrough(network, { ...passedOn, suffix, asked, passage }, this.#now);
      const calls = [call];
      if (exchange.passed) return { exchange, calls, code: 'ok', send: () => passage.pass(exchange) };
      const error = errorOf(call, call.failure ?? { code: 'RPCB_ATTEMPTS_FAILED' }, exchange);
      const answer = answerFailure(error, network, request.id);
      const written = { ...answer, status: exchange.failedWith ?? answer.status };
      return { exchange, calls, code: answer.code, send: () => send(reply, written, request.id) };
    });
  }

  /** @throws BalancerError `RPCB_NOT_FOUND` */
  #readJsonRpc(
    network: Network,
    depth: number,
    request: FastifyRequest,
    reply: FastifyReply,
  ): FastifyReply | Promise<FastifyReply> {
    if (request.method === 'OPTIONS') return leave(reply); // Left to the host.
    if (request.method !== 'POST')
      throw new BalancerError('RPCB_NOT_FOUND', { detail: 'JSON-RPC over HTTP is sent with POST' });
    return this.#answer(network, { request, reply }, async (passedOn) => {
      checkContent(request.headers);
      const { bytes: body } = bodyOf(request.body, request.headers);
      const suffix = suffixOf(request.raw.url ?? '/', depth);
      const forwarded = await forward(network, { ...passedOn, body, suffix }, this.#now);
      const { calls, exchange } = forwarded;
      const written = answerOf(forwarded, request.id);
      return { exchange, calls, code: written.code, send: () => send(reply, written, request.id) };
    });
  }

  /** Runs a request from its arrival to its answer, and counts it. */
  async #answer(
    network: Network,
    { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
    ask: (passedOn: Omit<PassedOn, 'suffix'>) => Promise<Ended>,
  ): Promise<FastifyReply> {
    const startedAt = this.#now();
    // The client may have left while the host's hooks ran; then no `close` will come. (A request that was read is destroyed as well.)
    if (reply.raw.destroyed || request.raw.socket.destroyed) return reply.hijack();
    const { running, config } = this.#gateway;
    const cancellation = running.add(new Cancellation());
    reply.raw.on('close', () => {
      running.remove(cancellation);
      cancellation.cancel('client'); // Without effect when all is done; a hook of the host may have left a stream unread.
      if (this.#isClosing() && reply.raw.writableFinished) this.#endIdleConnections();
    });
    const { pinHeader, exposeHeaders } = config.gateway;
    let ended: Pick<Ended, 'code' | 'send'>;
    try {
      const headers = forwardedHeaders(factsOf(request), network.config.hostHeader);
      const done = await ask({ headers, cancellation, pin: pinHeader ? pinIn(request.headers) : null });
      if (isDebugging(request.log)) request.log.debug(explainAfter(done.calls, done.exchange), 'answered');
      if (exposeHeaders) expose(reply, done.exchange, this.#balancer.options.instance);
      ended = done;
    } catch (error) {
      if (!(error instanceof BalancerError)) throw error;
      const answer = answerFailure(error, network, request.id);
      ended = { code: answer.code, send: () => send(reply, answer, request.id) };
    }
    this.#balancer.metrics.onRequest(network.name, ended.code, this.#now() - startedAt);
    if (this.#isClosing() && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
    return ended.send();
  }

  /** An answer that began before the stop has promised to keep its connection, which would hold up the close. */
  #endIdleConnections(): void {
    setImmediate(() => this.#routes.server.closeIdleConnections?.()); // An HTTP/2 host has no such method.
  }
}

/** What came of a request. */
interface Ended {
  readonly exchange: Exchange;
  readonly calls: readonly Call[];
  readonly code: Answer['code'];
  readonly send: () => FastifyReply;
}

/** To the not-found handler of the host. */
function leave(reply: FastifyReply): FastifyReply {
  reply.callNotFound();
  return reply;
}

/** Asked before the line is put together, which would cost each request. */
function isDebugging({ level }: FastifyBaseLogger): boolean {
  return level === 'debug' || level === 'trace';
}

function factsOf(request: FastifyRequest): ClientFacts {
  const { headers, ip, protocol, host, id: requestId } = request;
  return { headers, peer: request.socket.remoteAddress, ip, protocol, host, requestId };
}

function answerFailure(
  error: BalancerError<unknown>,
  network: Network | undefined,
  requestId: string,
): Answer {
  return network?.config.protocol === 'http'
    ? answerHttpError(error, requestId)
    : answerError(error, null, requestId);
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
