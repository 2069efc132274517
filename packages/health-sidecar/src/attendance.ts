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
  return new Attendant(options);
}

class Attendant implements Attendance {
  readonly #options: AttendanceOptions;
  readonly #places = new Map<string, Place>();
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #waking = new AbortController();
  #others: readonly Standing[] = [];

  constructor(options: AttendanceOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  join(network: string, give: (heir: string) => void): Seat {
    const place: Place = { give, held: false, shunnedUntil: 0 };
    this.#places.set(network, place);
    this.#waking.abort();
    return {
      hold: (held) => {
        place.held = held;
        this.#waking.abort();
      },
      shun: (forMs) => {
        place.shunnedUntil = this.#options.now() + forMs;
      },
      heir: () => this.#heir(network),
      findHeir: async () => {
        await this.#beat();
        return this.#heir(network);
      },
      leave: () => {
        if (this.#places.get(network) === place) this.#places.delete(network);
        this.#waking.abort();
      },
    };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { lifeMs, random } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#waking = new AbortController();
      const woken = this.#waking.signal;
      await this.#beat();
      await rest(lifeMs * BEAT_RATIO * (0.75 + random() / 2), AbortSignal.any([signal, woken]));
      // Not after each change, in which the others have not had their say.
      if (!woken.aborted) await this.#rebalance();
    }
    await Promise.race([this.#beat(), rest(LEAVE_MS)]);
  }

  async #rebalance(): Promise<void> {
    const { instance, log } = this.#options;
    if (this.#heldNetworks().length === 0 || this.#stopping.signal.aborted) return;
    await this.#beat(); // So that what the others hold is as young as can be.
    for (const { network, heir } of spread(instance, this.#heldNetworks(), this.#others)) {
      log.info({ network, heir }, 'gives the lease to a sidecar that holds fewer');
      this.#places.get(network)?.give(heir);
    }
  }

  async #beat(): Promise<void> {
    const { store, instance, lifeMs, onCount } = this.#options;
    const content = encodeAttendance({ held: this.#heldNetworks().length, takes: this.#taken() });
    try {
      this.#others = standingsIn(await store.attend(instance, content, lifeMs));
      onCount(this.#others.length + 1);
    } catch (error) {
      logFailure(error, this.#options);
    }
  }

  /** The last one first: what was taken lately has learned least. */
  #heldNetworks(): string[] {
    return [...this.#places].flatMap(([network, { held }]) => (held ? [network] : [])).reverse();
  }

  #taken(): string[] {
    if (this.#stopping.signal.aborted) return [];
    const now = this.#options.now();
    const open = [...this.#places].flatMap(([network, place]) =>
      place.shunnedUntil <= now ? [network] : [],
    );
    // Who had to let go of all that it held is no place for more: it is cut off itself.
    const isCutOff = open.length < this.#places.size && this.#heldNetworks().length === 0;
    return isCutOff ? [] : open;
  }

  /** Named once it counts as one more there, so that of several leases not all go to the same one. */
  #heir(network: string): string | null {
    const found = heirAmong(this.#others, network)?.instance ?? null;
    if (found !== null) this.#others = oneMore(this.#others, found);
    return found;
  }
}

function standingsIn(told: Readonly<Record<string, string>>): Standing[] {
  return Object.entries(told).flatMap(([instance, text]) => {
    const one = decodeAttendance(text);
    return one === null ? [] : [{ instance, held: one.held, takes: new Set(one.takes) }];
  });
}
