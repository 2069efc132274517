// Decides: whether this sidecar reaches the upstreams of a network at all, or may itself be what is broken.
// Must not know: what follows from it.
import type { RankedUpstream, Reason } from '@rpc-balancer/shared';
import type { PastSample, SampleWindow } from './samples.ts';

export interface Probed {
  readonly windows: ReadonlyMap<string, SampleWindow>;
  /** When the probe of this upstream began that goes on; null: none does. */
  runningSince(id: string): number | null;
  /** It asked for that, so nothing newer will be heard of it soon. */
  isLeftAlone(id: string): boolean;
}

/**
 * Says nothing of the node where our own network is broken: a mesh or a proxy of ours may refuse, reset, swallow or answer
 * in the place of every node.
 */
const UNREACHED: ReadonlySet<Reason | null> = new Set<Reason>([
  'unreachable',
  'probe_timeout',
  'probe_failed',
]);

/**
 * `unknown`: the word of another upstream is still to come, without which no failure says anything.
 * @param overdueSince the word of a probe that began before is not waited for: it may be held up by what made the others fail
 */
export function reachedOf(
  upstreams: readonly Pick<RankedUpstream, 'id' | 'reason'>[],
  probed: Probed,
  overdueSince: number,
): 'some' | 'none' | 'unknown' {
  const { windows } = probed;
  const enabled = upstreams.filter(({ reason }) => reason !== 'disabled');
  const unreached = enabled.filter(({ reason }) => UNREACHED.has(reason));
  const others = enabled.filter(({ reason }) => !UNREACHED.has(reason));
  if (unreached.length === 0) return isAnyHeard(others) || enabled.length === 0 ? 'some' : 'unknown';
  if (others.length === 0) return 'none';
  const failingSince = Math.max(...unreached.map(({ id }) => failureBegan(windows.get(id)?.samples ?? [])));
  const answeredAt = Math.max(...others.map(({ id }) => lastAnswer(windows.get(id)?.samples ?? [])));
  if (isAnyHeard(others) && answeredAt >= failingSince) return 'some';
  const witnesses = others.filter(({ id }) => !probed.isLeftAlone(id));
  if (witnesses.length === 0) return 'none';
  const asked = witnesses.flatMap(({ id }) => probed.runningSince(id) ?? []);
  if (asked.length === 0) return isAnyHeard(witnesses) ? 'some' : 'unknown';
  return asked.every((since) => since <= overdueSince) ? 'none' : 'unknown';
}

function isAnyHeard(upstreams: readonly Pick<RankedUpstream, 'reason'>[]): boolean {
  return upstreams.some(({ reason }) => reason !== 'unprobed');
}

/** When the first of the failures came that stand since the last answer. */
function failureBegan(samples: readonly PastSample[]): number {
  return samples[samples.findLastIndex(isAnswer) + 1]?.sampledAt ?? Number.NEGATIVE_INFINITY;
}

function lastAnswer(samples: readonly PastSample[]): number {
  return samples.findLast(isAnswer)?.sampledAt ?? Number.NEGATIVE_INFINITY;
}

/** Also one that refuses us is there. */
function isAnswer({ failure }: PastSample): boolean {
  return failure === null || !UNREACHED.has(failure);
}
