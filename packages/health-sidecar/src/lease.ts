// Decides: when this process holds the lease of one network, by the store's word and by its own clock.
// Must not know: what is done under the lease.
import { setTimeout as pause } from 'node:timers/promises';
import { BalancerError, type Lease, type Log, type Store } from '@rpc-balancer/shared';
import { errorText } from './runtime.ts';

/** How the work under a lease ended; `hand_over` lets another take it before we compete again. */
export type WorkEnd = 'over' | 'fenced' | 'hand_over';

export interface HeldLease {
  readonly lease: Lease;
  /** By our own clock: true only while nobody else can have the lease. */
  readonly isHeld: () => boolean;
  readonly signal: AbortSignal;
}

export interface LeaseOptions {
  readonly network: string;
  readonly holder: string;
  readonly ttlMs: number;
  readonly store: Store;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  readonly redact: (text: string) => string;
  /** Runs while the lease is held; must end soon after the signal. */
  readonly work: (held: HeldLease) => Promise<WorkEnd>;
  /** Told when the lease came (its epoch) and went (null). */
  readonly onChange: (lease: Lease | null) => void;
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
/** A store in one process tells the others at once, so that nobody needs a TTL to take over. */
const HOLD_OFF_IN_PROCESS_MS = 100;
/** A store that does not answer must not hold up the end of the process. */
const RELEASE_MS = 500;

/** Competes for the lease of one network until stopped. */
export function keepLease(options: LeaseOptions): LeaseKeeper {
  const { network, holder, ttlMs, store, now, random, log, redact, onChange } = options;
  const stopping = new AbortController();
  let waking = new AbortController();
  const unsubscribe = store.subscribe((event) => {
    if (event === null || (event.type === 'released' && event.network === network)) waking.abort();
  });
  const done = compete();

  async function compete(): Promise<void> {
    while (!stopping.signal.aborted) {
      waking = new AbortController();
      const askedAt = now();
      const lease = await acquire();
      const end = lease === null ? 'over' : await hold(lease, askedAt);
      if (end === 'hand_over') await rest(holdOffMs(), stopping.signal);
      // Spread, so that competitors do not ask in step; and never in a tight loop when a lease is lost as soon as won.
      else if (lease === null || now() - askedAt < ttlMs * RENEW_RATIO) {
        const waitMs = ttlMs * RENEW_RATIO * (0.75 + random() / 2);
        await rest(waitMs, AbortSignal.any([stopping.signal, waking.signal]));
      }
    }
  }

  async function acquire(): Promise<Lease | null> {
    try {
      return await store.acquire(network, holder, ttlMs);
    } catch (error) {
      logUnlessStore(error);
      return null;
    }
  }

  async function hold(lease: Lease, askedAt: number): Promise<WorkEnd> {
    const losing = new AbortController();
    const signal = AbortSignal.any([stopping.signal, losing.signal]);
    let validUntil = askedAt + ttlMs * (1 - MARGIN_RATIO);
    onChange(lease);
    log.info({ network, epoch: lease.epoch }, 'holds the lease and publishes');
    const renewing = renew();
    const isHeld = () => !signal.aborted && now() < validUntil;
    const end = await options.work({ lease, isHeld, signal }).catch((error): WorkEnd => {
      logUnlessStore(error);
      return 'over';
    });
    losing.abort();
    await renewing;
    if (end === 'fenced') options.onFenced();
    onChange(null); // Before another can have it: never do two say that they hold it.
    await Promise.race([release(lease), pause(RELEASE_MS, undefined, { ref: false })]);
    log.info({ network, epoch: lease.epoch, end }, 'holds the lease no more');
    return end;

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

  /** Undefined: the store did not say. */
  async function renewOnce(lease: Lease): Promise<boolean | undefined> {
    try {
      return await store.renew(lease, ttlMs);
    } catch (error) {
      logUnlessStore(error);
      return undefined;
    }
  }

  /** Harmless when it is lost already: the store compares the owner and the epoch. */
  async function release(lease: Lease): Promise<void> {
    await store.release(lease).catch(logUnlessStore);
  }

  function holdOffMs(): number {
    return store.kind === 'memory' ? Math.min(ttlMs, HOLD_OFF_IN_PROCESS_MS) : ttlMs;
  }

  function logUnlessStore(error: unknown): void {
    const expected = error instanceof BalancerError && error.code === 'RPCB_STORE';
    if (expected) log.debug({ network }, 'the store is out of reach');
    else log.error({ network, problem: redact(errorText(error)) }, 'a mistake of ours; trying again');
  }

  return {
    async stop() {
      stopping.abort();
      await done;
      unsubscribe();
    },
  };
}

/** Waits, but not after the signal. */
async function rest(ms: number, signal: AbortSignal): Promise<undefined> {
  await pause(Math.max(0, ms), undefined, { signal }).catch(() => {});
  return undefined;
}
