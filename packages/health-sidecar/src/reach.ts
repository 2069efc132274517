// Decides: whether this sidecar reaches the upstreams of a network at all, or may itself be what is broken.
// Must not know: what follows from it.
import type { RankedUpstream, Reason } from '@rpc-balancer/shared';
import type { PastSample, SampleWindow } from './samples.ts';

export interface Probed {
  readonly windows: ReadonlyMap<string, SampleWindow>;
  /** Whether a probe of this upstream goes on. */
  isRunning(id: string): boolean;
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

/** `unknown`: the word of another upstream is still to come, without which no failure says anything. */
export function reachedOf(
  upstreams: readonly Pick<RankedUpstream, 'id' | 'reason'>[],
  { windows, isRunning }: Probed,
): 'some' | 'none' | 'unknown' {
  const enabled = upstreams.filter(({ reason }) => reason !== 'disabled');
  const unreached = enabled.filter(({ reason }) => UNREACHED.has(reason));
  const others = enabled.filter(({ reason }) => !UNREACHED.has(reason));
  if (unreached.length === 0 && others.some(({ reason }) => reason !== 'unprobed')) return 'some';
  if (others.length === 0) return enabled.length === 0 ? 'some' : 'none';
  if (others.every(({ reason }) => reason === 'unprobed')) return 'unknown';
  const failingSince = Math.max(...unreached.map(({ id }) => failureBegan(windows.get(id)?.samples ?? [])));
  const answeredAt = Math.max(...others.map(({ id }) => lastAnswer(windows.get(id)?.samples ?? [])));
  return answeredAt < failingSince && others.some(({ id }) => isRunning(id)) ? 'unknown' : 'some';
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
