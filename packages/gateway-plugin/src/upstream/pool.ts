// Decides: how connections to one upstream are made and kept, and the headers that every request to it carries.
// Must not know: which request goes out.
import { X509Certificate } from 'node:crypto';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import {
  BalancerError,
  endpointOf,
  type LocatedUpstream,
  type NetworkConfig,
  type Resolver,
  type UpstreamConfig,
} from '@rpc-balancer/shared';
import { buildConnector, Pool } from 'undici';
import { createReclaimer } from './reclaim.ts';

/** The connections to one upstream. The only place of the data path that knows a URL in clear. */
export interface Connections {
  /** Where the next attempt goes; replaced when its sockets are at an address that the name no longer has. */
  readonly pool: Pool;
  /** Scheme, host and port. */
  readonly origin: string;
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
  /** New connections go to these addresses; those to others end as soon as nothing is in flight there. */
  move(addresses: readonly string[]): void;
  /** Ends every connection as soon as nothing is in flight. */
  close(): Promise<void>;
  destroy(): Promise<void>;
}

const JSON_HEADERS = {
  'accept-encoding': 'identity', // Answers are judged and relayed as they are.
  'content-type': 'application/json',
} as const;

export function openConnections(
  upstream: LocatedUpstream,
  network: NetworkConfig,
  resolver: Resolver,
): Connections {
  const { origin, path, query, headers } = endpointOf(upstream);
  const fixedHost = ['node', 'client'].includes(network.hostHeader) ? {} : { host: network.hostHeader };
  const { hostname } = new URL(origin);
  const serverName = isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : ''; // RFC 6066 section 3: no addresses
  checkTls(upstream);
  const reused = new WeakSet<Error>();
  let { addresses } = upstream;
  const connector = buildConnector({
    ...upstream.tls,
    rejectUnauthorized: true,
    timeout: network.connectTimeout,
    keepAlive: true,
    ...{ lookup: lookupIn(() => addresses, resolver) }, // Handed on to node:net, which undici's type does not say.
  });
  const open = () =>
    openPool(origin, network, {
      // The name to verify is the upstream's own, whatever `Host` says; undici would take it from there.
      connector: (options, callback) => connector({ ...options, servername: serverName }, callback),
      onReset: (cause) => reused.add(cause),
    });
  let current = open();
  const closing = new Set<Pool>();

  async function close({ pool }: OpenPool): Promise<void> {
    closing.add(pool);
    await pool.close();
    closing.delete(pool);
  }

  return {
    origin,
    get pool() {
      return current.pool;
    },
    serverName,
    path,
    query,
    headers: Object.entries({
      ...(network.protocol === 'http' ? {} : JSON_HEADERS),
      ...fixedHost,
      ...headers,
    }).flat(),
    // What is no HTTP has been read from the socket as well, but now.
    wasReused: (error) => error.name !== 'HTTPParserError' && (reused.has(error) || bytesRead(error) > 0),
    reclaim: createReclaimer(),
    move(next) {
      addresses = next;
      const places = [...current.sockets].map(({ remoteAddress = '' }) => remoteAddress);
      if (places.every((place) => next.includes(place))) return;
      void close(current);
      current = open();
    },
    close: () => close(current),
    async destroy() {
      await Promise.all([current.pool, ...closing].map((pool) => pool.destroy()));
    },
  };
}

interface OpenPool {
  readonly pool: Pool;
  /** Connected ones. */
  readonly sockets: ReadonlySet<Socket>;
}

interface Connecting {
  readonly connector: buildConnector.connector;
  /** Told of what broke a socket that had answered before. */
  readonly onReset: (cause: Error) => void;
}

function openPool(origin: string, network: NetworkConfig, { connector, onReset }: Connecting): OpenPool {
  const sockets = new Set<Socket>();
  const pool = new Pool(origin, {
    allowH2: false, // One multiplexed connection would hide from us which attempts a reset has hit.
    headersTimeout: network.readTimeout,
    bodyTimeout: network.readTimeout,
    connect: (options, callback) =>
      connector(options, (error, socket) => {
        if (error) return callback(error, null);
        socket.on('error', (cause: Error) => {
          if (socket.bytesRead > 0) onReset(cause);
        });
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        callback(null, socket);
      }),
  });
  return { pool, sockets };
}

/** Addresses that are known cost a connection no question; before the first are, the resolver is asked. */
function lookupIn(addressesNow: () => readonly string[], resolver: Resolver): LookupFunction {
  return (name, { all }, done) => {
    const answer = (addresses: readonly string[]) => {
      const [first] = addresses;
      if (first === undefined) return done(new Error('the host name has no address'), '');
      if (!all) return done(null, first, isIP(first));
      done(
        null,
        addresses.map((address) => ({ address, family: isIP(address) })),
      );
    };
    const known = addressesNow();
    if (known.length > 0) return answer(known);
    resolver.resolve(name).then(answer, (error: Error) => done(error as NodeJS.ErrnoException, ''));
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
