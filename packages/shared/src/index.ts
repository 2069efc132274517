// The public entry: what gateways and sidecars agree on.
export type { LocatedUpstream } from './config/addresses.ts';
export type { RetryOn } from './config/compat.ts';
export { type Endpoint, endpointOf, socketEndpointOf } from './config/endpoint.ts';
export type { Sources } from './config/expand.ts';
export type { FixedKeys } from './config/fixed.ts';
export { configHash } from './config/hash.ts';
export type { LoadConfig } from './config/load.ts';
export {
  type NetworkConfig,
  type Preference,
  type ProbeConfig,
  type Strategy,
  TIERS,
  type Tier,
  type UpstreamConfig,
} from './config/network.ts';
export { parseConfig, validateConfig } from './config/parse.ts';
export type { Problem } from './config/problems.ts';
export type { RedisConfig } from './config/redis.ts';
export { type Config, type ConfigInput, RESERVED_NAMES } from './config/schema.ts';
export { createLiveRedactor, type LiveRedactor, redactConfig, redactorOf } from './config/secrets.ts';
export { createNames, type Names, type Resolver } from './discovery/names.ts';
export { systemResolver } from './discovery/system.ts';
export {
  BalancerError,
  type BalancerErrorOptions,
  ERRORS,
  type ErrorCode,
  type ErrorEntry,
} from './errors.ts';
export { askHealth, originOf } from './health-command.ts';
export {
  type Envelope,
  endsAt,
  isNestedDeeper,
  readElements,
  readEnvelope,
  type Span,
} from './jsonrpc.ts';
export type { HeaderOf } from './limits/rate-limit.ts';
export { prolong, retryAfterMs, THROTTLE_FIRST_MS, type Throttle } from './limits/retry-after.ts';
export { addUp, type Budget, Usage } from './limits/usage.ts';
export type { Log, LogMethod } from './log.ts';
export type { NamedBlock } from './protocols/blocks.ts';
export {
  createGlobTable,
  createSafetyOf,
  type MethodRules,
  type MethodTraits,
  type Safety,
  traitsOf,
} from './protocols/methods.ts';
export { readPath } from './protocols/paths.ts';
export { hasUris, type ProtocolName } from './protocols/tables.ts';
export { isRepeatedByNginx, PASSED_VERBS, verbSafety } from './protocols/verbs.ts';
export { type ChainView, chainView } from './protocols/view.ts';
export { subjectIn } from './protocols/writes.ts';
export { isHard, REASONS, type Reason, type ReasonKind } from './reasons.ts';
export { createRedactor, foreignText, HIDDEN, type Redact, redactUrl } from './redact.ts';
export { type Reloader, type ReloadResult, startReloader } from './reload.ts';
export { createMemoryStore } from './store/memory.ts';
export type { Client as RedisClient } from './store/redis/client.ts';
export type { RedisStoreOptions } from './store/redis/connections.ts';
export { createRedisStore } from './store/redis/store.ts';
export {
  type Lease,
  type PublishResult,
  RECENT_WRITES_MAX,
  type Sharing,
  type Store,
  type StoredReport,
  type StoreHealth,
  type StoreHistory,
} from './store/store.ts';
export { type Attendance, decodeAttendance, encodeAttendance } from './wire/attendance.ts';
export { decodeBeat, encodeBeat, type InFlight } from './wire/beat.ts';
export {
  type Drain,
  type DrainCommand,
  type DrainNote,
  decodeDrain,
  nextDrain,
  readDrainCommand,
} from './wire/drain.ts';
export type { StoreEvent } from './wire/events.ts';
export type { Turn } from './wire/keys.ts';
export {
  decodeRanking,
  encodeRanking,
  type Head,
  isNewer,
  type NetworkHead,
  type RankedUpstream,
  type Ranking,
  type RankingDraft,
} from './wire/ranking.ts';
export { decodeRecentWrite, type RecentWrite } from './wire/recent-write.ts';
export { decodeReport, type Report, type ReportedUpstream } from './wire/report.ts';
export { decodeUsage, encodeUsage, type UsageReport } from './wire/usage.ts';
