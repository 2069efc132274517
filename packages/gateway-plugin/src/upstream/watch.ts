// Decides: which upstreams have gone silent, and that the reads in flight there are sent elsewhere.
// Must not know: what is asked. It looks often and cheaply instead of setting a timer for each attempt.
import { markSilent } from '../balance/ejection.ts';
import type { Member } from '../balance/member.ts';
import { standingOf } from '../balance/standing.ts';
import type { Runner } from './lateness.ts';
import type { Network } from './network.ts';

/** A tenth of the shortest silence. */
const LOOK_MS = 100;

/** Of upstreams with these, nothing in flight will be answered. */
const GONE: ReadonlySet<string | null> = new Set(['ejected', 'unreachable', 'probe_timeout']);

export interface Watch {
  stop(): void;
}

export function startWatch(networks: () => Iterable<Network>, now: () => number): Watch {
  const timer = setInterval(() => {
    for (const network of networks()) lookAt(network, now());
  }, LOOK_MS);
  return { stop: () => clearInterval(timer) };
}

export function lookAt(network: Network, now: number): void {
  const waiting = [...network.lateness.waiting].flatMap((race) =>
    race.lone ? [{ race, runner: race.lone }] : [],
  );
  if (waiting.length === 0) return;
  const silent = new Set<Member>();
  for (const { race, runner } of waiting)
    if (isSilent(network, race.kind, runner, now)) silent.add(runner.member);
  for (const member of silent) markSilent(member, now);
  standingOf(network.state, now);
  for (const { race, runner } of waiting) {
    if (silent.has(runner.member)) race.expedite('silent');
    else if (isLost(runner)) race.expedite('excluded');
  }
}

/** Whether its upstream was excluded since it was sent: whoever is sent there all the same has nobody better. */
function isLost({ member, trial, begunAt }: Runner): boolean {
  return GONE.has(member.reason) && begunAt < member.reasonAt && !trial?.excluded;
}

/** Nothing of what the upstream was asked since then was answered for longer than calls of this kind may take. */
function isSilent(network: Network, kind: string, { member, begunAt, sent }: Runner, now: number): boolean {
  const limitMs = network.lateness.silenceMs(kind);
  return limitMs !== null && !sent?.answering && now - Math.max(begunAt, member.succeededAt) > limitMs;
}
