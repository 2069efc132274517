// Decides: which upstreams have gone silent, and that the reads in flight there are sent elsewhere.
// Must not know: what is asked. It looks often and cheaply instead of setting a timer for each attempt.
import { markSilent } from '../balance/ejection.ts';
import type { Member } from '../balance/member.ts';
import { standingOf } from '../balance/standing.ts';
import type { Runner } from './lateness.ts';
import type { Network } from './network.ts';

/** A tenth of the shortest silence. */
const LOOK_MS = 100;

/** A look that comes so long after the last tells of a halt of this process: nobody was heard meanwhile, whoever spoke. */
const HALT_MS = 2 * LOOK_MS;

/** Of upstreams with these, nothing in flight will be answered. */
const GONE: ReadonlySet<string | null> = new Set(['ejected', 'unreachable', 'probe_timeout']);

export interface Watch {
  stop(): void;
}

export function startWatch(networks: () => Iterable<Network>, now: () => number): Watch {
  let lookedAt = now();
  let heardSince = lookedAt;
  const timer = setInterval(() => {
    const at = now();
    if (at - lookedAt > HALT_MS) heardSince = at;
    lookedAt = at;
    for (const network of networks()) lookAt(network, { now: at, heardSince });
  }, LOOK_MS);
  return { stop: () => clearInterval(timer) };
}

interface Look {
  readonly now: number;
  /** Since when this process would have heard whoever spoke. */
  readonly heardSince: number;
}

function lookAt(network: Network, look: Look): void {
  const waiting = [...network.lateness.waiting].flatMap((race) =>
    race.lone ? [{ race, runner: race.lone }] : [],
  );
  if (waiting.length === 0) return;
  const silent = new Set<Member>();
  for (const { race, runner } of waiting) {
    const limitMs = network.lateness.silenceMs(race.kind);
    if (limitMs !== null && silentMs(runner, look) > limitMs) silent.add(runner.member);
  }
  for (const member of silent) markSilent(member, look.now);
  standingOf(network.state, look.now);
  for (const { race, runner } of waiting) {
    if (silent.has(runner.member)) race.expedite('silent');
    else if (isLost(runner)) race.expedite('excluded');
  }
}

/** Whether its upstream was excluded since it was sent: whoever is sent there all the same has nobody better. */
function isLost({ member, trial, begunAt }: Runner): boolean {
  return GONE.has(member.reason) && begunAt < member.reasonAt && !trial?.excluded;
}

/** For how long nothing of what the upstream was asked since then was answered. */
function silentMs({ member, begunAt, sent }: Runner, { now, heardSince }: Look): number {
  return sent?.answering ? 0 : now - Math.max(begunAt, member.succeededAt, heardSince);
}
