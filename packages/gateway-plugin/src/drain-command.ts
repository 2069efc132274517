// Decides: what `drain` and `undrain` of the program do: through Redis where there is one, else by asking the gateway.
// Must not know: arguments, exit codes.
import {
  BalancerError,
  type Config,
  createRedisStore,
  type DrainCommand,
  type ErrorCode,
  type Log,
  originOf,
} from '@rpc-balancer/shared';
import { Drains } from './cluster/drains.ts';
import type { DrainAnswer } from './observe/admin.ts';

/** The gateway itself waits no longer than a second for its store. */
const ANSWER_MS = 5000;

const QUIET: Log = { debug() {}, info() {}, warn() {}, error() {} };

export type DrainVerb = 'drain' | 'undrain';

export interface DrainTask {
  readonly config: Config;
  readonly verb: DrainVerb;
  readonly command: DrainCommand;
  readonly now: () => number;
  readonly random: () => number;
}

/**
 * Drains or undrains for all gateways of this configuration.
 * @throws BalancerError `RPCB_UNKNOWN_NETWORK`, `RPCB_UNKNOWN_UPSTREAM`, `RPCB_CONFIG` (there is no way to a gateway), `RPCB_STORE`
 */
export async function runDrain(task: DrainTask): Promise<DrainAnswer> {
  assertKnown(task);
  return task.config.redis ? throughStore(task) : throughGateway(task);
}

function assertKnown({ config, command: { network, upstream } }: DrainTask): void {
  const found = config.networks[network];
  if (!found) {
    const names = Object.keys(config.networks).join(', ');
    throw new BalancerError('RPCB_UNKNOWN_NETWORK', { detail: `"${network}"; the file has ${names}` });
  }
  const ids = found.upstreams.map(({ id }) => id);
  // With `resolve: each` one address of a name may be meant.
  const [configured = ''] = found.resolve === 'each' ? upstream.split('@') : [upstream];
  if (ids.includes(configured)) return;
  throw new BalancerError('RPCB_UNKNOWN_UPSTREAM', {
    detail: `"${upstream}"; "${network}" has ${ids.join(', ')}`,
  });
}

async function throughStore({ config, verb, command, now, random }: DrainTask): Promise<DrainAnswer> {
  const { redis, networks } = config;
  if (!redis) throw new Error('asked for only where there is one');
  const { network, upstream, by, reason } = command;
  const store = createRedisStore({ redis, prefix: redis.prefix, clusterId: redis.clusterId, random, now });
  try {
    const drains = new Drains({ networks: () => [], store, now, log: QUIET });
    await drains.read(network);
    const drained = verb === 'drain';
    const { since } = await drains.say(network, { upstream, drained, by, reason });
    const left = networks[network]?.upstreams.some(
      ({ id, disabled }) => !disabled && !drains.of(network).get(id)?.drained,
    );
    const warning = drained && !left ? `every upstream of "${network}" is drained or disabled` : null;
    return { network, upstream, drained, since, by, reason, warning };
  } finally {
    await store.close();
  }
}

async function throughGateway({ config, verb, command }: DrainTask): Promise<DrainAnswer> {
  const { admin } = config.gateway;
  if (!admin) {
    throw new BalancerError('RPCB_CONFIG', {
      detail:
        'without redis the running gateway must be asked, and it has no gateway.admin.token; add one and restart it',
    });
  }
  const origin = originOf(config.gateway);
  const response = await fetch(`${origin}/admin/${verb}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(command),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((cause) => {
    throw new BalancerError('RPCB_CONFIG', {
      detail: `no gateway answers at ${origin}; start it, or give the --host and --port that it was started with`,
      cause,
    });
  });
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer as DrainAnswer; // Our own route wrote it.
  const { code, message } = (answer ?? {}) as { code?: ErrorCode; message?: string }; // Fastify's form of an error
  const detail = message ?? `the gateway at ${origin} answered HTTP ${response.status}`;
  throw new BalancerError(code === 'RPCB_UNAUTHORIZED' ? code : 'RPCB_CONFIG', { detail });
}
