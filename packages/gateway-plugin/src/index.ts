// The public entry: the plugin as default and by name, and the types that its users meet.
export {
  BalancerError,
  type ConfigInput,
  type DrainNote,
  type ErrorCode,
  type Reason,
  type ReloadResult,
  type Resolver,
} from '@rpc-balancer/shared';
export type { CallResult, NodeErrorDetails, RpcBalancer } from './balancer.ts';
export type { DrainAnswer } from './observe/admin.ts';
export type { ExplainedUpstream, Explanation } from './observe/explain.ts';
export type { NetworkReadiness, Readiness } from './observe/readiness.ts';
export type { NetworkStatus, Status, UpstreamStatus } from './observe/status.ts';
export type { RpcBalancerOptions } from './options.ts';
export { rpcBalancer, rpcBalancer as default } from './plugin.ts';
