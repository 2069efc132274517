// Decides: which upstreams of a network are probed now, and keeps what the probes found.
// Must not know: what follows from a sample, who may publish, how long a round is waited for.
import {
  foreignText,
  type Head,
  type LocatedUpstream,
  type NetworkConfig,
  type ProbeConfig,
  type Redact,
} from '@rpc-balancer/shared';
import { errorText, type Fetcher } from '../runtime.ts';
import { addHead, addSample, emptyWindow, endHeads, type Sample, type SampleWindow } from '../samples.ts';
import { probeUpstream } from './attempts.ts';
import { createFollowers, type Followers } from './followers.ts';
import { createGather, type Gather } from './gather.ts';
import { DUE_RATIO } from './pace.ts';
import { PROTOCOLS } from './protocols.ts';
import { Seldom } from './seldom.ts';

export interface ProberOptions {
  readonly config: Pick<NetworkConfig, 'protocol' | 'maxLagBlocks'>;
  readonly probe: ProbeConfig;
  readonly fetcherOf: (upstream: LocatedUpstream) => Promise<Fetcher>;
  /** Until when an upstream is left alone, because it asked for that, epoch ms. */
  readonly retryAt: (upstream: string) => number;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly random: () => number;
  /** Resolves early at the end, or when a signal of its own says so. */
  readonly pause: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly redact: Redact;
  readonly onSample: (upstream: string, sample: Sample, durationMs: number) => void;
  /** The upstream told of a head by itself. */
  readonly onPushed: (upstream: string, at: number) => void;
}

/** The probes that began together. */
export interface Round {
  /** Resolves when every sample is in of those that succeeded last time or were never probed. */
  readonly expected: Promise<void>;
  /** Resolves when every sample is in. */
  readonly whole: Promise<void>;
  /** Resolves when the next sample is in. */
  next(): Promise<void>;
  isWhole(): boolean;
}

export interface Prober {
  readonly windows: ReadonlyMap<string, SampleWindow>;
  /** When the probe of this upstream began that goes on; null: none does. */
  runningSince(id: string): number | null;
  /** Whether the last round left it out because it asked for that. */
  isLeftAlone(id: string): boolean;
  /**
   * Probes those of the upstreams that are due, and forgets all others. One whose last probe still goes on is left
   * alone: it is not started twice.
   */
  start(upstreams: readonly LocatedUpstream[]): Round;
  /** Whether upstreams tell of new heads by themselves before the other has resolved. */
  hearsBefore(other: Promise<unknown>): Promise<boolean>;
  /** Resolves when no probe goes on and nobody is listened to. */
  idle(): Promise<void>;
}

export function createProber(options: ProberOptions): Prober {
  return new LiveProber(options);
}

class LiveProber implements Prober {
  readonly windows = new Map<string, SampleWindow>();
  readonly #options: ProberOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #lastStartedAt = new Map<string, number>();
  #leftAlone: ReadonlySet<string> = new Set();
  readonly #seldom: Seldom;
  readonly #news: Gather;
  readonly #followers: Followers;

  constructor(options: ProberOptions) {
    const { config, probe, now, pause } = options;
    this.#options = options;
    this.#seldom = new Seldom(now, probe.maxPerMinute !== null);
    this.#news = createGather(now, pause);
    this.#followers = createFollowers({
      ...{ ...options, protocol: config.protocol, timeoutMs: probe.timeout },
      onHead: (id, head) => this.#onHead(id, head),
      onEnd: (id) => this.#onEnd(id),
    });
  }

  start(upstreams: readonly LocatedUpstream[]): Round {
    const ids = new Set(upstreams.map(({ id }) => id));
    for (const id of this.#lastStartedAt.keys()) if (!ids.has(id)) this.#forget(id);
    this.#followers.keep(upstreams);
    const { now, retryAt } = this.#options;
    const isWaiting = (id: string) => !this.#running.has(id) && now() < retryAt(id);
    this.#leftAlone = new Set([...ids].filter(isWaiting));
    const due = upstreams.filter((upstream) => !upstream.disabled && this.#isDue(upstream));
    return roundOf(due.map((upstream) => this.#begin(upstream)));
  }

  hearsBefore(other: Promise<unknown>): Promise<boolean> {
    return this.#news.before(other);
  }

  runningSince(id: string): number | null {
    return this.#running.has(id) ? (this.#lastStartedAt.get(id) ?? null) : null;
  }

  isLeftAlone(id: string): boolean {
    return this.#leftAlone.has(id);
  }

  async idle(): Promise<void> {
    await Promise.all([...this.#running.values(), this.#followers.idle()]);
  }

  #isDue({ id }: LocatedUpstream): boolean {
    const { now, probe } = this.#options;
    if (this.#running.has(id) || this.#leftAlone.has(id)) return false;
    const startedAt = this.#lastStartedAt.get(id);
    return startedAt === undefined || now() - startedAt >= probe.interval * DUE_RATIO;
  }

  #forget(id: string): void {
    this.#lastStartedAt.delete(id);
    this.#seldom.forget(id);
    this.windows.delete(id);
  }

  #begin(upstream: LocatedUpstream): Begun {
    const { id } = upstream;
    const last = this.windows.get(id)?.newest ?? null;
    this.#lastStartedAt.set(id, this.#options.now());
    const ended = this.#probe(upstream);
    this.#running.set(id, ended);
    return { ended, isExpected: last === null || last.failure === null };
  }

  async #probe(upstream: LocatedUpstream): Promise<void> {
    const { config, probe, signal, now, onSample } = this.#options;
    const { id } = upstream;
    const startedAt = now();
    const told = this.windows.get(id)?.told ?? null;
    const sample = await this.#sampleOf(upstream);
    this.#running.delete(id);
    // A probe that we ended ourselves says nothing about the upstream, and one that is gone is nobody's any more.
    if (signal.aborted || !this.#lastStartedAt.has(id)) return;
    if (sample.failure === null && sample.facts) this.#seldom.described(id, startedAt);
    const patience = { blocks: config.maxLagBlocks, ms: probe.timeout };
    const window = this.windows.get(id) ?? emptyWindow;
    this.windows.set(id, addSample(window, sample, { startedAt, told, patience }));
    if (sample.failure === null && sample.head) this.#followers.polled(upstream, sample.head);
    onSample(id, sample, now() - startedAt);
  }

  async #sampleOf(upstream: LocatedUpstream): Promise<Sample> {
    const { config, fetcherOf, redact, now } = this.#options;
    try {
      const fetcher = await fetcherOf(upstream);
      const describe = this.#seldom.describes(upstream.id);
      const batches = this.#seldom.batchesOf(upstream.id);
      const context = { ...this.#options, fetcher, describe, batches };
      return await probeUpstream(PROTOCOLS[config.protocol], upstream, context);
    } catch (error) {
      // Such as a certificate that the runtime cannot read.
      return { failure: 'unreachable', sampledAt: now(), detail: foreignText(errorText(error), redact) };
    }
  }

  #onHead(id: string, head: Head): void {
    const { now, onPushed } = this.#options;
    const window = this.windows.get(id);
    if (!window) return;
    onPushed(id, now());
    const next = addHead(window, head, now());
    this.windows.set(id, next);
    if (window.headNumber !== next.headNumber) this.#news.tell();
  }

  #onEnd(id: string): void {
    const window = this.windows.get(id);
    if (window) this.windows.set(id, endHeads(window, this.#options.now()));
  }
}

/** A probe that goes on. */
interface Begun {
  readonly ended: Promise<void>;
  /** The last one succeeded, or there was none. */
  readonly isExpected: boolean;
}

function roundOf(probes: readonly Begun[]): Round {
  let missing = probes.length;
  const waiting: (() => void)[] = [];
  const counted = probes.map(async ({ ended }) => {
    await ended;
    missing--;
    for (const resolve of waiting.splice(0)) resolve();
  });
  const expected = counted.filter((_, at) => probes[at]?.isExpected);
  return {
    expected: Promise.all(expected).then(() => {}),
    whole: Promise.all(counted).then(() => {}),
    next: () => new Promise((resolve) => waiting.push(resolve)),
    isWhole: () => missing === 0,
  };
}
