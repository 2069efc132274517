// Decides: when this process holds the lease of one network, by the store's word and by its own clock.
// Must not know: what is done under the lease.
import type { Lease, Log, Redact, Store } from '@rpc-balancer/shared';
import { logFailure } from './failure.ts';
import { RENEW_RATIO, Renewal } from './renewal.ts';
import { rest } from './runtime.ts';
import type { Seat } from './spread.ts';

/** How the work under a lease ended; `hand_over`: the heir that was found may see more than we do. */
export type WorkEnd = 'over' | 'fenced' | 'hand_over';

export interface HeldLease {
  readonly lease: Lease;
  /** By our own clock: true only while nobody else can have the lease. */
  readonly isHeld: () => boolean;
  readonly signal: AbortSignal;
  /** Looks whether there is a sidecar to hand over to. */
  readonly hasHeir: () => Promise<boolean>;
}

export interface LeaseOptions {
  readonly network: string;
  readonly holder: string;
  readonly ttlMs: number;
  readonly store: Store;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  readonly redact: Redact;
  /** Takes a seat among the sidecars; `give` is called when another one should have the lease. */
  readonly join: (give: (heir: string) => void) => Seat;
  /** Runs while the lease is held; must end soon after the signal. */
  readonly work: (held: HeldLease) => Promise<WorkEnd>;
  /** Told when the lease came and went (null). */
  readonly onChange: (held: Pick<HeldLease, 'lease' | 'isHeld'> | null) => void;
  readonly onFenced: () => void;
}

export interface LeaseKeeper {
  /** Ends the work, gives the lease back and waits for both. */
  stop(): Promise<void>;
}

/** An heir asks at once, and all others after this time, give or take half: should it have died, they notice no loss. */
const HEAD_START_MS = 300;
/** TTLs after which a sidecar that reached nothing is sent the network again, and the most that this grows to. */
const SHUN_TTLS = { first: 12, most: 96 } as const;
/** A store that does not answer must not hold up the end of the process. */
const RELEASE_MS = 500;

/** Competes for the lease of one network until stopped. */
export function keepLease(options: LeaseOptions): LeaseKeeper {
  return new Competitor(options);
}

class Competitor implements LeaseKeeper {
  readonly #options: LeaseOptions;
  /** Nobody else's: the store gives it again to who has it, because the answer that gave it may have been lost. */
  readonly #owner: string;
  /** Whether the answer to the last question was lost. */
  #isDeaf = false;
  readonly #seat: Seat;
  readonly #unsubscribe: () => void;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #waking = new AbortController();
  /** Ends the work in favour of another sidecar; null while there is none. */
  #give: ((heir: string) => void) | null = null;
  #shunTtls = 0;

  constructor(options: LeaseOptions) {
    const { network, holder, store, random } = options;
    this.#options = options;
    this.#owner = `${holder}/${Math.floor(random() * 2 ** 52).toString(36)}`;
    this.#seat = options.join((heir) => this.#give?.(heir));
    this.#unsubscribe = store.subscribe((event) => {
      if (event === null) this.#waking.abort();
      else if (event.type === 'released' && event.network === network) void this.#onReleased(event.heir);
    });
    this.#done = this.#compete();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
    this.#seat.leave();
    this.#unsubscribe();
  }

  async #compete(): Promise<void> {
    const { ttlMs, now, random } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#waking = new AbortController();
      const askedAt = now();
      const lease = await this.#acquire();
      const isLeft =
        lease !== null && (await this.#hold(lease, askedAt).catch((error) => this.#dropped(lease, error)));
      if (isLeft) await rest(ttlMs, signal);
      // Spread, so that competitors do not ask in step; and never in a tight loop when a lease is lost as soon as won.
      else if (lease === null || now() - askedAt < ttlMs * RENEW_RATIO) {
        const waitMs = ttlMs * RENEW_RATIO * (0.75 + random() / 2);
        if (lease !== null) await rest(HEAD_START_MS, signal); // What wakes us may be our own release.
        await rest(waitMs, AbortSignal.any([signal, this.#waking.signal]));
      }
    }
  }

  async #onReleased(heir = this.#options.holder): Promise<void> {
    const { holder, random } = this.#options;
    const woken = this.#waking;
    if (heir !== holder) await rest(HEAD_START_MS * (0.5 + random()), this.#stopping.signal);
    woken.abort();
  }

  async #acquire(): Promise<Lease | null> {
    const { store, network, ttlMs } = this.#options;
    try {
      // Who is heard but hears nothing would take it again and again, and nobody would publish.
      if (this.#isDeaf) await store.readRanking(network);
      this.#isDeaf = true;
      const lease = await store.acquire(network, this.#owner, ttlMs);
      this.#isDeaf = false;
      return lease;
    } catch (error) {
      this.#logFailed(error);
      return null;
    }
  }

  /** True: it was left to another, who needs its time to take it. */
  async #hold(lease: Lease, askedAt: number): Promise<boolean> {
    const { network, log, onChange, onFenced } = this.#options;
    const stopping = this.#stopping.signal;
    const renewal = new Renewal(lease, askedAt, { ...this.#options, stopping });
    this.#seat.hold(true);
    onChange({ lease, isHeld: renewal.isHeld });
    log.info({ network, epoch: lease.epoch }, 'holds the lease and publishes');
    const { end, successor } = await this.#work(lease, renewal);
    await renewal.stop();
    if (end === 'fenced') onFenced();
    const heir = successor ?? (stopping.aborted ? this.#seat.heir() : null);
    this.#shun(end);
    this.#seat.hold(false);
    onChange(null); // Before another can have it: never do two say that they hold it.
    await Promise.race([this.#release(lease, heir), rest(RELEASE_MS)]);
    log.info({ network, epoch: lease.epoch, end, heir }, 'holds the lease no more');
    return heir !== null;
  }

  /** Nobody may wait for a lease under which nothing is done any more. */
  async #dropped(lease: Lease, error: unknown): Promise<false> {
    this.#logFailed(error);
    this.#seat.hold(false);
    await Promise.race([this.#release(lease, null), rest(RELEASE_MS)]);
    return false;
  }

  async #work(lease: Lease, renewal: Renewal): Promise<Worked> {
    const { isHeld, signal } = renewal;
    let found: string | null = null;
    let chosen: string | null = null;
    this.#give = (to) => {
      chosen = to;
      renewal.end();
    };
    const hasHeir = async (): Promise<boolean> => {
      found = await this.#seat.findHeir();
      return found !== null;
    };
    const end = await this.#options.work({ lease, isHeld, signal, hasHeir }).catch((error): WorkEnd => {
      this.#logFailed(error);
      return 'over';
    });
    this.#give = null;
    return { end, successor: chosen ?? (end === 'hand_over' ? found : null) };
  }

  /** After each time in which nothing was reached, the others leave us alone for longer. */
  #shun(end: WorkEnd): void {
    const { first, most } = SHUN_TTLS;
    this.#shunTtls = end === 'hand_over' ? Math.min(most, Math.max(first, 2 * this.#shunTtls)) : 0;
    if (this.#shunTtls > 0) this.#seat.shun(this.#shunTtls * this.#options.ttlMs);
  }

  /** Harmless when it is lost already: the store compares the owner and the epoch. */
  async #release(lease: Lease, heir: string | null): Promise<void> {
    await this.#options.store.release(lease, heir).catch((error) => this.#logFailed(error));
  }

  #logFailed(error: unknown): void {
    logFailure(error, this.#options, { network: this.#options.network });
  }
}

/** How the work under a lease ended, and in whose favour. */
interface Worked {
  readonly end: WorkEnd;
  readonly successor: string | null;
}
