// Decides: what is remembered of the probes of one upstream, for how long, and what of it counts now.
// Must not know: other upstreams, how a probe is made.
import type { Head, Reason } from '@rpc-balancer/shared';

/** What an upstream says of its software, for people: redacted and cut by the probe. */
export type NodeFacts = Readonly<Record<string, string | number>>;

/** Why a probe gave no head. `throttled`: the node is well but asked us to come less often. */
export type ProbeFailure = Extract<
  Reason,
  'unreachable' | 'probe_timeout' | 'unauthorized' | 'probe_failed' | 'throttled'
>;

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

/** A head of which an upstream told by itself. */
export interface Told {
  readonly head: Head;
  readonly at: number;
}

/** What an answer is judged by where heads are told, too. */
export interface Poll {
  readonly startedAt: number;
  /** The last head that was told before it began. */
  readonly told: Told | null;
  /** An answer may be so far below what was told, and so late: a node may serve HTTP a moment behind its WebSocket. */
  readonly patience: { readonly blocks: number; readonly ms: number };
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
  /** The last head that it told of by itself, whether or not that counts. */
  readonly told: Told | null;
  /** That head if it counts more than the newest answer. */
  readonly pushed: Told | null;
  /** Its answers are behind what it tells: clients get the answers, so they alone count until they are level again. */
  readonly isDenied: boolean;
  /** When it could tell of heads last; null while it can. */
  readonly heardUntil: number | null;
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
  told: null,
  pushed: null,
  isDenied: false,
  heardUntil: null,
  standsSince: null,
  moves: [],
  uptimeS: null,
  restartedAt: null,
};

export function addSample(
  window: SampleWindow,
  sample: Sample,
  poll: Poll = { startedAt: sample.sampledAt, told: window.told, patience: { blocks: 0, ms: 0 } },
): SampleWindow {
  const { failure, sampledAt } = sample;
  const past = { failure, sampledAt, latencyMs: sample.failure === null ? sample.latencyMs : null };
  const samples = [...window.samples.slice(1 - SAMPLES_MAX), past];
  const unthrottled = failure === 'throttled' ? window.unthrottled : sample;
  const next = { ...window, samples, newest: sample, unthrottled };
  if (sample.failure !== null) return next;
  const identity = sample.identity ?? window.identity;
  const finalized = sample.finalized === undefined ? window.finalized : sample.finalized;
  const heard = { ...next, identity, finalized, ...uptimeAfter(window, sample) };
  if (sample.head === null) return heard;
  const { pushed, isDenied } = pushedAfter(window, sample.head, poll);
  return atHead({ ...heard, pushed, isDenied }, pushed ?? { head: sample.head, at: sampledAt });
}

/** The upstream told of a new head by itself. */
export function addHead(window: SampleWindow, head: Head, at: number): SampleWindow {
  const told = { head, at };
  const heard = { ...window, told, heardUntil: null };
  return window.isDenied ? heard : atHead({ ...heard, pushed: told }, told);
}

/** It can tell of no heads until the next one. */
export function endHeads(window: SampleWindow, at: number): SampleWindow {
  return { ...window, heardUntil: window.heardUntil ?? at };
}

/** Whether what was told counts more than an answer. Once it was denied it has to be reached, or it would count every other time. */
function pushedAfter(
  window: SampleWindow,
  { number }: Head,
  { startedAt, told, patience }: Poll,
): Pick<SampleWindow, 'pushed' | 'isDenied'> {
  const missing = told === null ? 0 : told.head.number - number;
  if (told === null || missing <= 0) {
    return { pushed: window.told === told ? null : window.told, isDenied: false };
  }
  const isDenied = window.isDenied || missing > patience.blocks || startedAt - told.at > patience.ms;
  return { pushed: isDenied ? null : window.told, isDenied };
}

function atHead(window: SampleWindow, { head: { number }, at }: Told): SampleWindow {
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

/** For how long nobody has looked; 0 while it tells of heads by itself, so that its silence says something. */
export function unseenMs({ pushed, heardUntil }: SampleWindow, sample: Sample | null, now: number): number {
  if (sample === null || (pushed !== null && heardUntil === null)) return 0;
  const seenAt = pushed === null ? sample.sampledAt : Math.max(sample.sampledAt, heardUntil ?? 0);
  return Math.max(0, now - seenAt);
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
