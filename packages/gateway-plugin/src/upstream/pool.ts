// Decides: how connections to one upstream are made and kept, and the headers that every request to it carries.
// Must not know: which request goes out.
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { BalancerError, endpointOf, type NetworkConfig, type UpstreamConfig } from '@rpc-balancer/shared';
import { buildConnector, Pool } from 'undici';
import { createReclaimer } from './reclaim.ts';

/** An open connection pool to one upstream. The only place of the data path that knows a URL in clear. */
export interface Connections {
  readonly pool: Pool;
  /** The name that its certificate must have; empty for an address. */
  readonly serverName: string;
  readonly path: string;
  readonly query: string;
  /** Flat list of name, value, name, value: the form that undici writes fastest. */
  readonly headers: readonly string[];
  /** Whether `error` came from a socket that had answered before: such a reset says nothing about health. */
  readonly wasReused: (error: Error) => boolean;
  /** To be told of the bytes that large answers hand on. */
  readonly reclaim: (passedBytes: number) => void;
}

const JSON_HEADERS = {
  'accept-encoding': 'identity', // Answers are judged and relayed as they are.
  'content-type': 'application/json',
} as const;

export function openConnections(upstream: UpstreamConfig, network: NetworkConfig): Connections {
  const { origin, path, query, headers } = endpointOf(upstream);
  const fixedHost = ['node', 'client'].includes(network.hostHeader) ? {} : { host: network.hostHeader };
  const { hostname } = new URL(origin);
  const serverName = isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : ''; // RFC 6066 section 3: no addresses
  checkTls(upstream);
  const reused = new WeakSet<Error>();
  const connect = buildConnector({
    ...upstream.tls,
    rejectUnauthorized: true,
    timeout: network.connectTimeout,
    keepAlive: true,
  });
  const pool = new Pool(origin, {
    allowH2: false, // One multiplexed connection would hide from us which attempts a reset has hit.
    headersTimeout: network.readTimeout,
    bodyTimeout: network.readTimeout,
    connect: (options, callback) =>
      // The name to verify is the upstream's own, whatever `Host` says; undici would take it from there.
      connect({ ...options, servername: serverName }, (error, socket) => {
        if (error) return callback(error, null);
        socket.on('error', (cause: Error) => {
          if (socket.bytesRead > 0) reused.add(cause);
        });
        callback(null, socket);
      }),
  });
  return {
    pool,
    serverName,
    path,
    query,
    headers: Object.entries({ ...JSON_HEADERS, ...fixedHost, ...headers }).flat(),
    wasReused: (error) => reused.has(error) || bytesRead(error) > 0,
    reclaim: createReclaimer(),
  };
}

/** @throws BalancerError `RPCB_CONFIG`: otherwise each request would fail, and none would say why */
function checkTls({ id, tls }: UpstreamConfig): void {
  if (!tls) return;
  try {
    createSecureContext(tls);
    if (tls.ca !== undefined) new X509Certificate(tls.ca);
  } catch (cause) {
    throw new BalancerError('RPCB_CONFIG', {
      detail: `upstream "${id}": its tls cannot be used; check that ca, cert and key are whole PEM texts and belong together`,
      cause,
    });
  }
}

/** undici's own SocketError ("other side closed") carries the counters of its socket. */
function bytesRead(error: Error): number {
  const { socket } = error as { socket?: { bytesRead?: number } }; // not in the type of a plain Error
  return socket?.bytesRead ?? 0;
}
