import type { Tier } from '@rpc-balancer/shared';
import fastify from 'fastify';
import type { Cluster, Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { expectTypeOf, test } from 'vitest';
import defaultExport, {
  type CallResult,
  type ConfigInput,
  type DrainAnswer,
  type DrainNote,
  type ErrorCode,
  type NetworkReadiness,
  type Reason,
  type ReloadResult,
  type RpcBalancer,
  type RpcBalancerOptions,
  rpcBalancer,
  type Status,
  type UpstreamStatus,
} from './index.ts';

const config: ConfigInput = {
  networks: { mainnet: { upstreams: [{ id: 'a', url: 'http://127.0.0.1:8545' }] } },
};

test('the plugin is registered with a path or an object and nothing else that is required', () => {
  const app = fastify();
  app.register(rpcBalancer, { config });
  app.register(defaultExport, {
    config: 'config.yaml',
    prefix: '/rpc',
    ops: '/-/rpc',
    metrics: new Registry(),
  });
  // @ts-expect-error without a configuration there is nothing to balance
  app.register(rpcBalancer, { prefix: '/rpc' });
  // @ts-expect-error a number is no path
  app.register(rpcBalancer, { config, ops: 5 });
  expectTypeOf<RpcBalancerOptions['config']>().toEqualTypeOf<string | ConfigInput>();
  expectTypeOf<Redis | Cluster>().toExtend<NonNullable<RpcBalancerOptions['redis']>>();
});

test('a configuration in code is checked by the compiler', () => {
  // @ts-expect-error a network without upstreams
  const empty: ConfigInput = { networks: { mainnet: {} } };
  // @ts-expect-error a key that does not exist
  const unknown: ConfigInput = { ...config, netwroks: {} };
  expectTypeOf(empty).toEqualTypeOf(unknown);
});

test('the decorator is on every instance, with its methods', () => {
  const app = fastify();
  expectTypeOf(app.rpcBalancer).toEqualTypeOf<RpcBalancer>();
  expectTypeOf(app.rpcBalancer.call).parameters.toEqualTypeOf<
    [network: string, method: string, params?: unknown]
  >();
  expectTypeOf(app.rpcBalancer.call).returns.resolves.toEqualTypeOf<CallResult>();
  expectTypeOf(app.rpcBalancer.status).returns.toEqualTypeOf<Status>();
  expectTypeOf(app.rpcBalancer.drain).parameter(2).toEqualTypeOf<Partial<DrainNote> | undefined>();
  expectTypeOf(app.rpcBalancer.undrain).returns.resolves.toEqualTypeOf<DrainAnswer>();
  expectTypeOf(app.rpcBalancer.reload).returns.toEqualTypeOf<ReloadResult | null>();
  expectTypeOf<CallResult['bytes']>().toEqualTypeOf<Buffer>();
  expectTypeOf<CallResult['json']>().returns.toEqualTypeOf<unknown>();
});

test('the exported unions are closed and complete', () => {
  expectTypeOf<NetworkReadiness['state']>().toEqualTypeOf<'ok' | 'degraded' | 'down'>();
  expectTypeOf<UpstreamStatus['state']>().toEqualTypeOf<'eligible' | 'standby' | 'excluded'>();
  expectTypeOf<UpstreamStatus['reason']>().toEqualTypeOf<Reason | null>();
  expectTypeOf<Tier>().toEqualTypeOf<'local' | 'monitoring' | 'fallback'>();
  expectTypeOf<Status['mode']>().toEqualTypeOf<'embedded' | 'cluster'>();
  expectTypeOf<Reason>().toEqualTypeOf<
    | 'disabled'
    | 'drained'
    | 'wrong_chain'
    | 'ejected'
    | 'full'
    | 'throttled'
    | 'budget_spent'
    | 'untagged'
    | 'unsupported'
    | 'behind_block'
    | 'unreachable'
    | 'probe_timeout'
    | 'probe_failed'
    | 'unauthorized'
    | 'silent'
    | 'syncing'
    | 'lagging'
    | 'stalled'
    | 'no_peers'
    | 'suspect'
    | 'unprobed'
    | 'standby'
  >();
  expectTypeOf<'RPCB_FATE_UNKNOWN'>().toExtend<ErrorCode>();
  expectTypeOf<ErrorCode>().toExtend<`RPCB_${string}`>();
});

test('what is reported cannot be changed', () => {
  expectTypeOf<Status>().toEqualTypeOf<Readonly<Status>>();
  expectTypeOf<UpstreamStatus>().toEqualTypeOf<Readonly<UpstreamStatus>>();
});
