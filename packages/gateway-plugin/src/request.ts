// Decides: what of a client's HTTP request goes along to a node: the suffix of the path and a few headers.
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

/** @throws BalancerError `RPCB_CONTENT_TYPE` unless the body is uncompressed JSON */
export function checkContent(headers: ClientFacts['headers']): void {
  const type = headers['content-type'];
  if (type === 'application/json' && headers['content-encoding'] === undefined) return;
  const essence = typeof type === 'string' ? type.split(';', 1)[0]?.trim().toLowerCase() : undefined;
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
