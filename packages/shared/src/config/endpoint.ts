// Decides: how an upstream's URL splits into what a connection and what a request needs.
// Must not know: the HTTP client.
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import { percentDecoded } from '../redact.ts';
import type { UpstreamConfig } from './network.ts';

export interface Endpoint {
  /** Scheme, host and port: what to connect to. */
  readonly origin: string;
  /** Path without a trailing slash; empty for the root. */
  readonly path: string;
  /** The endpoint's own query with its `?` (many providers put the key there), or empty. */
  readonly query: string;
  /** The configured headers, and `authorization` made of the URL's user and password. */
  readonly headers: Readonly<Record<string, string>>;
}

export function endpointOf(upstream: Pick<UpstreamConfig, 'url' | 'headers'>): Endpoint {
  const parts = /^([a-z]+):\/\/(?:([^/?#]*)@)?([^/?#]+)([^?#]*)(\?[^#]*)?/i.exec(upstream.url);
  if (!parts) throw new TypeError('the schema admits only URLs with a scheme and a host');
  const [, scheme = '', user, host = '', path = '', query = ''] = parts;
  const own = Object.fromEntries(
    Object.entries(upstream.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return {
    origin: `${scheme.toLowerCase()}://${host}`,
    path: path.replace(/\/+$/, ''),
    query: query === '?' ? '' : query,
    headers: user === undefined ? own : { authorization: basicAuth(user), ...own },
  };
}

/** The same for its WebSocket: `wsUrl`, or else `url` with ws for http and with this path behind its own. */
export function socketEndpointOf(
  { url, wsUrl, headers }: Pick<UpstreamConfig, 'url' | 'wsUrl' | 'headers'>,
  path: string,
): Endpoint {
  if (wsUrl !== undefined) return endpointOf({ url: wsUrl, headers });
  const endpoint = endpointOf({ url, headers });
  return {
    ...endpoint,
    origin: endpoint.origin.replace(/^http/, 'ws'),
    path: `${endpoint.path}${path}`,
  };
}

/** RFC 7617: base64 of the decoded user and password, in UTF-8. */
function basicAuth(user: string): string {
  const [name = '', ...password] = user.split(':');
  return `Basic ${base64.encode(utf8ToBytes(`${percentDecoded(name)}:${percentDecoded(password.join(':'))}`))}`;
}
