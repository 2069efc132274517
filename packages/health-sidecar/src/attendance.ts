// Decides: how a sidecar shows the others that it lives and what it holds, and when it gives leases away for balance.
// Must not know: how a lease is won, kept or given back.
import { decodeAttendance, encodeAttendance, type Log, type Store } from '@rpc-balancer/shared';
import { logFailure } from './failure.ts';
import { rest } from './runtime.ts';
import { heirAmong, oneMore, type Seat, type Standing, spread } from './spread.ts';

export interface AttendanceOptions {
  readonly store: Store;
  readonly instance: string;
  /** A sidecar that says nothing for so long is counted no more. */
  readonly lifeMs: number;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  readonly redact: (text: string) => string;
  /** Told how many sidecars live, this one included. */
  readonly onCount: (count: number) => void;
}

export interface Attendance {
  /** Takes part for one network; `give` is called when another sidecar should have its lease. */
  join(network: string, give: (heir: string) => void): Seat;
  /** Says that it takes nothing more, and waits for that. */
  stop(): Promise<void>;
}

interface Place {
  readonly give: (heir: string) => void;
  held: boolean;
  shunnedUntil: number;
}

/** Share of the life after which it is renewed: two may fail before it ends. */
const BEAT_RATIO = 1 / 3;

/** A store that does not answer must not hold up the end of the process. */
const LEAVE_MS = 500;

export function attend(options: AttendanceOptions): Attendance {
  const { store, instance, lifeMs, now, random, log, onCount } = options;
  const places = new Map<string, Place>();
  const stopping = new AbortController();
  let waking = new AbortController();
  let others: readonly Standing[] = [];
  const done = run();

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      waking = new AbortController();
      await beat();
      const ms = lifeMs * BEAT_RATIO * (0.75 + random() / 2);
      await rest(ms, AbortSignal.any([stopping.signal, waking.signal]));
      // Not after each change, in which the others have not had their say.
      if (!waking.signal.aborted) await rebalance();
    }
    await Promise.race([beat(), rest(LEAVE_MS)]);
  }

  async function rebalance(): Promise<void> {
    if (heldNetworks().length === 0 || stopping.signal.aborted) return;
    await beat(); // So that what the others hold is as young as can be.
    for (const { network, heir } of spread(instance, heldNetworks(), others)) {
      log.info({ network, heir }, 'gives the lease to a sidecar that holds fewer');
      places.get(network)?.give(heir);
    }
  }

  /** The last one first: what was taken lately has learned least. */
  function heldNetworks(): string[] {
    return [...places].flatMap(([network, { held }]) => (held ? [network] : [])).reverse();
  }

  function taken(): string[] {
    if (stopping.signal.aborted) return [];
    const open = [...places].flatMap(([network, place]) => (place.shunnedUntil <= now() ? [network] : []));
    // Who had to let go of all that it held is no place for more: it is cut off itself.
    const isCutOff = open.length < places.size && heldNetworks().length === 0;
    return isCutOff ? [] : open;
  }

  async function beat(): Promise<void> {
    const content = encodeAttendance({ held: heldNetworks().length, takes: taken() });
    try {
      const told = Object.entries(await store.attend(instance, content, lifeMs));
      others = told.flatMap(([name, text]) => {
        const one = decodeAttendance(text);
        return one === null ? [] : [{ instance: name, held: one.held, takes: new Set(one.takes) }];
      });
      onCount(others.length + 1);
    } catch (error) {
      logFailure(error, options);
    }
  }

  /** Named once it counts as one more there, so that of several leases not all go to the same one. */
  function heir(network: string): string | null {
    const found = heirAmong(others, network)?.instance ?? null;
    if (found !== null) others = oneMore(others, found);
    return found;
  }

  return {
    join(network, give) {
      const place: Place = { give, held: false, shunnedUntil: 0 };
      places.set(network, place);
      waking.abort();
      return {
        hold(held) {
          place.held = held;
          waking.abort();
        },
        shun(forMs) {
          place.shunnedUntil = now() + forMs;
        },
        heir: () => heir(network),
        async findHeir() {
          await beat();
          return heir(network);
        },
        leave() {
          if (places.get(network) === place) places.delete(network);
          waking.abort();
        },
      };
    },
    async stop() {
      stopping.abort();
      await done;
    },
  };
}
