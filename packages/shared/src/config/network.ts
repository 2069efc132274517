// Decides: the keys of a network and of its upstreams, their defaults and limits.
// Must not know: how any of them is carried out.
import { z } from 'zod';
import { duration, globs, got, identifier, offOr, onOff, pem, section, url, whole } from './fields.ts';

/** Order of preference: the next tier is used only when no upstream of the one before is eligible. */
export const TIERS = ['local', 'monitoring', 'fallback'] as const;
export type Tier = (typeof TIERS)[number];

/** How a message is framed and relayed is between the HTTP clients (RFC 9110 section 7.6, RFC 9112 section 6). */
const FRAMING_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'host', // hostHeader says what it is.
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const upstreamSchema = section({
  id: identifier(),
  url: url(['http', 'https'], 'http://10.0.0.1:8545'),
  tier: z
    .enum(TIERS, { error: (issue) => `expected ${TIERS.join(', ')}${got(issue.input)}` })
    .default('local'),
  /** Share among equals inside a tier, as in nginx. */
  weight: whole(1, 1000).default(1),
  /** Most attempts in flight per gateway replica; more is reason `full`. */
  maxConns: offOr(whole(1, 1_000_000)).default(null),
  maxFails: whole(0, 1000).optional(),
  failTimeout: duration().optional(),
  /** Sent with every request to this upstream. */
  headers: z
    .record(
      z
        .string()
        .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'expected the name of a header, such as x-api-key')
        .refine(
          (name) => !FRAMING_HEADERS.has(name.toLowerCase()),
          'this header is set for each request and cannot be configured',
        ),
      z
        .string()
        .max(8192)
        .regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'expected one line of Latin-1 text; HTTP allows no other value'),
    )
    .default({}),
  tls: section({ ca: pem().optional(), cert: pem().optional(), key: pem().optional() }).optional(),
  disabled: onOff().default(false),
});

const probeSchema = section({
  /** Time from the beginning of one probe to the beginning of the next. */
  interval: duration(100, 3_600_000).default(2000),
  /** Limit of each call of a probe. A synced node answers in milliseconds. */
  timeout: duration(10, 60_000).default(5000),
  /** Tries before a probe is called failed, so that one lost packet excludes nobody. */
  attempts: whole(1, 10).default(3),
});

const fields = section({
  protocol: z.enum(['evm'], { error: (issue) => `expected evm${got(issue.input)}` }).default('evm'),
  /** What every upstream must say of itself: for evm the chain id in decimal. Absent: the majority's. */
  identity: z
    .union([z.string(), z.number().int('expected a chain id in decimal, such as "1"')])
    .transform(String)
    .pipe(
      z.string().regex(/^(0|[1-9]\d{0,77})$/, {
        error: (issue) => `expected a chain id in decimal, such as "1"${got(issue.input)}`,
      }),
    )
    .optional(),
  /** `on`: /ready is 503 while this network cannot be served. */
  required: onOff().default(false),
  strategy: z
    .enum(['least_conn'], { error: (issue) => `expected least_conn${got(issue.input)}` })
    .default('least_conn'),
  maxLagBlocks: whole(0, 1_000_000).default(5),
  maxFails: whole(0, 1000).default(3),
  failTimeout: duration().default(30_000),
  /** Most attempts per request, the first included. */
  tries: whole(1, 20).default(3),
  /** Limit of the whole request, last byte included. */
  deadline: duration(1, 3_600_000).default(30_000),
  /** By method glob; for these methods the read timeout is the deadline. */
  deadlines: z
    .record(
      z.string().regex(/^[\w.*/-]{1,128}$/, 'expected a method or a glob such as "debug_*"'),
      duration(1, 3_600_000),
    )
    .default({ 'debug_*': 120_000, 'trace_*': 120_000 }),
  connectTimeout: duration(1, 600_000).default(2000),
  /** To the first byte, and between two bytes. */
  readTimeout: duration(1, 3_600_000).default(10_000),
  /** `node` (its own name), `client` (what the client sent) or a fixed text. */
  hostHeader: z
    .string()
    .regex(/^[A-Za-z0-9.:[\]-]{1,253}$/, 'expected node, client or a host name')
    .default('node'),
  probe: offOr(probeSchema).prefault({}),
  methods: section({ reads: globs().default([]), writes: globs().default([]) }).prefault({}),
  upstreams: z.array(upstreamSchema).min(1, 'expected at least one upstream').max(256),
});

/** One network: a name in the path, and the upstreams that serve it. */
export const networkSchema = fields
  .superRefine((network, context) => {
    if (network.connectTimeout + network.readTimeout >= network.deadline) {
      context.addIssue({
        code: 'custom',
        path: ['deadline'],
        message: `expected connectTimeout + readTimeout (${network.connectTimeout} + ${network.readTimeout} ms) to be less than deadline (${network.deadline} ms), so that a second upstream can be tried; raise deadline or lower readTimeout`,
      });
    }
    const seen = new Set<string>();
    network.upstreams.forEach((upstream, at) => {
      if (seen.has(upstream.id)) {
        context.addIssue({
          code: 'custom',
          path: ['upstreams', at, 'id'],
          message: `the id "${upstream.id}" is used twice; ids are unique in a network`,
        });
      }
      seen.add(upstream.id);
      if ((upstream.tls?.cert === undefined) !== (upstream.tls?.key === undefined)) {
        context.addIssue({
          code: 'custom',
          path: ['upstreams', at, 'tls'],
          message: 'expected cert and key together',
        });
      }
    });
  })
  .transform((network) => ({
    ...network,
    upstreams: network.upstreams.map((upstream) => ({
      ...upstream,
      maxFails: upstream.maxFails ?? network.maxFails,
      failTimeout: upstream.failTimeout ?? network.failTimeout,
    })),
  }));

export type NetworkConfig = z.output<typeof networkSchema>;
export type UpstreamConfig = NetworkConfig['upstreams'][number];
export type ProbeConfig = NonNullable<NetworkConfig['probe']>;
