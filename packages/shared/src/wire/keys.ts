// Decides: every name in Redis. Nobody else spells one.
// Must not know: what stands behind a name.

export interface KeyOptions {
  readonly prefix: string;
  readonly clusterId: string;
}

export interface NetworkKeys {
  /** Who may publish: `holder|epoch`, expires with the lease. */
  readonly lease: string;
  /** The highest epoch ever given out; never expires. */
  readonly epoch: string;
  /** Hash of epoch, seq and document; expires with the ranking's age. */
  readonly ranking: string;
  /** Sorted set of recent writes by the end of their time; expires with the last of them. */
  readonly writes: string;
  /** Hash of upstream to `revision|document`, the operators' last words; never expires. */
  readonly drains: string;
  /** Sorted set of the gateways by the end of their life; expires with the last of them. */
  readonly gateways: string;
  /** Hash of gateway to heartbeat; expires likewise. */
  readonly beats: string;
  /** Hash of gateway to what it used of each upstream's limit; expires likewise. */
  readonly usages: string;
  /** Stream of the gateways' reports; expires when nothing was reported for long. */
  readonly reports: string;
}

/** All keys of a network carry the same hash tag, so that one script may touch them in a Redis Cluster. */
export function networkKeys({ prefix, clusterId }: KeyOptions, network: string): NetworkKeys {
  const tagged = `${prefix}:{${clusterId}:${network}}`;
  return {
    lease: `${tagged}:lease`,
    epoch: `${tagged}:epoch`,
    ranking: `${tagged}:ranking`,
    writes: `${tagged}:writes`,
    drains: `${tagged}:drains`,
    gateways: `${tagged}:gateways`,
    beats: `${tagged}:beats`,
    usages: `${tagged}:usages`,
    reports: `${tagged}:reports`,
  };
}

/** `usual` comes each `failTimeout`, `urgent` each second, for a gateway that has nobody else left. */
export type Turn = 'usual' | 'urgent';

/** Who may send an excluded upstream its trial; expires with the trial's turn. */
export function trialKey(
  { prefix, clusterId }: KeyOptions,
  network: string,
  upstream: string,
  turn: Turn,
): string {
  return `${prefix}:{${clusterId}:${network}}:trial:${turn}:${upstream}`;
}

export interface ClusterKeys {
  /** Sorted set of the sidecars by the end of their life; expires with the last of them. */
  readonly sidecars: string;
  /** Hash of sidecar to what it tells of itself; expires likewise. */
  readonly sidecarBeats: string;
}

/** What is not of one network; no script touches these and a network's keys. */
export function clusterKeys({ prefix, clusterId }: KeyOptions): ClusterKeys {
  const tagged = `${prefix}:{${clusterId}}`;
  return { sidecars: `${tagged}:sidecars`, sidecarBeats: `${tagged}:sidecar-beats` };
}

/** One channel for each cluster, so that nobody gets another cluster's traffic. */
export function eventsChannel({ prefix, clusterId }: KeyOptions): string {
  return `${prefix}:{${clusterId}}:events`;
}
