// Decides: which Redis the demo uses, and that nothing of the demo stays in it.
// Must not know: what is stored there.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { startRedis } from '../../test/kit/redis.ts';
import { findRedisServer } from '../../test/kit/redis-binary.ts';

/** A Redis that is there answers in milliseconds; a wrong address should be told soon. */
const CONNECT_TIMEOUT_MS = 3000;

export interface DemoRedis {
  readonly url: string;
  /** Of all keys; not used by anybody else. */
  readonly prefix: string;
  /** For people, without credentials. */
  readonly description: string;
  stop(): Promise<void>;
}

/** REDIS_URL, else a server program on PATH, else null: the demo installs nothing. */
export async function findRedis(): Promise<DemoRedis | null> {
  const prefix = `rpcb-demo-${randomUUID().slice(0, 8)}`;
  const url = process.env.REDIS_URL ?? '';
  if (url !== '') {
    await withClient(url, (client) => client.ping());
    return {
      url,
      prefix,
      description: 'the Redis of REDIS_URL',
      stop: () => withClient(url, (client) => removeKeys(client, prefix)),
    };
  }
  if (findRedisServer() === null) return null;
  const { url: ownUrl, stop } = await startRedis();
  return { url: ownUrl, prefix, description: `a Redis of its own at ${ownUrl}`, stop };
}

async function withClient<Result>(url: string, use: (client: Redis) => Promise<Result>): Promise<Result> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
  });
  client.on('error', () => {}); // The call itself rejects.
  try {
    await client.connect();
    return await use(client);
  } catch (cause) {
    throw new Error('the Redis of REDIS_URL cannot be used; start it, or unset REDIS_URL', { cause });
  } finally {
    client.disconnect();
  }
}

/** An epoch never expires by itself. */
async function removeKeys(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanStream({ match: `${prefix}:*`, count: 1000 })) {
    // ioredis declares the stream's chunks as any; they are lists of keys.
    const found = keys as string[];
    if (found.length > 0) await client.unlink(...found);
  }
}
