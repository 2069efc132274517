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
import { createFollowers } from './followers.ts';
import { createGather } from './gather.ts';
import { DUE_RATIO } from './pace.ts';
import type { Batches } from './protocol.ts';
import { PROTOCOLS } from './protocols.ts';

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

/** A runtime upgrade is seen within minutes, and the list of methods is long; batches may be let through again. */
const SELDOM_MS = 600_000;

export function createProber(options: ProberOptions): Prober {
  const { now, probe, signal } = options;
  const windows = new Map<string, SampleWindow>();
  const running = new Map<string, Promise<void>>();
  const lastStartedAt = new Map<string, number>();
  const describedAt = new Map<string, number>();
  const refusedBatchAt = new Map<string, number>();
  const news = createGather(now, options.pause);
  const { protocol } = options.config;
  const followers = createFollowers({ ...options, protocol, timeoutMs: probe.timeout, onHead, onEnd });
  const patience = { blocks: options.config.maxLagBlocks, ms: probe.timeout };

  function onHead(id: string, head: Head): void {
    const window = windows.get(id);
    if (!window) return;
    options.onPushed(id, now());
    const next = addHead(window, head, now());
    windows.set(id, next);
    if (window.headNumber !== next.headNumber) news.tell();
  }

  function onEnd(id: string): void {
    const window = windows.get(id);
    if (window) windows.set(id, endHeads(window, now()));
  }

  function isDue({ id }: LocatedUpstream): boolean {
    if (running.has(id) || now() < options.retryAt(id)) return false;
    const startedAt = lastStartedAt.get(id);
    return startedAt === undefined || now() - startedAt >= probe.interval * DUE_RATIO;
  }

  function forget(id: string): void {
    lastStartedAt.delete(id);
    describedAt.delete(id);
    refusedBatchAt.delete(id);
    windows.delete(id);
  }

  async function probeOne(upstream: LocatedUpstream): Promise<void> {
    const startedAt = now();
    const told = windows.get(upstream.id)?.told ?? null;
    const sample = await sampleOf(upstream);
    running.delete(upstream.id);
    // A probe that we ended ourselves says nothing about the upstream, and one that is gone is nobody's any more.
    if (signal.aborted || !lastStartedAt.has(upstream.id)) return;
    if (sample.failure === null && sample.facts) describedAt.set(upstream.id, startedAt);
    windows.set(
      upstream.id,
      addSample(windows.get(upstream.id) ?? emptyWindow, sample, { startedAt, told, patience }),
    );
    if (sample.failure === null && sample.head) followers.polled(upstream, sample.head);
    options.onSample(upstream.id, sample, now() - startedAt);
  }

  function isLongAgo(at = Number.NEGATIVE_INFINITY): boolean {
    return now() - at >= SELDOM_MS;
  }

  /** A batch that is refused costs calls, so there is none where these are counted. */
  function batchesOf(id: string): Batches {
    return {
      areRefused: () => probe.maxPerMinute !== null || !isLongAgo(refusedBatchAt.get(id)),
      refused: () => refusedBatchAt.set(id, now()),
    };
  }

  async function sampleOf(upstream: LocatedUpstream): Promise<Sample> {
    try {
      const fetcher = await options.fetcherOf(upstream);
      const protocol = PROTOCOLS[options.config.protocol];
      const describe = isLongAgo(describedAt.get(upstream.id));
      const batches = batchesOf(upstream.id);
      return await probeUpstream(protocol, upstream, { ...options, fetcher, describe, batches });
    } catch (error) {
      // Such as a certificate that the runtime cannot read.
      const detail = foreignText(errorText(error), options.redact);
      return { failure: 'unreachable', sampledAt: now(), detail };
    }
  }

  return {
    windows,
    runningSince: (id) => (running.has(id) ? (lastStartedAt.get(id) ?? null) : null),
    start(upstreams) {
      const ids = new Set(upstreams.map(({ id }) => id));
      for (const id of lastStartedAt.keys()) if (!ids.has(id)) forget(id);
      followers.keep(upstreams);
      const due = upstreams.filter((upstream) => !upstream.disabled && isDue(upstream));
      let missing = due.length;
      const waiting: (() => void)[] = [];
      const expected: Promise<void>[] = [];
      const probes = due.map((upstream) => {
        lastStartedAt.set(upstream.id, now());
        const ended = probeOne(upstream).then(() => {
          missing--;
          for (const resolve of waiting.splice(0)) resolve();
        });
        running.set(upstream.id, ended);
        const last = windows.get(upstream.id)?.newest ?? null;
        if (last === null || last.failure === null) expected.push(ended);
        return ended;
      });
      return {
        expected: Promise.all(expected).then(() => {}),
        whole: Promise.all(probes).then(() => {}),
        next: () => new Promise((resolve) => waiting.push(resolve)),
        isWhole: () => missing === 0,
      };
    },
    hearsBefore: news.before,
    async idle() {
      await Promise.all([...running.values(), followers.idle()]);
    },
  };
}
