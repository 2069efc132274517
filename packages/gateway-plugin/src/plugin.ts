// Decides: how the balancer stands in a Fastify app as a good guest: decorator outside, routes inside, nothing leaks out.
// Must not know: how a request is answered.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { BalancerError } from '@rpc-balancer/shared';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import fp from 'fastify-plugin';
import { Balancer, type RpcBalancer } from './balancer.ts';
import { createGateway } from './gateway.ts';
import { registerNetworks } from './network-routes.ts';
import { createMetrics } from './observe/metrics.ts';
import type { OpsSources } from './observe/ops.ts';
import { registerOps } from './ops-routes.ts';
import { type ResolvedOptions, type RpcBalancerOptions, resolveOptions } from './options.ts';
import { VERSION } from './version.ts';

declare module 'fastify' {
  interface FastifyInstance {
    rpcBalancer: RpcBalancer;
  }
}

const { timeOrigin } = performance;

/** Epoch ms that never jumps: the process's start by wall clock, then the monotonic clock. */
const now = () => timeOrigin + performance.now();

const plugin: FastifyPluginAsync<RpcBalancerOptions> = async (fastify, given) => {
  // Fastify hands `prefix` on without applying it, since this outer plugin does not make a context of its own.
  const options = resolveOptions(given);
  const balancer = balancerOf(fastify, options);
  balancer.assertFree(Object.keys(options.config.networks));
  const gateway = createGateway({
    config: options.config,
    file: options.file,
    redis: options.redis,
    resolver: options.resolver,
    instance: balancer.options.instance,
    now,
    random: Math.random,
    log: options.logger ?? fastify.log,
    onAttempt: balancer.metrics.onAttempt,
    onSecond: balancer.metrics.onSecond,
    onInvalidRanking: balancer.metrics.onInvalidRanking,
    onReload: balancer.metrics.onReload,
    assertFree: (names) => balancer.assertFree(names),
    onBeat: balancer.metrics.onBeat,
    onBeatFailure: balancer.metrics.onBeatFailure,
    onReportFailure: balancer.metrics.onReportFailure,
  });
  balancer.add(gateway);

  let closing = false;
  fastify.addHook('onReady', async () => gateway.start());
  fastify.addHook('preClose', async () => {
    closing = true;
    gateway.drain();
  });
  fastify.addHook('onClose', async () => gateway.close());

  await fastify.register(
    async (routes) => registerNetworks(routes, { gateway, balancer, isClosing: () => closing, now }),
    { prefix: options.prefix },
  );
  if (options.ops !== null) {
    const token = options.config.gateway.admin?.token ?? null;
    const sources = opsSources(balancer, () => closing);
    await fastify.register(async (routes) => registerOps(routes, sources, balancer, token), {
      prefix: options.ops,
    });
  }
};

/** The one decorator that all registrations on an instance share. */
function balancerOf(fastify: FastifyInstance, options: ResolvedOptions): Balancer {
  if (fastify.hasDecorator('rpcBalancer')) {
    const existing = fastify.rpcBalancer;
    if (existing instanceof Balancer) return existing;
    throw new BalancerError('RPCB_CONFIG', {
      detail:
        'another plugin has decorated this instance with "rpcBalancer"; register it in a context of its own',
    });
  }
  const balancer: Balancer = new Balancer({
    instance: `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`,
    version: VERSION,
    startedAt: now(),
    now,
    metrics: createMetrics(
      { networks: () => balancer.networks(), store: () => balancer.storeHealth(), now },
      options.metrics ?? undefined,
    ),
  });
  fastify.decorate('rpcBalancer', balancer);
  return balancer;
}

function opsSources(balancer: Balancer, isClosing: () => boolean): OpsSources {
  return {
    status: () => balancer.status(),
    readiness: () => balancer.readiness(),
    network: (name) => balancer.find(name)?.network ?? null,
    isClosing,
    registry: balancer.metrics.registry,
    now,
  };
}

/** The plugin. Options: {@link RpcBalancerOptions}; throws `RPCB_CONFIG` at boot with every problem at once. */
export const rpcBalancer = fp(plugin, { fastify: '5.x', name: '@rpc-balancer/gateway-plugin' });
