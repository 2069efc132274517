// Decides: where the Redis is and what its settings are called, as far as messages may say so.
// Must not know: how a connection is made.
import type { Redis } from 'ioredis';
import type { RedisConfig } from '../../config/redis.ts';
import { createRedactor, type Redact, redactUrl, urlSecrets } from '../../redact.ts';
import { type Client, isCluster } from './client.ts';

export type Setting = 'address' | 'username' | 'password' | 'name' | 'ca' | 'cert' | 'servername';

/** What messages about one Redis may say. */
export interface Target {
  /** Scheme, host and port, without credentials. */
  readonly where: string;
  /** What the operator calls a setting. */
  readonly setting: (setting: Setting) => string;
  /** Hides the credentials in a foreign text. */
  readonly redact: Redact;
}

const KEYS: Readonly<Record<Exclude<Setting, 'address'>, string>> = {
  username: 'redis.username',
  password: 'redis.password',
  name: 'redis.name',
  ca: 'redis.tls.ca',
  cert: 'redis.tls.cert and redis.tls.key',
  servername: 'redis.tls.servername',
};

export function configTarget(redis: RedisConfig): Target {
  const { url, sentinels, cluster } = redis;
  const address = url !== undefined ? 'redis.url' : sentinels ? 'redis.sentinels' : 'redis.cluster';
  const many = sentinels ? `the Sentinels ${sentinels.join(', ')}` : `the Cluster ${cluster?.join(', ')}`;
  const secrets = [redis.password, redis.tls?.key].filter((secret) => secret !== undefined);
  return {
    where: url === undefined ? many : redactUrl(url),
    setting: (setting) => (setting === 'address' ? address : KEYS[setting]),
    redact: createRedactor([...secrets, ...(url === undefined ? [] : credentialsOf(url))]),
  };
}

/** The target of a client that was passed in: its settings have no keys of ours. */
export function clientTarget(client: Client): Target {
  const options = isCluster(client) ? client.options.redisOptions : client.options;
  const secrets = [options?.password].filter((secret) => typeof secret === 'string');
  return {
    where: isCluster(client) ? 'the Cluster' : placeOf(client),
    setting: (setting) => `the ${setting} of the Redis client that is passed in`,
    redact: createRedactor(secrets),
  };
}

function placeOf(client: Redis): string {
  const { host, port, path, sentinels } = client.options;
  if (sentinels) return 'the Sentinels';
  return path === undefined ? `redis://${host ?? 'localhost'}:${port ?? 6379}` : redactUrl(`unix://${path}`);
}

/** Only user and password: the path of a `unix://` URL is no secret, and hiding it would garble messages. */
function credentialsOf(url: string): string[] {
  return urlSecrets(url.replace(/^([a-z]+:\/\/(?:[^/?#]*@)?).*$/i, '$1-'));
}
