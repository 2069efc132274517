// Decides: what of a client's HTTP request goes along to a node: the suffix of the path, the body and a few headers.
// Must not know: Fastify, upstreams.
import { BalancerError } from '@rpc-balancer/shared';

/** Facts of a request, as the host's framework sees them (its `trustProxy` included). */
export interface ClientFacts {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Address at the other end of the socket. */
  readonly peer: string | undefined;
  /** Address of the client, as far as proxies in front are trusted. */
  readonly ip: string;
  readonly protocol: string;
  readonly host: string;
  readonly requestId: string;
}

/** W3C Trace Context goes along; cookies and credentials are between the client and the gateway. */
const PASSED_ON = ['traceparent', 'tracestate'] as const;

/** Flat list of name, value. X-Forwarded-For is appended to, as nginx does; X-Real-IP is the client that we believe in. */
export function forwardedHeaders(facts: ClientFacts, hostHeader: string): string[] {
  const { headers, peer = '', ip, protocol, host, requestId } = facts;
  const chain = headers['x-forwarded-for'];
  const list = [
    'x-forwarded-for',
    chain === undefined || chain === '' ? peer : `${chain}, ${peer}`,
    'x-real-ip',
    ip,
    'x-forwarded-proto',
    protocol,
    'x-forwarded-host',
    host,
    'x-request-id',
    requestId,
  ];
  if (hostHeader === 'client' && host !== '') list.push('host', host);
  for (const name of PASSED_ON) {
    const value = headers[name];
    if (typeof value === 'string') list.push(name, value);
  }
  return list;
}

/** The upstream that the client insists on (`gateway.pinHeader`). */
export function pinIn(headers: ClientFacts['headers']): string | null {
  const id = headers['x-rpcb-use'];
  return typeof id === 'string' ? id : null;
}

const JSON_TYPES = new Set(['application/json', 'application/json-rpc', 'application/jsonrequest']);

function essenceOf(type: string | undefined): string | undefined {
  return type?.split(';', 1)[0]?.trim().toLowerCase();
}

/** What a request says of its body. */
export interface ContentHeaders {
  readonly 'content-type'?: string | undefined;
  readonly 'content-encoding'?: string | undefined;
}

/** @throws BalancerError `RPCB_CONTENT_TYPE` unless the body is uncompressed JSON */
export function checkContent(headers: ContentHeaders): void {
  const type = headers['content-type'];
  if (type === 'application/json' && headers['content-encoding'] === undefined) return;
  const essence = essenceOf(type);
  if (essence === undefined || !JSON_TYPES.has(essence)) {
    throw new BalancerError('RPCB_CONTENT_TYPE', {
      detail: 'send the header "content-type: application/json"',
    });
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new BalancerError('RPCB_CONTENT_TYPE', {
      detail: 'send the body uncompressed, without content-encoding',
    });
  }
}

/** A body as it goes to a node. */
export interface Body {
  /** Null for none. */
  readonly bytes: Buffer | null;
  /** What is said of it. */
  readonly headers: ContentHeaders;
}

/**
 * The bytes that came, or what a hook of the host has put in their place: bytes, a text, or a value that is written as JSON.
 * @throws BalancerError `RPCB_HOST_BODY` for what cannot be written
 */
export function bodyOf(
  body: unknown,
  { 'content-type': type, 'content-encoding': encoding }: ContentHeaders,
): Body {
  const headers = { 'content-type': type, 'content-encoding': encoding };
  if (Buffer.isBuffer(body)) return { bytes: body.length > 0 ? body : null, headers };
  if (body === undefined || body === null) return { bytes: null, headers };
  if (typeof body === 'string') return bodyOf(Buffer.from(body), headers);
  if (body instanceof Uint8Array)
    return bodyOf(Buffer.from(body.buffer, body.byteOffset, body.byteLength), headers);
  const essence = essenceOf(type) ?? 'application/json';
  if (!isValue(body) || !(JSON_TYPES.has(essence) || essence.endsWith('+json')))
    throw unwritable(body, essence);
  try {
    const bytes = Buffer.from(JSON.stringify(body));
    return { bytes, headers: { 'content-type': type ?? essence, 'content-encoding': undefined } };
  } catch (cause) {
    throw unwritable(body, essence, cause);
  }
}

/** What JSON has; streams, maps, forms and the like would be written as `{}`. */
function isValue(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return typeof body === 'number' || typeof body === 'boolean';
  if (Array.isArray(body)) return true;
  return Object.prototype.toString.call(body) === '[object Object]' && !(Symbol.asyncIterator in body);
}

/** Types that clients make up may be long. */
const REPEATED_CHARS_MAX = 100;

function unwritable(body: unknown, essence: string, cause?: unknown): BalancerError {
  const type = essence.slice(0, REPEATED_CHARS_MAX);
  return new BalancerError('RPCB_HOST_BODY', {
    detail: `a hook of this server has put ${kindOf(body)} in place of a body of type ${type}; let it put a string or a Buffer there, or, with a JSON content-type, what JSON can hold`,
    cause,
  });
}

function kindOf(body: unknown): string {
  return typeof body === 'object' ? `an object (${body?.constructor?.name ?? 'Object'})` : `a ${typeof body}`;
}

/**
 * What follows the network's name in a URL, query included; a lone trailing slash is ignored.
 * @param segments how many path segments stand before the suffix
 * @throws BalancerError `RPCB_NOT_FOUND` for a path that climbs out of the upstream's own
 */
export function suffixOf(url: string, segments: number): string {
  const mark = url.indexOf('?');
  const path = mark === -1 ? url : url.slice(0, mark);
  const query = mark === -1 ? '' : url.slice(mark);
  // RFC 9112 section 3.2.2: the whole URL may be said, which the router has passed over as well.
  let from = path.startsWith('/') ? 0 : path.indexOf('/', path.indexOf('://') + 3);
  for (let count = 0; count < segments && from !== -1; count++) {
    while (path[from] === '/') from++; // A host's router may take several for one.
    from = path.indexOf('/', from);
  }
  const rest = from === -1 ? '' : path.slice(from);
  if (rest === '' || rest === '/') return query === '?' ? '' : query;
  // An encoded slash counts as one: some servers decode before they look.
  if (/(?:^|\/|%2f)(?:\.|%2e){1,2}(?:\/|%2f|$)|\\|%5c/i.test(rest)) {
    throw new BalancerError('RPCB_NOT_FOUND', {
      detail: 'the path has "." or ".." segments; write it without',
    });
  }
  return rest + query;
}
