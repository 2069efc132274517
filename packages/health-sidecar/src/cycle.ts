// THE CONTROL PATH of one network, while its lease is held: probe -> rank -> publish, and again; a new head that an upstream
// tells of by itself is ranked and published at once.
// Must not know: how a lease is won or kept, metrics, HTTP serving.
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
import { type Budgets, createBudgets } from './budgets.ts';
import { logChanges } from './changes.ts';
import { createLoads, type Loads } from './probes/loads.ts';
import { jittered, type Pace, paceOf, SETTLE_MIN_MS } from './probes/pace.ts';
import { createProber, type Prober, type Round } from './probes/prober.ts';
import { PROTOCOLS } from './probes/protocols.ts';
import { lastRanking, publish } from './publish.ts';
import { rank } from './rank.ts';
import { reachedOf } from './reach.ts';
import { type Fetcher, rest } from './runtime.ts';
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

/** How long those may take that are not waited for, after those that are. */
const GRACE_MS = 50;

/** What outlives a tenure. */
interface Lasting {
  readonly pace: Pace;
  readonly budgets: Budgets;
  /** The last ranking, ours or that of the publisher before us. */
  past: RankingDraft | null;
}

/** Makes the function that probes and publishes during one tenure. What it learned outlives the tenure. */
export function createCycle(options: CycleOptions): (tenure: Tenure) => Promise<CycleEnd> {
  const { config, probe, rankingMaxAgeMs } = options;
  const pace = paceOf(probe, { callsMax: PROTOCOLS[config.protocol].callsMax, rankingMaxAgeMs });
  const lasting: Lasting = { pace, budgets: createBudgets(options), past: null };
  return (tenure) => new Cycle(options, lasting, tenure).run();
}

class Cycle {
  readonly #options: CycleOptions;
  readonly #lasting: Lasting;
  readonly #tenure: Tenure;
  readonly #ending = new AbortController();
  readonly #ended: AbortSignal;
  readonly #prober: Prober;
  readonly #loads: Loads;
  #upstreams: readonly LocatedUpstream[] = [];
  /** Who was not heard may be judged. */
  #settled = false;
  /** It was found that nobody else can look, so what we see is said. */
  #isAlone = false;

  constructor(options: CycleOptions, lasting: Lasting, tenure: Tenure) {
    const { pace, budgets } = lasting;
    this.#options = options;
    this.#lasting = lasting;
    this.#tenure = tenure;
    this.#ended = AbortSignal.any([tenure.signal, this.#ending.signal]);
    const { fetcherOf, retryAt } = budgets;
    this.#prober = createProber({
      ...{ ...options, probe: pace.probe, fetcherOf, retryAt },
      ...{ signal: this.#ended, pause: this.#rest },
      onSample(upstream, sample, durationMs) {
        budgets.probed(upstream, sample.failure);
        options.onSample(upstream, sample, durationMs);
      },
    });
    this.#loads = createLoads({ ...options, intervalMs: options.probe.interval, signal: this.#ended });
  }

  async run(): Promise<CycleEnd> {
    const { names, now } = this.#options;
    try {
      this.#lasting.past = (await lastRanking(this.#options)) ?? this.#lasting.past;
      this.#settled = this.#lasting.past !== null;
      await Promise.race([names.refresh(now()), this.#rest(this.#lasting.pace.periodMs)]);
      while (this.#tenure.isHeld()) {
        const end = await this.#round();
        if (end !== null) return end;
      }
      return 'over';
    } finally {
      this.#ending.abort();
      await Promise.all([this.#prober.idle(), this.#loads.idle(), this.#lasting.budgets.idle()]);
    }
  }

  /** Probes, and tells what came of it, for one period; gives why the tenure has to end, or null. */
  async #round(): Promise<CycleEnd | null> {
    const { names, now, random } = this.#options;
    const { pace, budgets } = this.#lasting;
    const beganAt = now();
    const endsAt = beganAt + jittered(pace.periodMs, random);
    const isKnown = this.#settled && this.#prober.windows.size > 0;
    const decidesAt = isKnown ? endsAt : Math.max(endsAt, beganAt + SETTLE_MIN_MS);
    void names.refresh(now());
    this.#upstreams = names.upstreams();
    const round = this.#prober.start(this.#upstreams);
    this.#loads.start(this.#upstreams);
    budgets.refresh();
    do {
      const answered = this.#untilAnswered(round, decidesAt);
      // Where nobody was heard yet, the first to tell would decide alone.
      const early = isKnown ? await this.#tellHeadsUntil(answered) : await answered.then(() => null);
      this.#settled ||= round.isWhole() || now() >= decidesAt;
      const end = early ?? (await this.#tell());
      if (end !== null) return end;
    } while (!this.#settled);
    return this.#tellHeadsUntil(this.#rest(endsAt - now()));
  }

  /** Ranks and publishes what is known now. */
  async #tell(): Promise<CycleEnd | null> {
    const { lease, isHeld, hasHeir, nextSeq } = this.#tenure;
    if (!isHeld()) return 'over';
    const draft = this.#rank();
    const overdueSince = this.#options.now() - this.#lasting.pace.overdueMs;
    const reached = reachedOf(draft.upstreams, this.#prober, overdueSince);
    if (reached === 'none' && (await hasHeir())) return 'hand_over';
    if (reached === 'unknown' && !this.#isAlone) return null;
    this.#isAlone = reached !== 'some';
    if (!isHeld()) return 'over';
    logChanges(this.#options, this.#lasting.past, draft);
    this.#lasting.past = draft;
    const result = await publish(this.#options, lease, { ...draft, epoch: lease.epoch, seq: nextSeq() });
    return result === 'fenced' ? 'fenced' : null;
  }

  #rank(): RankingDraft {
    const { network, config, configHash, publisher, now } = this.#options;
    const { pace, budgets, past } = this.#lasting;
    const freshSince = now() - pace.freshMs;
    return rank({
      ...{ network, config, configHash, publisher, past },
      upstreams: this.#upstreams,
      settled: this.#settled,
      windows: this.#prober.windows,
      loads: this.#loads.since(freshSince),
      budgets: budgets.of(this.#upstreams.map(({ id }) => id)),
      now: now(),
      freshSince,
      lookMs: pace.probe.interval,
    });
  }

  /** Whenever an upstream tells of a new head by itself, until there is something else to do. */
  async #tellHeadsUntil(other: Promise<void>): Promise<CycleEnd | null> {
    let isDue = false;
    void other.then(() => {
      isDue = true;
    });
    while (!isDue && (await this.#prober.hearsBefore(other))) {
      const end = await this.#tell();
      if (end !== null) return end;
    }
    return null;
  }

  /**
   * Until the whole round is in, never longer than the period: a slow probe goes on, and its sample comes into a later
   * ranking. Not waited for are the upstreams that failed last time, and on a fresh start all but the first answers.
   */
  async #untilAnswered(round: Round, decidesAt: number): Promise<void> {
    const answered = this.#settled ? round.expected : round.next();
    await Promise.race([answered, round.whole, this.#rest(decidesAt - this.#options.now())]);
    await Promise.race([round.whole, this.#rest(GRACE_MS)]);
  }

  readonly #rest = (ms: number, until = this.#ended): Promise<void> => rest(ms, until);
}
