// THE CONTROL PATH of one network, while its lease is held: probe -> rank -> publish, and again; a new head that an upstream
// tells of by itself is ranked and published at once.
// Must not know: how a lease is won or kept, metrics, HTTP serving.
import { setTimeout as pause } from 'node:timers/promises';
import type {
  Lease,
  LocatedUpstream,
  Log,
  Names,
  NetworkConfig,
  ProbeConfig,
  Ranking,
  RankingDraft,
  Redact,
  Store,
} from '@rpc-balancer/shared';
import { createBudgets } from './budgets.ts';
import { createLoads, type Loads } from './probes/loads.ts';
import { DUE_RATIO, jittered, paced } from './probes/pace.ts';
import { createProber, type Prober, type Round } from './probes/prober.ts';
import { PROTOCOLS } from './probes/protocols.ts';
import { lastRanking, publish } from './publish.ts';
import { type RankInput, rank } from './rank.ts';
import { reachedOf } from './reach.ts';
import type { Fetcher } from './runtime.ts';
import type { Sample } from './samples.ts';

export interface CycleOptions {
  readonly network: string;
  readonly config: NetworkConfig;
  readonly probe: ProbeConfig;
  readonly names: Names;
  readonly configHash: string;
  readonly publisher: string;
  readonly rankingMaxAgeMs: number;
  readonly store: Store;
  readonly fetcherOf: (upstream: LocatedUpstream) => Promise<Fetcher>;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Log;
  readonly redact: Redact;
  readonly onSample: (upstream: string, sample: Sample, durationMs: number) => void;
  /** @param problem why there is no load; null for a good one */
  readonly onLoad: (upstream: string, problem: string | null) => void;
  readonly onPushed: (upstream: string, at: number) => void;
  readonly onPublished: (ranking: Ranking) => void;
}

/** One time of holding the lease. */
export interface Tenure {
  readonly lease: Lease;
  /** By the holder's own clock: true only while nobody else can have the lease. */
  readonly isHeld: () => boolean;
  readonly signal: AbortSignal;
  /** Looks whether there is a sidecar to hand over to. */
  readonly hasHeir: () => Promise<boolean>;
  /** Rises by one with each publication under the lease, also over cycles that follow each other. */
  readonly nextSeq: () => number;
}

/** `over`: the tenure ended. `fenced`: the store refused us. `hand_over`: another sidecar may see more than we do. */
export type CycleEnd = 'over' | 'fenced' | 'hand_over';

/** What a ranking is made of. */
type Known = Pick<RankInput, 'upstreams' | 'settled'> & { readonly prober: Prober; readonly loads: Loads };

/** How long those may take that are not waited for, after those that are. */
const GRACE_MS = 50;

/** In the first round nobody is judged before who was not heard, and those who were decide nothing alone, also where probes are more frequent. */
const SETTLE_MIN_MS = 1000;

/** A ranking is published at least so many times in its life, so that two lost publications do not make it stale. */
const PUBLICATIONS_PER_AGE = 3;

/** Makes the function that probes and publishes during one tenure. What it learned outlives the tenure. */
export function createCycle(options: CycleOptions): (tenure: Tenure) => Promise<CycleEnd> {
  const { network, config, names, configHash, publisher, now, random } = options;
  const probe = paced(options.probe, PROTOCOLS[config.protocol].callsMax);
  const periodMs = Math.min(probe.interval, options.rankingMaxAgeMs / PUBLICATIONS_PER_AGE);
  // A good sample counts while the next probe may still be on its way.
  const freshMs = Math.max(3 * probe.interval, probe.interval + probe.timeout);
  // By the end of its round, a little early or late.
  const overdueMs = Math.max(SETTLE_MIN_MS, probe.interval * DUE_RATIO);
  const budgets = createBudgets(options);
  const onSample: CycleOptions['onSample'] = (upstream, sample, durationMs) => {
    budgets.probed(upstream, sample.failure);
    options.onSample(upstream, sample, durationMs);
  };
  let last: RankingDraft | null = null;
  let isAlone = false; // It was found that nobody else can look, so what we see is said.

  /** Ranks and publishes what is known now; gives why the tenure has to end, or null. */
  async function tell(
    { lease, isHeld, hasHeir, nextSeq }: Tenure,
    { prober, loads, ...known }: Known,
  ): Promise<CycleEnd | null> {
    if (!isHeld()) return 'over';
    const freshSince = now() - freshMs;
    const draft = rank({
      ...{ network, config, configHash, publisher, past: last },
      ...known,
      windows: prober.windows,
      loads: loads.since(freshSince),
      budgets: budgets.of(known.upstreams.map(({ id }) => id)),
      now: now(),
      freshSince,
      lookMs: probe.interval,
    });
    const reached = reachedOf(draft.upstreams, prober, now() - overdueMs);
    if (reached === 'none' && (await hasHeir())) return 'hand_over';
    if (reached === 'unknown' && !isAlone) return null;
    isAlone = reached !== 'some';
    if (!isHeld()) return 'over';
    logChanges(options, last, draft);
    last = draft;
    const result = await publish(options, lease, { ...draft, epoch: lease.epoch, seq: nextSeq() });
    return result === 'fenced' ? 'fenced' : null;
  }

  return async function cycle(tenure) {
    const { isHeld, signal } = tenure;
    const ending = new AbortController();
    const ended = AbortSignal.any([signal, ending.signal]);
    const rest = (ms: number, until = ended) =>
      pause(Math.max(0, ms), undefined, { signal: until }).catch(() => {});
    const { fetcherOf, retryAt } = budgets;
    const prober = createProber({
      ...{ ...options, probe, fetcherOf, retryAt, onSample },
      ...{ signal: ended, pause: rest },
    });
    const loads = createLoads({ ...options, intervalMs: options.probe.interval, signal: ended });
    let upstreams = names.upstreams();
    let settled = false;
    const tellNow = () => tell(tenure, { upstreams, settled, prober, loads });

    /** Whenever an upstream tells of a new head by itself, until there is something else to do. */
    async function tellHeadsUntil(other: Promise<void>): Promise<CycleEnd | null> {
      let isDue = false;
      void other.then(() => {
        isDue = true;
      });
      while (!isDue && (await prober.hearsBefore(other))) {
        const end = await tellNow();
        if (end !== null) return end;
      }
      return null;
    }

    try {
      last = (await lastRanking(options)) ?? last;
      settled = last !== null;
      isAlone = false;
      await Promise.race([names.refresh(now()), rest(periodMs)]);
      while (isHeld()) {
        const beganAt = now();
        const endsAt = beganAt + jittered(periodMs, random);
        const isKnown = settled && prober.windows.size > 0;
        const decidesAt = isKnown ? endsAt : Math.max(endsAt, beganAt + SETTLE_MIN_MS);
        void names.refresh(now());
        upstreams = names.upstreams();
        const round = prober.start(upstreams);
        loads.start(upstreams);
        budgets.refresh();
        do {
          const early = await tellHeadsUntil(
            untilAnswered(round, settled, () => rest(decidesAt - now()), rest),
          );
          settled ||= round.isWhole() || now() >= decidesAt;
          const end = early ?? (await tellNow());
          if (end !== null) return end;
        } while (!settled);
        const end = await tellHeadsUntil(rest(endsAt - now()));
        if (end !== null) return end;
      }
      return 'over';
    } finally {
      ending.abort();
      await Promise.all([prober.idle(), loads.idle(), budgets.idle()]);
    }
  };
}

/**
 * Until the whole round is in, never longer than the period: a slow probe goes on, and its sample comes into a later
 * ranking. Not waited for are the upstreams that failed last time, and on a fresh start all but the first answers.
 */
async function untilAnswered(
  round: Round,
  settled: boolean,
  periodEnds: () => Promise<void>,
  rest: (ms: number) => Promise<void>,
): Promise<void> {
  await Promise.race([settled ? round.expected : round.next(), round.whole, periodEnds()]);
  await Promise.race([round.whole, rest(GRACE_MS)]);
}

function logChanges({ log, network }: CycleOptions, before: RankingDraft | null, after: RankingDraft): void {
  const reasons = new Map(before?.upstreams.map(({ id, reason }) => [id, reason]));
  for (const { id, reason } of after.upstreams) {
    const was = reasons.get(id) ?? null;
    if (was !== reason) log.info({ network, upstream: id, reason, was }, 'the reason of an upstream changed');
  }
  const { stalledSince } = after;
  const fields = { network, head: after.head?.number };
  if (stalledSince !== undefined && before?.stalledSince === undefined) {
    log.warn({ ...fields, stalledSince }, 'the network has no new block though several were due; serving on');
  } else if (stalledSince === undefined && before?.stalledSince !== undefined) {
    log.info(fields, 'the network has new blocks again');
  }
}
