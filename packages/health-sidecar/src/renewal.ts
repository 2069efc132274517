// Decides: how long a lease that was won is ours, by our own clock, and renews it all that time.
// Must not know: how it was won, what is done under it, who has it next.
import type { Lease, Log, Redact, Store } from '@rpc-balancer/shared';
import { logFailure } from './failure.ts';
import { rest } from './runtime.ts';

export interface RenewalOptions {
  /** Ends it as well. */
  readonly stopping: AbortSignal;
  readonly ttlMs: number;
  readonly store: Store;
  readonly now: () => number;
  readonly log: Log;
  readonly redact: Redact;
}

/** Share of the TTL after which a lease is renewed and a free one looked for: two may fail before it is lost. */
export const RENEW_RATIO = 1 / 3;
/** Share of the TTL by which we stop before the store lets another begin: clocks do not run alike. */
const MARGIN_RATIO = 1 / 10;

/** One time of holding a lease, from its winning until it is lost or given away. */
export class Renewal {
  /** Aborted when nothing more may be done under the lease. */
  readonly signal: AbortSignal;
  readonly #lease: Lease;
  readonly #options: RenewalOptions;
  readonly #ending = new AbortController();
  readonly #done: Promise<void>;
  #validUntil: number;

  /** @param askedAt when the lease was asked for: the store cannot have given it before */
  constructor(lease: Lease, askedAt: number, options: RenewalOptions) {
    this.#lease = lease;
    this.#options = options;
    this.signal = AbortSignal.any([options.stopping, this.#ending.signal]);
    this.#validUntil = this.#validSince(askedAt);
    this.#done = this.#renew();
  }

  readonly isHeld = (): boolean => !this.signal.aborted && this.#options.now() < this.#validUntil;

  end(): void {
    this.#ending.abort();
  }

  /** Ends it, and waits until nothing new is asked of the store; what is still out prolongs no lease of a later epoch. */
  async stop(): Promise<void> {
    this.end();
    await this.#done;
  }

  async #renew(): Promise<void> {
    const { ttlMs, now } = this.#options;
    const { signal } = this;
    while (!signal.aborted) {
      await rest(Math.min(ttlMs * RENEW_RATIO, this.#validUntil - now()), signal);
      if (signal.aborted) return;
      const askedAt = now();
      const answer = await Promise.race([this.#renewOnce(), rest(this.#validUntil - now(), signal)]);
      if (answer === true) this.#validUntil = this.#validSince(askedAt);
      if (answer === false || now() >= this.#validUntil) this.end();
    }
  }

  /** Undefined: the store did not say. */
  async #renewOnce(): Promise<boolean | undefined> {
    const { store, ttlMs } = this.#options;
    try {
      return await store.renew(this.#lease, ttlMs);
    } catch (error) {
      logFailure(error, this.#options, { network: this.#lease.network });
      return undefined;
    }
  }

  #validSince(askedAt: number): number {
    return askedAt + this.#options.ttlMs * (1 - MARGIN_RATIO);
  }
}
