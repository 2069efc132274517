// Decides: how a scenario is played, step by step on both sides at once, and where they differ.
// Must not know: how either side is made.

import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Scenario, SLOW, type Step } from './scenario.ts';
import { type Held, type Seen, type Side, TIMEOUT_MS } from './side.ts';

export interface Played {
  readonly seed: number;
  /** Steps after which both sides were compared. */
  readonly compared: number;
  readonly stepCount: number;
  /** What differed, or null. */
  readonly difference: string | null;
}

export interface Sides {
  readonly nginx: Side;
  readonly replica: Side;
}

/** Longer after a change of a listening port: idle connections to it end meanwhile. */
const SETTLE_MS = 30;

/** A machine that stood still for so long may have made an answer late, or a client's going unnoticed. */
const STALL_MS = 150;

/** Added to fail_timeout and one second: then it is over on every clock, however its seconds lie. */
const MARGIN_MS = 200;

/** A request that was held for so long may time out while it is compared. */
const HELD_MS = TIMEOUT_MS - STALL_MS;

interface HeldPair {
  readonly nginx: Held;
  readonly replica: Held;
  readonly since: number;
}

/**
 * nginx counts whole seconds, so that only what is surely within `fail_timeout`, or surely after it, can be compared:
 * a group that took too long on this machine ends the comparison, and not with a difference.
 */
export async function play(scenario: Scenario, sides: Sides): Promise<Played> {
  const timeouts = scenario.nodes.map(({ failTimeoutS }) => failTimeoutS * 1000);
  const stepCount = scenario.groups.flat().length;
  const player = new Player(sides, scenario.deadlineMs);
  let compared = 0;
  for (const [at, group] of scenario.groups.entries()) {
    if (at > 0) await delay(Math.max(...timeouts) + 1000 + MARGIN_MS);
    const watch = watchClock(Math.min(...timeouts));
    try {
      for (const step of group) {
        const difference = await player.step(step);
        if (watch.isUnsure() || player.isUnsure()) return ended(null);
        if (difference !== null) return ended(`step ${compared + 1}, ${JSON.stringify(step)}: ${difference}`);
        compared++;
      }
    } finally {
      watch.stop();
      await player.leaveAll();
    }
  }
  return ended(null);

  function ended(difference: string | null): Played {
    return { seed: scenario.seed, compared, stepCount, difference };
  }
}

class Player {
  readonly #sides: Sides;
  readonly #deadlineMs: number;
  #held: HeldPair[] = [];
  #isLate = false;

  constructor(sides: Sides, deadlineMs: number) {
    this.#sides = sides;
    this.#deadlineMs = deadlineMs;
  }

  async step(step: Step): Promise<string | null> {
    const { nginx, replica } = this.#sides;
    if (step.do === 'mode') {
      await Promise.all([nginx.setMode(step.node, step.mode), replica.setMode(step.node, step.mode)]);
      await delay(SETTLE_MS);
      return null;
    }
    if (step.do === 'leave') await this.#leave();
    if (step.do === 'hold') {
      const [theirs, ours] = await Promise.all([nginx.hold(), replica.hold()]);
      if (theirs.seen || ours.seen) return difference(theirs.seen, ours.seen) ?? this.#hits();
      this.#held.push({ nginx: theirs, replica: ours, since: performance.now() });
    }
    if (step.do === 'request') {
      const [theirs, ours] = await Promise.all([this.#ask(nginx, step.verb), this.#ask(replica, step.verb)]);
      const found = difference(theirs, ours);
      if (found !== null) return found;
    }
    return this.#hits();
  }

  async #ask(side: Side, verb: string): Promise<Seen> {
    const begunAt = performance.now();
    const seen = await side.request(verb);
    const last = side.nodes[seen.tried.at(-1) ?? -1];
    const isSlow = last !== undefined && SLOW.has(last.mode);
    // The deadline may have passed on a busy machine, although no node took its time.
    if (this.#deadlineMs > 0 && !isSlow && performance.now() - begunAt > this.#deadlineMs / 2)
      this.#isLate = true;
    return seen;
  }

  isUnsure(): boolean {
    if (this.#isLate) return true;
    return this.#held.some(({ since }) => performance.now() - since > HELD_MS);
  }

  async leaveAll(): Promise<void> {
    while (this.#held.length > 0) await this.#leave();
  }

  async #leave(): Promise<void> {
    const pair = this.#held.shift();
    if (!pair) return;
    await Promise.all([this.#sides.nginx.leave(pair.nginx), this.#sides.replica.leave(pair.replica)]);
  }

  #hits(): string | null {
    return difference(this.#sides.nginx.hits(), this.#sides.replica.hits());
  }
}

function difference(nginx: unknown, replica: unknown): string | null {
  if (isDeepStrictEqual(nginx, replica)) return null;
  return `nginx ${JSON.stringify(nginx)}, replica ${JSON.stringify(replica)}`;
}

/** Tells when a group has taken longer than the shortest fail_timeout, or this process has stood still. */
function watchClock(limitMs: number) {
  const begun = performance.now();
  const everyMs = 10;
  let last = begun;
  let longest = 0;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, everyMs);
  return {
    isUnsure(): boolean {
      look();
      return longest > STALL_MS || last - begun > limitMs;
    },
    stop: () => clearInterval(timer),
  };
}
