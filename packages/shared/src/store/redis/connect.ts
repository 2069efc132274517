// Decides: which ioredis client a configuration or a passed-in client makes, and with which limits.
// Must not know: what is sent over it.
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { RedisConfig } from '../../config/redis.ts';
import { addressIn, placeIn } from './address.ts';
import { reconnectDelayMs } from './backoff.ts';
import { type Client, isCluster } from './client.ts';

/** No call waits longer: a third of the shortest sensible lease (3 s), so that a renewal can be tried again. */
export const COMMAND_TIMEOUT_MS = 1000;

/** A socket that owes an answer for this long is dead, also when no reset ever comes (a cut cable). */
const SILENCE_MAX_MS = 2 * COMMAND_TIMEOUT_MS;

/** As for nodes: a handshake over the ocean with TLS takes less than a second. */
const CONNECT_TIMEOUT_MS = 2000;

/** After a polite end the socket is destroyed, so that closing does not wait for a frozen server. */
const DISCONNECT_TIMEOUT_MS = 200;

/** While a server loads its data it is asked again this often at least. */
const LOADING_RETRY_MS = 500;

export interface Source {
  readonly redis?: RedisConfig | undefined;
  /** Is duplicated, never used or closed. */
  readonly client?: Client | undefined;
  readonly random: () => number;
}

/** A client of our own that is not connected yet. */
export function createClient({ redis, client, random }: Source): Client {
  if (client) return duplicate(client, random);
  if (redis === undefined) throw new TypeError('a Redis store needs a configuration or a client');
  const { url, sentinels, name, cluster } = redis;
  const place = placeIn(url ?? '');
  const { tls } = verified(redis.tls ?? (place.secure ? {} : undefined));
  const options = {
    ...limits(random),
    username: redis.username ?? place.username,
    password: redis.password ?? place.password,
    db: redis.db ?? place.db,
    tls,
  };
  if (cluster) {
    return new Cluster(cluster.map(addressIn), {
      ...clusterLimits(random),
      // Names stay names, because certificates are for names.
      dnsLookup: (address, callback) => callback(null, address),
      redisOptions: options,
    });
  }
  if (sentinels) {
    const secure = tls && { sentinelTLS: tls, enableTLSForSentinelMode: true };
    return new Redis({ ...options, ...secure, ...SENTINEL, name, sentinels: sentinels.map(addressIn) });
  }
  // A socket of this machine needs no TLS, and Redis offers none there.
  return new Redis({ ...options, ...place.at, tls: 'path' in place.at ? undefined : tls });
}

function duplicate(client: Client, random: () => number): Client {
  if (isCluster(client)) {
    const redisOptions = { ...client.options.redisOptions, ...verified(client.options.redisOptions?.tls) };
    return client.duplicate([], {
      ...clusterLimits(random),
      redisOptions: { ...redisOptions, ...limits(random) },
    });
  }
  const { tls, sentinelTLS, sentinels } = client.options;
  return client.duplicate({
    ...limits(random),
    ...verified(tls),
    ...(sentinelTLS && { sentinelTLS: { ...sentinelTLS, rejectUnauthorized: true } }),
    ...(sentinels && SENTINEL),
  });
}

/**
 * A client for the events channel; of a Cluster to any node, since each of them gets every event.
 * Null when the Cluster has lost its nodes again in the moment since it was ready.
 */
export function createEventsClient(commands: Client, random: () => number): Redis | null {
  if (!isCluster(commands)) return commands.duplicate({ retryStrategy: retryStrategy(random) });
  const anyNode = (): Redis | undefined => {
    const nodes = commands.nodes('all');
    return nodes[Math.floor(random() * nodes.length)];
  };
  const node = anyNode();
  if (node === undefined) return null;
  const events = node.duplicate({
    ...limits(random),
    retryStrategy(attempt: number) {
      // The node may be gone for good, so each attempt goes to one that the Cluster knows now.
      const { host, port } = anyNode()?.options ?? {};
      if (host !== undefined) Object.assign(events.options, { host, port });
      return reconnectDelayMs(attempt, random);
    },
  }) as Redis; // ioredis types the copy by its option literal; only its reply mapping differs, which we leave alone.
  return events;
}

function limits(random: () => number) {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    // Its INFO is announced on the console where an ACL forbids it; the store asks by itself.
    enableReadyCheck: false,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: SILENCE_MAX_MS,
    // What was in flight when a connection ends is rejected at once: its fate is unknown.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // ioredis leaves the rejection of its own re-subscription unhandled; the store subscribes by itself.
    autoResubscribe: false,
    enableAutoPipelining: false,
    stringNumbers: false,
    replyMapping: 'legacy',
    monitor: false,
    readOnly: false,
    connectionName: 'rpc-balancer',
    retryStrategy: retryStrategy(random),
    // After a failover the old master may come back as a replica at the same address.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  } satisfies RedisOptions;
}

const SENTINEL = {
  // Here the check is needed: it refuses a former master that Sentinel still names.
  enableReadyCheck: true,
  maxLoadingRetryTime: LOADING_RETRY_MS,
  role: 'master',
  sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
  // ioredis does not clear its timer on disconnect; without a delay it ends and the store tries again by itself.
  sentinelRetryStrategy: () => null,
} satisfies RedisOptions;

function clusterLimits(random: () => number) {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    scaleReads: 'master',
    slotsRefreshTimeout: COMMAND_TIMEOUT_MS,
    clusterRetryStrategy: retryStrategy(random),
  } satisfies ClusterOptions;
}

function retryStrategy(random: () => number): (attempt: number) => number {
  return (attempt) => reconnectDelayMs(attempt, random);
}

/** TLS options with verification on, also against NODE_TLS_REJECT_UNAUTHORIZED=0. */
function verified(tls: unknown): Pick<RedisOptions, 'tls'> {
  if (tls === undefined || tls === null || tls === false) return {};
  return { tls: { ...(typeof tls === 'object' ? tls : {}), rejectUnauthorized: true } };
}
