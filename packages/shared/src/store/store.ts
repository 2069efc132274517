// Decides: what gateways and sidecars share, as one interface with two implementations (memory, Redis).
// Must not know: either of them. Plain serialisable values only, so that one process can serve its store to others.

import type { Drain } from '../wire/drain.ts';
import type { StoreEvent } from '../wire/events.ts';
import type { Turn } from '../wire/keys.ts';
import type { Ranking } from '../wire/ranking.ts';
import type { RecentWrite } from '../wire/recent-write.ts';
import type { Report } from '../wire/report.ts';

/** The right to publish the ranking of one network, for a time. */
export interface Lease {
  readonly network: string;
  readonly holder: string;
  /** The fencing token: higher than every one given out before, also after the store lost its data. */
  readonly epoch: number;
}

/** `accepted`, or `fenced`: the lease is somebody else's by now, so the publisher must stop. */
export type PublishResult = 'accepted' | 'fenced';

/** Who may publish the ranking of a network, and what was published. */
export interface Publishing {
  /**
   * Takes the lease if nobody else holds it; null if somebody does. Who holds it gets it again under a new epoch: it asks
   * because the answer that gave it was lost.
   * @param holder of this process and task alone; without "|"
   */
  acquire(network: string, holder: string, ttlMs: number): Promise<Lease | null>;
  /** Prolongs the lease; false when it is lost. */
  renew(lease: Lease, ttlMs: number): Promise<boolean>;
  /** Gives the lease back if it is still held, and says so to those who wait, with the sidecar that should take it. */
  release(lease: Lease, heir?: string | null): Promise<void>;
  /** Stores a ranking under the lease with this epoch, if that is still held and (epoch, seq) is newer than what is stored. */
  publish(lease: Lease, ranking: Ranking, maxAgeMs: number): Promise<PublishResult>;
  /** The text of the newest ranking, still to be checked by `decodeRanking`; null if there is none or it expired. */
  readRanking(network: string): Promise<string | null>;
}

/** What befell the connections since the start. None of it need last: a connection that was lost is back at once. */
export interface StoreHistory {
  /** Connections that were good and ended: killed, reset, idle for too long, or of a server that died. */
  readonly connectionsLost: number;
  /** Epoch ms; null until one was lost. */
  readonly lastLostAt: number | null;
  /** Hash slots of a Redis Cluster that were seen at another node than before. */
  readonly slotsMoved: number;
  /** By step, how often it was not taken. */
  readonly failures: Readonly<Record<string, number>>;
}

export interface StoreHealth extends StoreHistory {
  readonly connected: boolean;
  /** What is wrong and what to change; null while nothing is. */
  readonly problem: string | null;
  /** Set when the server may evict control keys under memory pressure; names the setting to change. */
  readonly evictionRisk: string | null;
}

/** Most recent writes kept of a network; the oldest go first. */
export const RECENT_WRITES_MAX = 1000;

/** Which upstream took a transaction lately, so that its sender reads it back at every gateway. */
export interface WriteSharing {
  /** Keeps a write for a time and tells it to those who listen. */
  noteWrite(network: string, write: RecentWrite, ttlMs: number): Promise<void>;
  /** The writes whose time is not over; texts still to be checked by `decodeRecentWrite`. */
  readWrites(network: string): Promise<readonly string[]>;
}

/** What a gateway tells with a heartbeat; null: as before. */
export interface ToldByBeat {
  /** For the other gateways. */
  readonly content: string | null;
  /** For the sidecar, kept apart: so many replicas do not read it of each other. */
  readonly usage: string | null;
}

/** What the other gateways of a network tell with their heartbeats. */
export interface Beats {
  /** False when the own content is not stored (any more): the next beat must bring it. */
  readonly known: boolean;
  /** By instance; texts still to be checked by `decodeBeat`. */
  readonly others: Readonly<Record<string, string>>;
}

export interface StoredReport {
  /** Rises with each report of a network. */
  readonly id: string;
  /** Since it was stored. */
  readonly ageMs: number;
  /** Still to be checked by `decodeReport`. */
  readonly text: string;
}

/** Most reports kept of a network; the oldest go first. A gateway that reads each second falls behind at 500 a second. */
export const REPORTS_MAX = 500;

/** Who wants to send an excluded upstream its trial. */
export interface TrialClaim {
  readonly upstream: string;
  readonly turn: Turn;
  readonly holder: string;
}

/** What the processes of a cluster share with each other. A request never waits for any of it. */
export interface Sharing {
  /** Renews the sidecar's life, replaces what it tells, and reads what the other sidecars tell, by instance. */
  attend(instance: string, content: string, lifeMs: number): Promise<Beats['others']>;
  /** Renews the gateway's life, replaces what it tells unless that is null, and reads what the others tell. */
  beat(network: string, instance: string, told: ToldByBeat, lifeMs: number): Promise<Beats>;
  /** What the gateways that live have told of their usage; texts still to be checked by `decodeUsage`. */
  readUsages(network: string): Promise<readonly string[]>;
  /** Adds a report and says so to those who listen; all reports are kept until none came for `ttlMs`. */
  report(network: string, report: Report, ttlMs: number): Promise<void>;
  /** The reports after the one with this id, oldest first; null: all that are kept. */
  readReports(network: string, after: string | null): Promise<readonly StoredReport[]>;
  /** Takes the next trial for a time, or takes it again; 0, or the ms for which it is another's. */
  takeTrial(network: string, trial: TrialClaim, ttlMs: number): Promise<number>;
}

/**
 * Every method but `health` and `subscribe` rejects with a BalancerError `RPCB_STORE` while the store is out of reach.
 * The two implementations pass one conformance suite.
 */
export interface Store extends Publishing, WriteSharing, Sharing {
  readonly kind: 'memory' | 'redis';
  /** Keeps the word about an upstream's drain for ever; false: another one is stored that is as late or later. */
  writeDrain(network: string, drain: Drain): Promise<boolean>;
  /** The texts of all words about a network's upstreams, still to be checked by `decodeDrain`. */
  readDrains(network: string): Promise<readonly string[]>;
  /** Calls back for every event and after each reconnection (`null`: something may have been missed). */
  subscribe(listener: (event: StoreEvent | null) => void): () => void;
  health(): StoreHealth;
  /** Calls back when `health` changed in more than its history. */
  onHealth(listener: (health: StoreHealth) => void): () => void;
  close(): Promise<void>;
}
