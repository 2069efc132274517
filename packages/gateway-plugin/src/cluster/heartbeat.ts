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

/** A second of them. */
const BEATS_KEPT = 4;

export interface Heartbeat {
  stop(): Promise<void>;
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

export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { networks, store, instance, now, random, log, onBeat, onBeatFailure } = options;
  /** Forgotten with its network, when a changed configuration has it no more. */
  const told = new WeakMap<Network, Told>();
  const running = new Set<Promise<void>>();

  async function beat({ name, state }: Network, last: Told): Promise<void> {
    const { shared } = state.rules;
    const content = encodeBeat(shared ? standingOf(state.members) : {});
    const usage = usageToTell(state.members, last);
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
    if (!shared) return;
    const heard = Object.values(others).map(decodeBeat);
    for (const member of state.members) {
      const sum = heard.reduce((total, inFlight) => total + (inFlight?.[member.id] ?? 0), 0);
      member.inFlightElsewhere = roundedMean(sum, heard.length, random());
    }
  }

  /** As it was told last, until it is time for the next. */
  function usageToTell(members: readonly Member[], last: Told): string {
    if (last.usage !== null && now() - last.usageAt < USAGE_MS) return last.usage;
    last.usageAt = now();
    return encodeUsage(usageOf(members, now()));
  }

  function beatOf(network: Network): void {
    const { name, state } = network;
    const last = told.get(network) ?? {
      ...{ content: null, usage: null, usageAt: 0 },
      ...{ heardAt: now(), tookMs: [], running: false },
    };
    told.set(network, last);
    if (now() - last.heardAt > LIFE_MS) for (const member of state.members) member.inFlightElsewhere = 0;
    if (last.running) return; // The store is slow: the next beat tells it all.
    last.running = true;
    const sent = beat(network, last)
      .catch((error: Error) => {
        last.usage = null;
        last.content = null; // It may have arrived or not.
        onBeatFailure(name);
        log.debug({ network: name, problem: error.message }, 'a heartbeat could not be sent');
      })
      .then(() => {
        last.running = false;
        running.delete(sent);
      });
    running.add(sent);
  }

  function beatAll(): void {
    for (const network of networks()) beatOf(network);
  }

  const timer = setInterval(beatAll, BEAT_MS);
  beatAll();

  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
    },
  };
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

/** What was used of each upstream's limit, and what is left; without those of which there is nothing to tell. */
function usageOf(members: readonly Member[], now: number): Record<string, Budget> {
  const usage: Record<string, Budget> = {};
  for (const { id, usage: own, throttledUntil } of members) {
    const budget = own.budget(now, throttledUntil > now ? throttledUntil : null);
    if (budget.attempts > 0 || budget.left !== null || budget.retryAt !== null) usage[id] = budget;
  }
  return usage;
}
