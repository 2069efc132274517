import { TIERS } from '@rpc-balancer/shared';
import { expect, test } from 'vitest';
import { createClock, createRandom } from '../../../../test/kit/clock.ts';
import { type Attempt, attempt, memberOf, unprobed } from '../../test/members.ts';
import { NginxModel, type PeerSettings, type Session } from '../../test/nginx-model.ts';
import { ABORTED, ANSWERED, CUT } from '../upstream/outcome.ts';
import { record } from '../upstream/record.ts';
import type { Member } from './member.ts';
import type { NetworkState } from './network-state.ts';

const VERDICTS = { good: ANSWERED, bad: CUT, nothing: ABORTED } as const;

interface Running {
  readonly ours: Attempt;
  readonly theirs: Session;
}

/** A random group, and a random history of attempts over it. */
class Scenario {
  readonly #exact: boolean;
  readonly #random: () => number;
  readonly #clock = createClock();
  readonly #settings: readonly PeerSettings[];
  readonly #state: NetworkState;
  readonly #model: NginxModel;
  readonly #running: Running[] = [];

  constructor(seed: number, exact: boolean, strategy: 'least_conn' | 'round_robin') {
    this.#exact = exact;
    this.#random = createRandom(seed);
    this.#settings = Array.from({ length: 1 + this.#below(5) }, () => ({
      weight: 1 + this.#below(5),
      maxFails: this.#below(4),
      failTimeout: exact ? 1000 * (1 + this.#below(4)) : 200 + this.#below(4000),
      maxConns: this.#below(3) === 0 ? 1 + this.#below(4) : 0,
      tier: this.#below(4) === 0 ? 1 + this.#below(2) : 0,
      down: this.#below(8) === 0,
    }));
    this.#model = new NginxModel(this.#settings, exact, strategy === 'round_robin');
    this.#state = unprobed(
      this.#settings.map(({ weight, maxFails, failTimeout, maxConns, tier, down }) => ({
        weight,
        maxFails,
        failTimeout,
        maxConns: maxConns === 0 ? 'off' : maxConns,
        tier: TIERS[tier] ?? 'local',
        disabled: down,
      })),
      { strategy, compat: exact ? 'nginx' : 'off' },
    );
  }

  step(): void {
    this.#clock.advance(1 + this.#below(this.#below(10) === 0 ? 3000 : 60));
    if (this.#running.length > 0 && this.#below(2) === 0) this.#finishOne();
    else this.#request();
  }

  /** Tries one after another, as a request does, until one attempt is left running. */
  #request(): void {
    const now = this.#clock.now();
    const tried: Member[] = [];
    const triedByIndex = new Set<number>();
    let tier = 0;
    for (let tries = 0; tries < 3; tries++) {
      const ours = attempt(this.#state, now + tries, tried);
      const { chosen, session } = this.#model.get(now + tries, triedByIndex, tier);
      expect(ours?.member.index ?? -1).toBe(chosen);
      if (!ours || !session) return;
      if (this.#below(3) > 0) {
        this.#running.push({ ours, theirs: session });
        return;
      }
      this.#end({ ours, theirs: session }, 'bad', now + tries);
      tried.push(ours.member, ...this.#leftBehind(ours.member));
      triedByIndex.add(chosen);
      tier = ours.member.tierRank;
      this.#clock.advance(1);
    }
  }

  #finishOne(): void {
    const [running] = this.#running.splice(this.#below(this.#running.length), 1);
    const luck = this.#below(10);
    if (running) this.#end(running, luck < 6 ? 'good' : luck < 9 ? 'bad' : 'nothing', this.#clock.now());
  }

  /** With nginx's rules a request does not come back to a tier that it has left. */
  #leftBehind({ tierRank }: Member): readonly Member[] {
    return this.#exact ? this.#state.members.filter((member) => member.tierRank < tierRank) : [];
  }

  #end({ ours, theirs }: Running, end: keyof typeof VERDICTS, now: number): void {
    const isBlamed = !this.#exact || this.#state.members.length > 1;
    record(ours.member, { ...VERDICTS[end], counts: end === 'bad' && isBlamed }, ours.trial, now);
    this.#model.free(theirs, end, now);
  }

  check(): void {
    for (const [at, peer] of this.#model.peers.entries()) {
      const { inFlight, fails, effectiveWeight, currentWeight, checkedAt } = memberOf(this.#state, at);
      expect({ inFlight, fails, effectiveWeight, currentWeight, checkedAt }).toEqual({
        inFlight: peer.conns,
        fails: peer.fails,
        effectiveWeight: peer.effective,
        currentWeight: peer.current,
        checkedAt: peer.checked,
      });
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

test.each([
  ['our own rules', false],
  ["nginx's own rules", true],
])(
  'pick and ejection do what an independent model of nginx does, over random groups and histories: %s',
  (_, exact) => {
    for (let seed = 1; seed <= 400; seed++) {
      const scenario = new Scenario(seed, exact, seed % 4 === 0 ? 'round_robin' : 'least_conn');
      for (let step = 0; step < 250; step++) scenario.step();
      scenario.check();
    }
  },
);
