// Decides: how a replica comes to the trial that an excluded upstream gets from the whole cluster.
// Must not know: when one is due (balance/shared-health.ts). Won in the background: no request waits for it.
import type { Log, Store, Turn } from '@rpc-balancer/shared';
import { isFailed, trialWaitMs } from '../balance/ejection.ts';
import type { Member } from '../balance/member.ts';
import {
  deferTrial,
  grantTrial,
  takeTrialBegun,
  trialsDue,
  turnOf,
  useTickets,
} from '../balance/shared-health.ts';
import type { Network } from '../upstream/network.ts';

/** What a trial comes too late at most, and what a look at a few numbers may cost twenty times a second. */
const LOOK_MS = 50;

/** A trial that was won and not begun goes to somebody else after this: its winner has too few requests. */
const CLAIM_MS = 1000;

/** It may begin until then, which leaves time to tell that it has. */
const BEGIN_MS = 800;

export interface TrialsOptions {
  readonly networks: () => Iterable<Network>;
  readonly store: Store;
  readonly instance: string;
  readonly now: () => number;
  readonly log: Log;
}

export interface Trials {
  stop(): Promise<void>;
}

export function startTrials({ networks, store, instance, now, log }: TrialsOptions): Trials {
  const asking = new Map<Member, Promise<void>>();

  /** Without an answer it is as without a cluster: the time alone decides. */
  async function ask({ name }: Network, member: Member, turn: Turn): Promise<void> {
    const claim = { upstream: member.id, turn, holder: instance };
    const leftMs = await store.takeTrial(name, claim, CLAIM_MS).catch(() => 0);
    deferTrial(member, turn, now() + (leftMs || CLAIM_MS));
    if (leftMs === 0) grantTrial(member, now() + BEGIN_MS);
  }

  /** From its beginning on nobody else begins one for as long as a trial's turn is. */
  async function hold({ name, state }: Network, member: Member): Promise<void> {
    const turn = turnOf(state);
    const claim = { upstream: member.id, turn, holder: instance };
    await store
      .takeTrial(name, claim, trialWaitMs(member, turn === 'urgent'))
      .catch((error: Error) =>
        log.debug({ network: name, problem: error.message }, 'a trial could not be held'),
      );
  }

  function run(member: Member, step: Promise<void>): void {
    asking.set(
      member,
      step.finally(() => asking.delete(member)),
    );
  }

  function look(): void {
    for (const network of networks()) {
      const { state } = network;
      useTickets(state, store.health().connected);
      if (!state.ticketed) continue;
      for (const member of state.members) {
        if (takeTrialBegun(member) && isFailed(member, state.members.length))
          run(member, hold(network, member));
      }
      const turn = turnOf(state);
      for (const member of trialsDue(state, turn, now())) {
        if (!asking.has(member)) run(member, ask(network, member, turn));
      }
    }
  }

  const timer = setInterval(look, LOOK_MS);
  look();

  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(asking.values());
      for (const { state } of networks()) useTickets(state, false);
    },
  };
}
