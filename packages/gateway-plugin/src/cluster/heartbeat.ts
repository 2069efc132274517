// Decides: how often a replica tells what it has in flight and uses of limits, and how long what others tell is believed.
// Must not know: what is picked by it.
import {
  type Budget,
  decodeBeat,
  encodeBeat,
  encodeUsage,
  type InFlight,
  type Log,
  type Store,
} from '@rpc-balancer/shared';
import type { Member } from '../balance/member.ts';
import type { Network } from '../upstream/network.ts';

/** Chosen by simulation: docs/decisions/0005-what-others-have-in-flight.md. */
const BEAT_MS = 250;

/** A replica that was killed is forgotten by all within 3 s: after this, with their next beat, on machines that are busy. */
const LIFE_MS = 2000;

/** Nobody acts by the millisecond on what was used in a minute. */
const USAGE_MS = 1000;

/** A second of them. */
const BEATS_KEPT = 4;

export interface HeartbeatOptions {
  readonly networks: () => Iterable<Network>;
  readonly store: Store;
  readonly instance: string;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  /** Told how long the store took for a beat. */
  readonly onBeat: (network: string, durationMs: number) => void;
  /** Told of every beat that could not be sent. */
  readonly onBeatFailure: (network: string) => void;
}

/** What was told last of one network. */
interface Told {
  /** Null: must be told again. */
  content: string | null;
  usage: string | null;
  /** When the usage was worked out last. */
  usageAt: number;
  /** When the store answered last. */
  heardAt: number;
  /** How long it took for the last beats, so that a single slow one says nothing. */
  tookMs: readonly number[];
  running: boolean;
}

function nothingTold(now: number): Told {
  return { content: null, usage: null, usageAt: 0, heardAt: now, tookMs: [], running: false };
}

export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  return new Heartbeat(options);
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #timer: NodeJS.Timeout;
  /** Forgotten with its network, when a changed configuration has it no more. */
  readonly #told = new WeakMap<Network, Told>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#beatAll(), BEAT_MS);
    this.#beatAll();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
  }

  #beatAll(): void {
    const { networks, now } = this.#options;
    for (const network of networks()) {
      const last = this.#told.get(network) ?? nothingTold(now());
      this.#told.set(network, last);
      if (now() - last.heardAt > LIFE_MS)
        for (const member of network.state.members) member.inFlightElsewhere = 0;
      if (!last.running) this.#run(network, last); // Else the store is slow: the next beat tells it all.
    }
  }

  #run(network: Network, last: Told): void {
    const { log, onBeatFailure } = this.#options;
    const { name } = network;
    last.running = true;
    const sent = this.#beat(network, last)
      .catch((error: Error) => {
        last.usage = null;
        last.content = null; // It may have arrived or not.
        onBeatFailure(name);
        log.debug({ network: name, problem: error.message }, 'a heartbeat could not be sent');
      })
      .then(() => {
        last.running = false;
        this.#running.delete(sent);
      });
    this.#running.add(sent);
  }

  async #beat({ name, state }: Network, last: Told): Promise<void> {
    const { store, instance, now, random, onBeat } = this.#options;
    const { shared } = state.rules;
    const content = encodeBeat(shared ? standingOf(state.members) : {});
    const usage = usageToTell(state.members, last, now());
    const told = {
      content: content === last.content ? null : content,
      usage: usage === last.usage ? null : usage,
    };
    const begunAt = now();
    const { known, others } = await store.beat(name, instance, told, LIFE_MS);
    last.content = known ? content : null;
    last.usage = known ? usage : null;
    last.heardAt = now();
    last.tookMs = [...last.tookMs, last.heardAt - begunAt].slice(-BEATS_KEPT);
    if (last.tookMs.length === BEATS_KEPT) state.storeDelayMs = Math.min(...last.tookMs);
    onBeat(name, last.heardAt - begunAt);
    if (shared) hear(state.members, Object.values(others).map(decodeBeat), random);
  }
}

/** Takes over what all others have in flight. */
function hear(members: readonly Member[], heard: readonly (InFlight | null)[], random: () => number): void {
  for (const member of members) {
    const sum = heard.reduce((total, inFlight) => total + (inFlight?.[member.id] ?? 0), 0);
    member.inFlightElsewhere = roundedMean(sum, heard.length, random());
  }
}

/**
 * A replica evens out its own part of a difference and no more: all of it, done by each replica, would turn the difference
 * over with every beat. What is left of the division is up to chance, so that not all avoid the same upstream for it.
 */
function roundedMean(sum: number, count: number, chance: number): number {
  return count === 0 ? 0 : Math.floor(sum / count + chance);
}

/** The attempts that were in flight all the time since the last beat, so that they will be for some time to come. */
function standingOf(members: readonly Member[]): InFlight {
  const standing: InFlight = {};
  for (const member of members) {
    if (member.inFlightLow > 0) standing[member.id] = member.inFlightLow;
    member.inFlightLow = member.inFlight;
  }
  return standing;
}

/** As it was told last, until it is time for the next. */
function usageToTell(members: readonly Member[], last: Told, now: number): string {
  if (last.usage !== null && now - last.usageAt < USAGE_MS) return last.usage;
  last.usageAt = now;
  return encodeUsage(usageOf(members, now));
}

/** What was used of each upstream's limit, and what is left; without those of which there is nothing to tell. */
function usageOf(members: readonly Member[], now: number): Record<string, Budget> {
  const usage: Record<string, Budget> = {};
  for (const { id, usage: own, throttledUntil } of members) {
    const budget = own.budget(now, throttledUntil > now ? throttledUntil : null);
    if (budget.attempts > 0 || budget.left !== null || budget.retryAt !== null) usage[id] = budget;
  }
  return usage;
}
