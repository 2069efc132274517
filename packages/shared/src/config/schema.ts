// Decides: the whole configuration file, for gateways and sidecars alike.
// Must not know: where the text comes from.
import { z } from 'zod';
import { duration, got, identifier, onOff, section, size, whole } from './fields.ts';
import { networkSchema } from './network.ts';
import { redisSchema } from './redis.ts';

/** First path segments of the program's own routes; a network may not take one of these names. */
export const RESERVED_NAMES = ['health', 'ready', 'status', 'metrics', 'admin', 'api'] as const;

const trustProxySchema = z
  .union([z.boolean(), z.string().min(1).max(1000), z.array(z.string().min(1)).max(100), whole(0, 100)], {
    error: (issue) =>
      `expected off, on, a number of proxies, an address or a list of addresses${got(issue.input)}`,
  })
  .transform((value) => (value === 'on' ? true : value === 'off' || value === false ? null : value));

const gatewaySchema = section({
  /** Loopback unless told otherwise: an open RPC port is a decision. */
  host: z.string().min(1).max(253).default('127.0.0.1'),
  port: whole(0, 65_535).default(8080),
  /** As in Fastify: whose X-Forwarded-For is believed. */
  trustProxy: trustProxySchema.default(null),
  /** This network also answers at the root path. */
  root: identifier().optional(),
  /** Where this gateway stands: it prefers the upstreams of the same `zone`. */
  zone: identifier().optional(),
  /** Largest request body. Fastify's own 1 MB is too small for batches with blob transactions. */
  bodyLimit: size(1, 1024 ** 3).default(10 * 1024 ** 2),
  /** Most calls in a batch; ethers sends up to 100. */
  batchLimit: whole(1, 100_000).default(1000),
  /** A batch is answered in request order and held whole up to this; elements beyond it get an error. */
  batchAnswerLimit: size(1024, 1024 ** 3).default(32 * 1024 ** 2),
  /** An answer up to this size is complete before its first byte goes out, so that a cut can be repaired. */
  holdAnswer: size(1024, 64 * 1024 ** 2).default(256 * 1024),
  /** x-rpcb-upstream, x-rpcb-attempts, x-rpcb-replica on answers. */
  exposeHeaders: onOff().default(false),
  /** Who may drain over HTTP. Absent: there are no admin routes. */
  admin: section({
    token: z
      .string()
      .regex(
        /^[!-~]{16,1024}$/,
        'expected 16 to 1024 visible ASCII characters; make one with: openssl rand -hex 32',
      ),
  }).optional(),
  /** `on`: a request may name its upstream in the header x-rpcb-use, for debugging. */
  pinHeader: onOff().default(false),
  /** How long requests in flight may go on after a stop was asked for. */
  drainTimeout: duration(0, 3_600_000).default(35_000),
});

const sidecarSchema = section({
  host: z.string().min(1).max(253).default('127.0.0.1'),
  port: whole(0, 65_535).default(9101),
  /** Which gateways run the sidecar's cycle themselves: those without Redis (`auto`), all, competing for the leases, or none. */
  embed: z
    .enum(['auto', 'always', 'never'], {
      error: (issue) => `expected auto, always or never${got(issue.input)}`,
    })
    .default('auto'),
  /** How long a publisher may be silent before another takes over. */
  leaseTtl: duration(300, 600_000).default(5000),
  /** A ranking older than this is no longer believed but for its hard reasons. */
  rankingMaxAge: duration(1000, 3_600_000).default(30_000),
});

export const configSchema = section({
  redis: redisSchema.optional(),
  gateway: gatewaySchema.prefault({}),
  sidecar: sidecarSchema.prefault({}),
  networks: z
    .record(identifier(), networkSchema)
    .refine((networks) => Object.keys(networks).length > 0, 'expected at least one network'),
}).superRefine((config, context) => {
  const names = Object.keys(config.networks);
  for (const name of names) {
    if ((RESERVED_NAMES as readonly string[]).includes(name)) {
      context.addIssue({
        code: 'custom',
        path: ['networks', name],
        message: `"${name}" is the name of a route of ours; choose another, such as "${name}-net"`,
      });
    }
  }
  const { root } = config.gateway;
  if (root !== undefined && !names.includes(root)) {
    context.addIssue({
      code: 'custom',
      path: ['gateway', 'root'],
      message: `expected the name of a network (${names.join(', ')}), got "${root}"`,
    });
  }
});

/** What a user writes. */
export type ConfigInput = z.input<typeof configSchema>;
/** What the programs use: every default filled in, durations in ms, sizes in bytes. */
export type Config = z.output<typeof configSchema>;
