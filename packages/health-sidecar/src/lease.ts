// Decides: when this process holds the lease of one network, by the store's word and by its own clock.
// Must not know: what is done under the lease.
import type { Lease, Log, Redact, Store } from '@rpc-balancer/shared';
import { logFailure } from './failure.ts';
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

/** Share of the TTL after which a lease is renewed and a free one looked for: two may fail before it is lost. */
const RENEW_RATIO = 1 / 3;
/** Share of the TTL by which we stop before the store lets another begin: clocks do not run alike. */
const MARGIN_RATIO = 1 / 10;
/** An heir asks at once, and all others after this time, give or take half: should it have died, they notice no loss. */
const HEAD_START_MS = 300;
/** TTLs after which a sidecar that reached nothing is sent the network again, and the most that this grows to. */
const SHUN_TTLS = { first: 12, most: 96 } as const;
/** A store that does not answer must not hold up the end of the process. */
const RELEASE_MS = 500;

/** Competes for the lease of one network until stopped. */
export function keepLease(options: LeaseOptions): LeaseKeeper {
  const { network, holder, ttlMs, store, now, random, log, onChange } = options;
  /** Nobody else's: the store gives it again to who has it, because the answer that gave it may have been lost. */
  const owner = `${holder}/${Math.floor(random() * 2 ** 52).toString(36)}`;
  const stopping = new AbortController();
  let waking = new AbortController();
  let give: (heir: string) => void = () => {};
  let shunTtls = 0;
  const seat = options.join((heir) => give(heir));
  const unsubscribe = store.subscribe((event) => {
    if (event === null) waking.abort();
    else if (event.type === 'released' && event.network === network) void onReleased(event.heir);
  });
  const done = compete();

  async function onReleased(heir = holder): Promise<void> {
    const woken = waking;
    if (heir !== holder) await rest(HEAD_START_MS * (0.5 + random()), stopping.signal);
    woken.abort();
  }

  async function compete(): Promise<void> {
    while (!stopping.signal.aborted) {
      waking = new AbortController();
      const askedAt = now();
      const lease = await acquire();
      const isLeft = lease !== null && (await hold(lease, askedAt));
      if (isLeft) await rest(ttlMs, stopping.signal);
      // Spread, so that competitors do not ask in step; and never in a tight loop when a lease is lost as soon as won.
      else if (lease === null || now() - askedAt < ttlMs * RENEW_RATIO) {
        const waitMs = ttlMs * RENEW_RATIO * (0.75 + random() / 2);
        if (lease !== null) await rest(HEAD_START_MS, stopping.signal); // What wakes us may be our own release.
        await rest(waitMs, AbortSignal.any([stopping.signal, waking.signal]));
      }
    }
  }

  async function acquire(): Promise<Lease | null> {
    try {
      return await store.acquire(network, owner, ttlMs);
    } catch (error) {
      logFailed(error);
      return null;
    }
  }

  /** True: it was left to another, who needs its time to take it. */
  async function hold(lease: Lease, askedAt: number): Promise<boolean> {
    let found: string | null = null;
    let chosen: string | null = null;
    const losing = new AbortController();
    const signal = AbortSignal.any([stopping.signal, losing.signal]);
    let validUntil = askedAt + ttlMs * (1 - MARGIN_RATIO);
    give = (to) => {
      chosen = to;
      losing.abort();
    };
    const isHeld = () => !signal.aborted && now() < validUntil;
    seat.hold(true);
    onChange({ lease, isHeld });
    log.info({ network, epoch: lease.epoch }, 'holds the lease and publishes');
    const renewing = renew();
    const hasHeir = async (): Promise<boolean> => {
      found = await seat.findHeir();
      return found !== null;
    };
    const end = await options.work({ lease, isHeld, signal, hasHeir }).catch((error): WorkEnd => {
      logFailed(error);
      return 'over';
    });
    give = () => {};
    losing.abort();
    await renewing;
    if (end === 'fenced') options.onFenced();
    const heir =
      chosen ?? (end === 'hand_over' ? found : null) ?? (stopping.signal.aborted ? seat.heir() : null);
    shun(end);
    seat.hold(false);
    onChange(null); // Before another can have it: never do two say that they hold it.
    await Promise.race([release(lease, heir), rest(RELEASE_MS)]);
    log.info({ network, epoch: lease.epoch, end, heir }, 'holds the lease no more');
    return heir !== null;

    async function renew(): Promise<void> {
      while (!signal.aborted) {
        await rest(Math.min(ttlMs * RENEW_RATIO, validUntil - now()), signal);
        if (signal.aborted) return;
        const renewedAt = now();
        const answer = await Promise.race([renewOnce(lease), rest(validUntil - now(), signal)]);
        if (answer === true) validUntil = renewedAt + ttlMs * (1 - MARGIN_RATIO);
        if (answer === false || now() >= validUntil) losing.abort();
      }
    }
  }

  /** After each time in which nothing was reached, the others leave us alone for longer. */
  function shun(end: WorkEnd): void {
    const { first, most } = SHUN_TTLS;
    shunTtls = end === 'hand_over' ? Math.min(most, Math.max(first, 2 * shunTtls)) : 0;
    if (shunTtls > 0) seat.shun(shunTtls * ttlMs);
  }

  /** Undefined: the store did not say. */
  async function renewOnce(lease: Lease): Promise<boolean | undefined> {
    try {
      return await store.renew(lease, ttlMs);
    } catch (error) {
      logFailed(error);
      return undefined;
    }
  }

  /** Harmless when it is lost already: the store compares the owner and the epoch. */
  async function release(lease: Lease, heir: string | null): Promise<void> {
    await store.release(lease, heir).catch(logFailed);
  }

  function logFailed(error: unknown): void {
    logFailure(error, options, { network });
  }

  return {
    async stop() {
      stopping.abort();
      await done;
      seat.leave();
      unsubscribe();
    },
  };
}
