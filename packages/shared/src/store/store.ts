// Decides: what gateways and sidecars share, as one interface with two implementations (memory, Redis).
// Must not know: either of them. Plain serialisable values only, so that one process can serve its store to others.

import type { Drain } from '../wire/drain.ts';
import type { StoreEvent } from '../wire/events.ts';
import type { Ranking } from '../wire/ranking.ts';
import type { RecentWrite } from '../wire/recent-write.ts';

/** The right to publish the ranking of one network, for a time. */
export interface Lease {
  readonly network: string;
  readonly holder: string;
  /** The fencing token: higher than every one given out before, also after the store lost its data. */
  readonly epoch: number;
}

/** `accepted`, or `fenced`: the lease is somebody else's by now, so the publisher must stop. */
export type PublishResult = 'accepted' | 'fenced';

export interface StoreHealth {
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

/**
 * Every method but `health` and `subscribe` rejects with a BalancerError `RPCB_STORE` while the store is out of reach.
 * The two implementations pass one conformance suite.
 */
export interface Store extends WriteSharing {
  readonly kind: 'memory' | 'redis';
  /** Takes the lease if nobody holds it; null if somebody does. */
  acquire(network: string, holder: string, ttlMs: number): Promise<Lease | null>;
  /** Prolongs the lease; false when it is lost. */
  renew(lease: Lease, ttlMs: number): Promise<boolean>;
  /** Gives the lease back if it is still held, and says so to those who wait. */
  release(lease: Lease): Promise<void>;
  /** Stores a ranking under the lease with this epoch, if that is still held and (epoch, seq) is newer than what is stored. */
  publish(lease: Lease, ranking: Ranking, maxAgeMs: number): Promise<PublishResult>;
  /** The text of the newest ranking, still to be checked by `decodeRanking`; null if there is none or it expired. */
  readRanking(network: string): Promise<string | null>;
  /** Keeps the word about an upstream's drain for ever; false: another one is stored that is as late or later. */
  writeDrain(network: string, drain: Drain): Promise<boolean>;
  /** The texts of all words about a network's upstreams, still to be checked by `decodeDrain`. */
  readDrains(network: string): Promise<readonly string[]>;
  /** Calls back for every event and after each reconnection (`null`: something may have been missed). */
  subscribe(listener: (event: StoreEvent | null) => void): () => void;
  health(): StoreHealth;
  /** Calls back when `health` changed. */
  onHealth(listener: (health: StoreHealth) => void): () => void;
  close(): Promise<void>;
}
