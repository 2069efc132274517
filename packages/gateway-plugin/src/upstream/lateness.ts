// Decides: how long calls of a kind may take in a network before somebody else is asked, and how many may be asked twice.
// Must not know: how they are sent, or what they are answered.
import type { NetworkConfig } from '@rpc-balancer/shared';
import { Budget } from '../balance/budget.ts';
import { Durations } from '../balance/durations.ts';
import type { Trial } from '../balance/ejection.ts';
import type { Member } from '../balance/member.ts';
import type { Reply, Sent } from './dispatch.ts';
import { type Entry, Roster } from './roster.ts';

/** Why a second upstream is asked: the first is slow, answers nothing at all, or was excluded meanwhile. */
export type Cause = 'slow' | 'silent' | 'excluded';

/** One attempt at a request that may get a second one beside it. */
export interface Runner {
  readonly member: Member;
  readonly begunAt: number;
  readonly trial: Trial | null;
  /** Null until it was sent. */
  sent: Sent | null;
  /** Null until it came. */
  reply: Reply | null;
}

/** A request in flight. */
export interface Waiting extends Entry {
  /** What its duration is compared with: the method, or {@link BATCH}. */
  readonly kind: string;
  /** The attempt that is waited for; null when it is over, or somebody else was asked as well. */
  readonly lone: Runner | null;
  expedite(cause: Cause): void;
}

/** Batches are compared with batches. */
export const BATCH = '[batch]';

/** `silence: auto`: so many times the 99th percentile, and never less than a second, which a collector may take. */
const SILENCE_FACTOR = 4;
const SILENCE_MIN_MS = 1000;

type Settings = Pick<NetworkConfig, 'silence' | 'hedge'>;

export class Lateness {
  readonly waiting = new Roster<Waiting>();
  readonly budget = new Budget();
  readonly durations = new Durations();
  #config: Settings;

  constructor(config: Settings) {
    this.#config = config;
  }

  /** What was learned so far stays. */
  reconfigure(config: Settings): void {
    this.#config = config;
  }

  /** After so long without an answer a read is hedged; null: not at all, or not before more is known. */
  hedgeAfterMs(kind: string): number | null {
    const { hedge } = this.#config;
    if (hedge === null) return null;
    return typeof hedge.after === 'number'
      ? hedge.after
      : this.durations.quantileMs(kind, hedge.after.quantile);
  }

  /** An upstream that answers nothing for so long is silent; null: not to be said, as of a kind of which little is known. */
  silenceMs(kind: string): number | null {
    const { silence } = this.#config;
    if (silence !== 'auto') return silence;
    const p99 = this.durations.quantileMs(kind, 0.99);
    return p99 === null ? null : Math.max(SILENCE_MIN_MS, SILENCE_FACTOR * p99);
  }
}
