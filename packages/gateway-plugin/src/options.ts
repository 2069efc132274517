// Decides: what the plugin may be given, and how a path becomes a configuration.
// Must not know: Fastify, sockets.
import { readFileSync } from 'node:fs';
import {
  BalancerError,
  type Config,
  type ConfigInput,
  type Log,
  parseConfig,
  type RedisClient,
  type Resolver,
  systemResolver,
  validateConfig,
} from '@rpc-balancer/shared';
import type { Registry } from 'prom-client';
import { z } from 'zod';

export interface RpcBalancerOptions {
  /** Path of a YAML or JSON file, or the same as an object. */
  readonly config: string | ConfigInput;
  /** Where the networks are found: `/rpc` makes `POST /rpc/:network`. Default: the root. */
  readonly prefix?: string;
  /** Path under which `/health`, `/ready`, `/status` and `/metrics` are served, such as `/-/rpc`. Default: they are not. */
  readonly ops?: string;
  /** An ioredis client to share; duplicated, never quit. Makes it a cluster, as `redis` in the configuration does. */
  readonly redis?: RedisClient;
  /** Resolves the names of upstreams, for a host that has a service registry of its own. Default: the system's. */
  readonly resolver?: Resolver;
  /** Default: the host's. */
  readonly logger?: Log;
  /** The registry that the metrics go to. Default: one of our own, served under `ops`. */
  readonly metrics?: Registry;
}

const path = z.string().regex(/^\/[\w./~-]*$/, 'expected a path that begins with "/", such as "/rpc"');
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

const optionsSchema = z.strictObject({
  config: z.union(
    [z.string().min(1, 'expected a path or an object'), z.custom<ConfigInput>(isObject)],
    'expected a path or an object',
  ),
  prefix: path.optional(),
  ops: path.optional(),
  redis: z
    .custom<RedisClient>(
      (value) => isObject(value) && 'duplicate' in (value as object),
      'expected an ioredis client',
    )
    .optional(),
  resolver: z
    .custom<Resolver>(
      (value) => isObject(value) && 'resolve' in (value as object) && 'intervalMs' in (value as object),
      'expected an object with resolve and intervalMs',
    )
    .optional(),
  logger: z.custom<Log>(isObject, 'expected a logger such as pino').optional(),
  metrics: z.custom<Registry>(isObject, 'expected a prom-client Registry').optional(),
});

export interface ResolvedOptions {
  readonly config: Config;
  /** Where it was read from; null when it was given as an object. */
  readonly file: string | null;
  /** Without a trailing slash; empty for the root. */
  readonly prefix: string;
  readonly ops: string | null;
  readonly redis: RedisClient | null;
  readonly resolver: Resolver;
  readonly logger: Log | null;
  readonly metrics: Registry | null;
}

/** @throws BalancerError `RPCB_CONFIG` */
export function resolveOptions(options: unknown): ResolvedOptions {
  const result = optionsSchema.safeParse(options);
  if (!result.success) {
    const lines = result.error.issues.map(
      (issue) => `${issue.path.join('.') || 'options'}: ${issue.message}`,
    );
    throw new BalancerError('RPCB_CONFIG', { detail: lines.join('; ') });
  }
  const { config, prefix, ops, redis, resolver, logger, metrics } = result.data;
  return {
    config: typeof config === 'string' ? loadConfig(config) : validateConfig(config),
    file: typeof config === 'string' ? config : null,
    prefix: withoutSlash(prefix ?? ''),
    ops: ops === undefined ? null : withoutSlash(ops),
    redis: redis ?? null,
    resolver: resolver ?? systemResolver,
    logger: logger ?? null,
    metrics: metrics ?? null,
  };
}

/** @throws BalancerError `RPCB_CONFIG` when the file cannot be read or is not valid */
export function loadConfig(file: string): Config {
  return parseText(readText(file));
}

/** @throws BalancerError `RPCB_CONFIG` when it is not valid */
export function parseText(text: string): Config {
  return parseConfig(text, { env: process.env, readFile: (path) => readFileSync(path, 'utf8') });
}

/** @throws BalancerError `RPCB_CONFIG` when the file cannot be read */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? 'unknown'; // errors of node:fs carry a code
    throw new BalancerError('RPCB_CONFIG', {
      detail: `cannot read ${file} (${code}); give the path of a readable file`,
      cause,
    });
  }
}

function withoutSlash(text: string): string {
  return text.replace(/\/+$/, '');
}
