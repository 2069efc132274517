// Decides: how @fastify/http-proxy stands in the app, and how each of its attempts goes over an upstream's own connections.
// Must not know: pick, judgement, tries.
import { Readable } from 'node:stream';
import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy';
import { PASSED_VERBS } from '@rpc-balancer/shared';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Member } from '../balance/member.ts';
import { type Body, bodyOf } from '../request.ts';
import type { Reply, Sent } from '../upstream/dispatch.ts';
import type { Exchange } from '../upstream/exchange.ts';
import { sayable } from '../upstream/http-outcome.ts';
import type { Connections } from '../upstream/pool.ts';
import type { Asked } from './asked.ts';
import { answerHeaders, type Headers, listOf, requestHeaders } from './headers.ts';

/** What the proxy hands to its handler, to be handed back with each attempt. */
export type ProxyOptions = NonNullable<FastifyHttpProxyOptions['replyOptions']>;

export interface Doorway {
  /** Answers at `/:network` itself. */
  readonly bare: (request: FastifyRequest, reply: FastifyReply) => FastifyReply | Promise<FastifyReply>;
  /** Answers what is not to be passed on. */
  readonly before: (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined>;
  readonly handler: (request: FastifyRequest, reply: FastifyReply, options: ProxyOptions) => Promise<unknown>;
}

/** Where in an attempt's headers stands who sends it. */
const SENDER = Symbol('sender');

/** What the proxy asks of its client: undici's `request`. */
interface ProxyRequest {
  readonly method: string;
  readonly headers: Record<string, string | string[] | undefined> & { readonly [SENDER]: Sender };
  readonly body?: Uint8Array | string | null;
}

type Sender = (request: ProxyRequest, hand: Hand) => void;

/** Hands an answer to the proxy, which sends it to the client. */
type Hand = (
  error: null,
  answer: { readonly statusCode: number; readonly headers: Headers; readonly body: Readable },
) => void;

/** Each attempt says its upstream itself. */
const NOWHERE = 'http://upstream.invalid';

/** `/:network` and `/:network/*` for every verb. Registered once: a network that is added live needs no new route. */
export async function registerProxy(
  routes: FastifyInstance,
  { bare, before, handler }: Doorway,
): Promise<void> {
  for (const verb of PASSED_VERBS) {
    if (!routes.supportedMethods.includes(verb)) routes.addHttpMethod(verb, { hasBody: true });
  }
  // Where a host's router ignores trailing slashes, `/:network` and `/:network/` are one route, and the proxy must have it.
  const { routerOptions, ignoreTrailingSlash } = routes.initialConfig;
  const isOne = routerOptions?.ignoreTrailingSlash ?? ignoreTrailingSlash ?? false;
  if (!isOne) routes.route({ method: [...PASSED_VERBS], url: '/:network', handler: bare });
  const preHandler = async (request: FastifyRequest, reply: FastifyReply) =>
    isBare(request) ? bare(request, reply) : before(request, reply);
  await routes.register(httpProxy, {
    prefix: '/:network',
    routes: isOne ? ['/', '/*'] : ['/*'],
    httpMethods: [...PASSED_VERBS],
    upstream: '',
    websocket: false,
    proxyPayloads: false,
    disableRequestLogging: true,
    disableCache: true, // It would be one of paths.
    internalRewriteLocationHeader: false,
    // Attempts go over the pools of the upstreams, which have the timeouts, addresses and certificates of each.
    undici: { request: sendOn as never }, // All overloads of undici's `request` in its type; the proxy uses this one.
    preRewrite: () => '/', // The path is read by asked.ts; the proxy's reading of it refuses two slashes.
    replyOptions: { getUpstream: () => NOWHERE, retryDelay: () => null },
    preHandler: preHandler as never, // The type knows hooks with a callback only; Fastify gets it as it is.
    handler: (request, reply, _path, options) => handler(request, reply, options),
  });
}

function isBare({ params, url }: FastifyRequest): boolean {
  return !('*' in (params as object)) && !url.split('?', 1)[0]?.endsWith('/'); // of the routes above
}

function sendOn(request: ProxyRequest, hand: Hand): void {
  request.headers[SENDER](request, hand);
}

/** A request at the proxy. */
export interface Hop {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: ProxyOptions;
  /** The path of its network here. */
  readonly here: string;
}

/** How an attempt's answer goes to the client. */
interface End {
  readonly hand: Hand;
  readonly to: Connections;
  /** The name that the node was sent. */
  readonly host: string;
}

/** The attempts of one request. */
export class Passage {
  readonly #reply: FastifyReply;
  readonly #options: ProxyOptions;
  readonly #asked: Asked;
  readonly #here: string;
  /** By the reply that each has got. */
  readonly #ends = new Map<Reply, End>();
  readonly #forwarded: readonly string[];
  readonly #body: Body;

  /**
   * @param forwarded what the balancer says of the client, flat list of name, value
   * @throws BalancerError `RPCB_HOST_BODY`
   */
  constructor({ request, reply, options, here }: Hop, asked: Asked, forwarded: readonly string[]) {
    this.#reply = reply;
    this.#options = options;
    this.#here = here;
    this.#asked = asked;
    this.#forwarded = forwarded;
    // The proxy throws for a body of these, which a host's server may read.
    const isBodyless = asked.verb === 'GET' || asked.verb === 'HEAD';
    this.#body = bodyOf(isBodyless ? null : request.body, request.headers);
  }

  /** One attempt. The proxy calls its client before this returns. */
  send(exchange: Exchange, member: Member, onReply: (reply: Reply) => void): Sent {
    const { connectionsOf, config } = exchange.network;
    const to = connectionsOf(member);
    const { bytes, headers } = this.#body;
    const shape = config.compat === 'nginx' ? 'whole' : 'single';
    const sent: Sent[] = [];
    const sender: Sender = (request, hand) => {
      const written = {
        verb: request.method,
        suffix: this.#asked.suffix, // The proxy spells its own anew.
        headers: listOf(request.headers),
        body: typeof request.body === 'object' ? request.body : null,
      };
      const attempt = exchange.sendWritten(member, written, shape, (came) => {
        const reply = sayable(came);
        this.#ends.set(reply, { hand, to, host: String(request.headers.host ?? new URL(to.origin).host) });
        onReply(reply);
      });
      sent.push(attempt);
    };
    this.#reply.from(this.#asked.path, {
      ...this.#options,
      getUpstream: () => to.origin,
      body: bytes,
      contentType: headers['content-type'] ?? 'application/octet-stream',
      rewriteRequestHeaders: (_request, cleaned) => {
        // As with JSON-RPC, a client's headers stay here unless the network is one of plain HTTP.
        const client = config.protocol === 'http' ? { ...cleaned, ...headers } : {};
        return Object.assign(requestHeaders(client, [...this.#forwarded, ...to.headers]), {
          [SENDER]: sender,
        });
      },
    });
    const [attempt] = sent;
    if (!attempt) throw new Error('the proxy sends before it returns');
    return attempt;
  }

  /** The node's answer goes to the client as it is. */
  pass({ passed, stream }: Exchange): FastifyReply {
    const end = passed && this.#ends.get(passed);
    if (!end) throw new Error('an answer that is passed on has come to an attempt');
    const { origin, path, query } = end.to;
    const headers = answerHeaders(passed.headers, {
      ...{ origin, path, query, host: end.host },
      ...{ here: this.#here, asked: this.#asked.path },
    });
    end.hand(null, { statusCode: passed.status, headers, body: stream ?? Readable.from([passed.body]) });
    return this.#reply;
  }
}
