// Decides: what is remembered of the probes of one upstream, for how long, and what of it counts now.
// Must not know: other upstreams, how a probe is made.
import type { Head, Reason } from '@rpc-balancer/shared';

/** What an upstream says of its software, for people: redacted and cut by the probe. */
export type NodeFacts = Readonly<Record<string, string | number>>;

/** Why a probe gave no head. `throttled`: the node is well but asked us to come less often. */
export type ProbeFailure =
  | Extract<Reason, 'unreachable' | 'probe_timeout' | 'unauthorized' | 'probe_failed'>
  | 'throttled';

export interface GoodSample {
  readonly failure: null;
  /** When the probe ended, epoch ms. */
  readonly sampledAt: number;
  readonly latencyMs: number;
  /** What the upstream says it is; null when it does not support the question. */
  readonly identity: string | null;
  readonly syncing: boolean;
  /** Null where a network has no heads. */
  readonly head: Head | null;
  /** Absent when the answer did not come in time: the last one stands. */
  readonly finalized?: number | null;
  /** It should have peers and has none; absent where the protocol does not say. */
  readonly lonely?: boolean;
  /** How long it has run, where it says so. */
  readonly uptimeS?: number;
  /** Absent when it was not asked. */
  readonly facts?: NodeFacts;
}

export interface FailedSample {
  readonly failure: ProbeFailure;
  readonly sampledAt: number;
  /** For people: redacted and cut by the probe. */
  readonly detail: string;
}

export type Sample = GoodSample | FailedSample;

/** What is remembered of each sample of a window. A whole one for each of thousands of upstreams would take the memory of all else. */
export interface PastSample {
  readonly failure: ProbeFailure | null;
  readonly sampledAt: number;
  /** Null for a failure. */
  readonly latencyMs: number | null;
}

/** What is known of one upstream. Replaced with every sample, never edited. */
export interface SampleWindow {
  /** Oldest first. */
  readonly samples: readonly PastSample[];
  readonly newest: Sample | null;
  /** The newest that was not throttled. */
  readonly unthrottled: Sample | null;
  /** The last identity that it gave: one failed probe does not make another chain ours. */
  readonly identity: string | null;
  readonly finalized: number | null;
  readonly headNumber: number | null;
  /** What it has told of itself since the newest probe began; null for nothing. */
  readonly pushed: { readonly head: Head; readonly at: number } | null;
  /** Since when the head has been seen at this number, epoch ms; null before the first head. */
  readonly standsSince: number | null;
  /** When the head moved the last two times. The first sight of it is no move. */
  readonly moves: readonly number[];
  readonly uptimeS: number | null;
  /** When its uptime was seen to have gone back, epoch ms. */
  readonly restartedAt: number | null;
}

/** Two minutes at the default interval: enough for a p95, short enough to forget a bad spell. */
const SAMPLES_MAX = 60;

export const emptyWindow: SampleWindow = {
  samples: [],
  newest: null,
  unthrottled: null,
  identity: null,
  finalized: null,
  headNumber: null,
  pushed: null,
  standsSince: null,
  moves: [],
  uptimeS: null,
  restartedAt: null,
};

/** @param startedAt when the probe began: what the upstream has told since then is newer than its answer */
export function addSample(
  window: SampleWindow,
  sample: Sample,
  startedAt: number = sample.sampledAt,
): SampleWindow {
  const { failure, sampledAt } = sample;
  const past = { failure, sampledAt, latencyMs: sample.failure === null ? sample.latencyMs : null };
  const samples = [...window.samples.slice(1 - SAMPLES_MAX), past];
  const unthrottled = failure === 'throttled' ? window.unthrottled : sample;
  const next = { ...window, samples, newest: sample, unthrottled };
  if (sample.failure !== null) return next;
  const identity = sample.identity ?? window.identity;
  const finalized = sample.finalized === undefined ? window.finalized : sample.finalized;
  const isOlder = window.pushed !== null && window.pushed.at >= startedAt;
  const pushed = isOlder ? window.pushed : null;
  const heard = { ...next, identity, finalized, pushed, ...uptimeAfter(window, sample) };
  return isOlder || sample.head === null ? heard : atHead(heard, sample.head, sample.sampledAt);
}

/** The upstream told of a new head by itself. */
export function addHead(window: SampleWindow, head: Head, at: number): SampleWindow {
  return atHead({ ...window, pushed: { head, at } }, head, at);
}

function atHead(window: SampleWindow, { number }: Head, at: number): SampleWindow {
  if (window.headNumber === number) return window;
  const moves = window.headNumber === null ? [] : [...window.moves, at].slice(-2);
  return { ...window, headNumber: number, standsSince: at, moves };
}

function uptimeAfter({ uptimeS: before, restartedAt }: SampleWindow, { uptimeS, sampledAt }: GoodSample) {
  if (uptimeS === undefined) return {};
  return { uptimeS, restartedAt: before !== null && uptimeS < before ? sampledAt : restartedAt };
}

/**
 * What counts now: the newest sample, with the head that was told since. A success grows old; a failure counts until the next probe ends, which may take
 * several timeouts. While the node throttles us the sample before counts, if it is fresh.
 */
export function currentSample(window: SampleWindow, freshSince: number): Sample | null {
  const { newest, unthrottled } = window;
  if (newest?.failure === 'throttled') {
    if (unthrottled === null || unthrottled.sampledAt < freshSince) return newest;
    return withPushed(window, unthrottled);
  }
  if (newest?.failure === null && newest.sampledAt < freshSince) return null;
  return newest && withPushed(window, newest);
}

function withPushed({ pushed }: SampleWindow, sample: Sample): Sample {
  if (pushed === null || sample.failure !== null) return sample;
  return { ...sample, head: pushed.head, sampledAt: Math.max(sample.sampledAt, pushed.at) };
}

/** Share of failed probes. A throttled one says nothing against the node. */
export function errorRatio(window: SampleWindow): number {
  const counted = window.samples.filter((sample) => sample.failure !== 'throttled');
  const failed = counted.filter((sample) => sample.failure !== null);
  return counted.length === 0 ? 0 : failed.length / counted.length;
}

/** Nearest-rank percentile of the successes' latency: a fast failure must not look like a fast node. */
export function latencyPercentile(window: SampleWindow, percent: number): number | null {
  const sorted = window.samples.flatMap(({ latencyMs }) => latencyMs ?? []).sort((a, b) => a - b);
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? null;
}
