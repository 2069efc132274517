// Decides: how the shared Redis is named in the configuration: one URL, Sentinels, or a Cluster.
// Must not know: the client library.
import { z } from 'zod';
import { identifier, pem, section, url, whole } from './fields.ts';

const address = z.string().regex(/^(\[[0-9a-f:]+\]|[^\s:/@]+):\d{1,5}$/i, {
  error: 'expected host:port; write e.g. 10.0.0.5:26379',
});

const shape = section({
  url: url(['redis', 'rediss', 'unix'], 'redis://127.0.0.1:6379').optional(),
  sentinels: z.array(address).min(1).max(64).optional(),
  /** Name of the master that the Sentinels watch. */
  name: z.string().min(1).max(256).optional(),
  cluster: z.array(address).min(1).max(256).optional(),
  username: z.string().min(1).max(256).optional(),
  password: z.string().min(1).max(4096).optional(),
  /** Logical database; a Cluster has only 0. */
  db: whole(0, 1_000_000).optional(),
  tls: section({
    ca: pem().optional(),
    cert: pem().optional(),
    key: pem().optional(),
    servername: z.string().min(1).max(253).optional(),
  }).optional(),
  /** First part of every key, so that several programs can share one Redis. */
  prefix: z
    .string()
    .regex(/^[\w.:-]{1,64}$/, 'expected 1 to 64 letters, digits, "_", ".", ":" or "-"')
    .default('rpcb'),
  /** Several clusters of gateways can share one Redis. */
  clusterId: identifier().default('default'),
});

/** The `redis` section: exactly one of `url`, `sentinels` + `name`, `cluster`. */
export const redisSchema = shape.superRefine((redis, context) => {
  const ways = [redis.url, redis.sentinels, redis.cluster].filter((way) => way !== undefined);
  if (ways.length !== 1) {
    context.addIssue({ code: 'custom', message: 'expected exactly one of url, sentinels, cluster' });
  }
  if ((redis.sentinels === undefined) !== (redis.name === undefined)) {
    context.addIssue({
      code: 'custom',
      path: ['name'],
      message: 'expected sentinels and name together; name is what the Sentinels call the master',
    });
  }
  if ((redis.tls?.cert === undefined) !== (redis.tls?.key === undefined)) {
    context.addIssue({ code: 'custom', path: ['tls'], message: 'expected cert and key together' });
  }
  if (redis.cluster && redis.db) {
    context.addIssue({ code: 'custom', path: ['db'], message: 'a Redis Cluster has only database 0' });
  }
});

export type RedisConfig = z.output<typeof redisSchema>;
