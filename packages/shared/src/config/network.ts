// Decides: the keys of a network and of its upstreams, their defaults and limits.
// Must not know: how any of them is carried out.
import { z } from 'zod';
import { PROTOCOL_NAMES } from '../protocols/tables.ts';
import { checkCompat, defaultsOf, retryOn } from './compat.ts';
import {
  duration,
  globKey,
  globs,
  got,
  identifier,
  offOr,
  onOff,
  pem,
  quantileOrDuration,
  section,
  url,
  whole,
} from './fields.ts';
import { loadSchema } from './load.ts';
import { checkProbe, completeProbe, probeSchema } from './probe.ts';
import { checkIdentity, defaultLagBlocks, plainIdentity } from './protocol.ts';
import { checkSockets } from './sockets.ts';

/** Order of preference: the next tier is used only when no upstream of the one before is eligible. */
export const TIERS = ['local', 'monitoring', 'fallback'] as const;
export type Tier = (typeof TIERS)[number];

/** How one of the eligible upstreams is picked. */
export const STRATEGIES = ['least_conn', 'round_robin', 'latency', 'single_best'] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** What counts among the eligible upstreams of a tier before the strategy does. */
export const PREFERENCES = ['head', 'latency', 'load'] as const;
export type Preference = (typeof PREFERENCES)[number];

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

/** A gateway asks each of them for its reason at every request; the ranking of so many has some 80 kB. */
export const UPSTREAMS_MAX = 256;

/** Behind an id come "@" and an IPv6 address of up to 39 characters; what a ranking calls an upstream has 64 at most. */
const RESOLVED_ID_CHARS_MAX = 24;

const upstreamSchema = section({
  id: identifier(),
  url: url(['http', 'https'], 'http://10.0.0.1:8545'),
  /** Where it tells of new heads by WebSocket. Absent: where `url` is, with ws instead of http. */
  wsUrl: url(['ws', 'wss'], 'ws://10.0.0.1:8546').optional(),
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
  /** What it can do that others cannot, such as `archive` or `trace`; wanted by `methods.tags`. */
  tags: z.array(identifier()).max(32).default([]),
  /** Where it stands; gateways of the same zone (`gateway.zone`) prefer it. */
  zone: identifier().optional(),
  /** Where its machine, or the node itself, tells how busy it is; used by `prefer: [load]`. */
  load: loadSchema.optional(),
  disabled: onOff().default(false),
});

const fields = section({
  protocol: z
    .enum(PROTOCOL_NAMES, { error: (issue) => `expected ${PROTOCOL_NAMES.join(', ')}${got(issue.input)}` })
    .default('evm'),
  /** What every upstream must say of itself; its form is the protocol's. Absent: the majority's. */
  identity: z.union([z.string(), z.number()]).transform(String).optional(),
  /** `on`: /ready is 503 while this network cannot be served. */
  required: onOff().default(false),
  strategy: z
    .enum(STRATEGIES, { error: (issue) => `expected ${STRATEGIES.join(', ')}${got(issue.input)}` })
    .default('least_conn'),
  /** In order of importance; what is close counts as equal, and equals are told apart by the next. */
  prefer: z
    .array(z.enum(PREFERENCES, { error: (issue) => `expected ${PREFERENCES.join(', ')}${got(issue.input)}` }))
    .max(PREFERENCES.length)
    .refine((names) => new Set(names).size === names.length, 'expected each preference once')
    .default(['head']),
  maxLagBlocks: whole(0, 1_000_000).optional(),
  /** `nginx`: failures are counted, and requests moved on, exactly as nginx does. */
  compat: offOr(z.enum(['nginx'], { error: (issue) => `expected off or nginx${got(issue.input)}` })).default(
    null,
  ),
  /** `on`: the head that clients see does not go back. */
  monotonicHead: onOff().default(true),
  /** The local tier is left when all of it is more than this behind. `off`: when nobody in it is eligible. */
  fallbackLagBlocks: offOr(whole(0, 1_000_000)).default(null),
  /** Time in which an upstream that comes back climbs to its full weight. */
  slowStart: offOr(duration(1, 3_600_000)).default(null),
  maxFails: whole(0, 1000).optional(),
  failTimeout: duration().optional(),
  /** Most attempts per request, the first included. */
  tries: whole(1, 20).optional(),
  /** What sends a request on to the next upstream in an http network, and with `compat: nginx`. */
  retryOn: retryOn().optional(),
  /** Limit of the whole request, last byte included. */
  deadline: duration(1, 3_600_000).default(30_000),
  /** By method glob; for these methods the read timeout is the deadline. */
  deadlines: z.record(globKey(), duration(1, 3_600_000)).default({ 'debug_*': 120_000, 'trace_*': 120_000 }),
  connectTimeout: duration(1, 600_000).default(2000),
  /** To the first byte, and between two bytes. */
  readTimeout: duration(1, 3_600_000).default(10_000),
  /** How long an upstream may answer nothing of what it was asked before its calls go elsewhere. */
  silence: z
    .union([z.literal('auto'), offOr(duration(100, 3_600_000))], {
      error: (issue) => `expected auto, off or a duration such as 2s${got(issue.input)}`,
    })
    .default('auto'),
  /** Whether a slow read is asked of a second upstream as well. */
  hedge: offOr(section({ after: quantileOrDuration(), max: z.literal(1).default(1) })).default(null),
  /** `each`: every address of a name is an upstream of its own, `id@address`; one vote per id. */
  resolve: z
    .enum(['one', 'each'], { error: (issue) => `expected one or each${got(issue.input)}` })
    .default('one'),
  /** `node` (its own name), `client` (what the client sent) or a fixed text. */
  hostHeader: z
    .string()
    .regex(/^[A-Za-z0-9.:[\]-]{1,253}$/, 'expected node, client or a host name')
    .default('node'),
  probe: offOr(probeSchema).prefault({}),
  methods: section({
    reads: globs().default([]),
    writes: globs().default([]),
    /** By method glob: the tag that an upstream must have for it. */
    tags: z.record(globKey(), identifier()).default({}),
  }).prefault({}),
  upstreams: z.array(upstreamSchema).min(1, 'expected at least one upstream').max(UPSTREAMS_MAX),
});

/** One network: a name in the path, and the upstreams that serve it. */
export const networkSchema = fields
  .superRefine((network, context) => {
    checkCompat(network, context);
    checkIdentity(network, context);
    checkProbe(network, context);
    checkSockets(network, context);
    // nginx's next_upstream_timeout, which the deadline is then, is often shorter than its timeouts.
    if (network.compat === null && network.connectTimeout + network.readTimeout >= network.deadline) {
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
      const { length } = upstream.id;
      if (network.resolve === 'each' && (length > RESOLVED_ID_CHARS_MAX || upstream.id.includes('@'))) {
        context.addIssue({
          code: 'custom',
          path: ['upstreams', at, 'id'],
          message: `expected at most ${RESOLVED_ID_CHARS_MAX} characters without "@", since "resolve: each" appends "@" and an address, got ${JSON.stringify(upstream.id)}`,
        });
      }
      if ((upstream.tls?.cert === undefined) !== (upstream.tls?.key === undefined)) {
        context.addIssue({
          code: 'custom',
          path: ['upstreams', at, 'tls'],
          message: 'expected cert and key together',
        });
      }
    });
  })
  .transform((given) => {
    const defaults = defaultsOf(given);
    const identity = plainIdentity(given);
    const network = {
      ...given,
      ...(identity !== undefined && { identity }),
      probe: completeProbe(given.probe),
      maxLagBlocks: given.maxLagBlocks ?? defaultLagBlocks(given.protocol),
      maxFails: given.maxFails ?? defaults.maxFails,
      failTimeout: given.failTimeout ?? defaults.failTimeout,
      tries: given.tries ?? defaults.tries,
      retryOn: given.retryOn ?? defaults.retryOn,
    };
    const { maxFails, failTimeout } = network;
    return {
      ...network,
      upstreams: network.upstreams.map((upstream) => ({
        ...upstream,
        maxFails: upstream.maxFails ?? maxFails,
        failTimeout: upstream.failTimeout ?? failTimeout,
      })),
    };
  });

export type NetworkConfig = z.output<typeof networkSchema>;
export type UpstreamConfig = NetworkConfig['upstreams'][number];
export type ProbeConfig = NonNullable<NetworkConfig['probe']>;
