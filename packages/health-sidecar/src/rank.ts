// Decides: the ranking of a network's upstreams: one reason each, a score, their order, the network's identity and head.
// Must not know: how samples come or where the ranking goes; `now` is handed in.
import type {
  Budget,
  LocatedUpstream,
  NetworkConfig,
  RankedUpstream,
  Ranking,
  RankingDraft,
  Reason,
} from '@rpc-balancer/shared';
import { agreeOnHead, byVoter, type Candidate, type HeadResult, majorityOf, stalledSince } from './head.ts';
import { knownLag } from './lag.ts';
import {
  currentSample,
  emptyWindow,
  errorRatio,
  type GoodSample,
  latencyPercentile,
  type Sample,
  type SampleWindow,
  unseenMs,
} from './samples.ts';

export interface RankInput {
  readonly network: string;
  readonly config: Pick<NetworkConfig, 'identity' | 'maxLagBlocks'>;
  /** In the order of the configuration. */
  readonly upstreams: readonly Pick<LocatedUpstream, 'id' | 'voter' | 'disabled'>[];
  readonly configHash: string;
  readonly publisher: string;
  /** By upstream id. */
  readonly windows: ReadonlyMap<string, SampleWindow>;
  /** By upstream id, as far as they are known. */
  readonly loads: ReadonlyMap<string, number>;
  readonly budgets: ReadonlyMap<string, Budget>;
  /** The last ranking, ours or that of the publisher before us. */
  readonly past: RankingDraft | Ranking | null;
  /** Whether every upstream had its time to answer; before that, few voices decide neither head nor identity. */
  readonly settled: boolean;
  readonly now: number;
  /** A sample from before this instant counts no more. */
  readonly freshSince: number;
  /** From one probe of an upstream to the next. */
  readonly lookMs: number;
}

/** What is known of one upstream at this instant. */
interface View {
  readonly id: string;
  /** Addresses of one name share it, and with it one vote. */
  readonly voter: string;
  readonly disabled: boolean;
  readonly window: SampleWindow;
  readonly sample: Sample | null;
  readonly identity: string | null;
  /** For how long nobody has looked. */
  readonly unseenMs: number;
  /** In the last ranking. */
  readonly lagBefore: number | null;
}

/** Whether those that were heard may decide. */
type Enough = (heard: readonly { readonly voter: string }[]) => boolean;

/** A probe that takes this long halves the score. */
const HALF_SCORE_MS = 1000;

export function rank(input: RankInput): RankingDraft {
  const { past } = input;
  const before = new Map(past?.upstreams.map((upstream) => [upstream.id, upstream]));
  const views = input.upstreams.map((upstream) => viewOf(upstream, input, before.get(upstream.id)));
  const enabled = views.filter((view) => !view.disabled);
  const configuredCount = byVoter(enabled).length;
  const enough: Enough = (heard) =>
    input.settled ||
    (heard.length >= majorityOf(enabled.length) && byVoter(heard).length >= majorityOf(configuredCount));
  const identity = identityOf(input, enabled, enough);
  const candidates = enabled.flatMap((view) => candidateOf(view, identity));
  const result = agreeOnHead({
    configuredCount,
    candidates: enough(candidates) ? candidates : [],
    past: past?.head ?? null,
    blockIntervalMs: past?.blockIntervalMs ?? null,
    maxLagBlocks: input.config.maxLagBlocks,
    now: input.now,
  });
  const stalled = stalledSince(result, input);
  const headUnseenMs = Math.min(...candidates.map(({ unseenMs }) => unseenMs));
  const upstreams = views.map((view) => ({
    ...rankedOf(view, identity, { ...result, headUnseenMs }, input),
    load: input.loads.get(view.id) ?? null,
    budget: input.budgets.get(view.id) ?? null,
  }));
  return {
    version: 1,
    network: input.network,
    publisher: input.publisher,
    generatedAt: input.now,
    configHash: input.configHash,
    identity,
    head: result.head ?? (past?.head && !isHeadless(enabled) ? { ...past.head, confirmations: 0 } : null),
    finalized: finalizedOf(candidates, enabled, result) ?? past?.finalized ?? null,
    blockIntervalMs: result.blockIntervalMs,
    ...(stalled !== null && { stalledSince: stalled }),
    upstreams: upstreams.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1)),
  };
}

/** With nobody left to ask, the last agreed head stays: the next one is measured against it. A network without heads drops it. */
function isHeadless(enabled: readonly View[]): boolean {
  const heads = enabled.flatMap(({ sample }) => (isGood(sample) ? [sample.head] : []));
  return heads.length > 0 && heads.every((head) => head === null);
}

function viewOf(
  { id, voter, disabled }: RankInput['upstreams'][number],
  input: RankInput,
  before: RankedUpstream | undefined,
): View {
  const window = input.windows.get(id) ?? emptyWindow;
  const sample = currentSample(window, input.freshSince);
  // An upstream of another chain stays one for the next publisher, until it says what it is.
  const identity = window.identity ?? (before?.reason === 'wrong_chain' ? FOREIGN : null);
  return {
    ...{ id, voter, disabled, window, sample, identity, lagBefore: before?.lagBlocks ?? null },
    unseenMs: unseenMs(window, sample, input.now),
  };
}

/** Stands for an identity of which we know only that it was not the network's. */
const FOREIGN = '';

/** Configured; else that of the last ranking, unless a majority says otherwise; else what most say. */
function identityOf(input: RankInput, enabled: readonly View[], enough: Enough) {
  if (input.config.identity !== undefined) return input.config.identity;
  const voters = byVoter(enabled);
  const said = voters.flatMap((views) => mostSaid(views.flatMap(saidBy)) ?? []);
  const most = mostSaid(said);
  const sticky = input.past?.identity ?? null;
  if (most === undefined) return sticky;
  const votes = said.filter((identity) => identity === most).length;
  if (sticky !== null) return votes >= majorityOf(voters.length) ? most : sticky;
  return enough(enabled.filter((view) => saidBy(view).length > 0)) ? most : null;
}

function saidBy({ sample }: View): string[] {
  return isGood(sample) && sample.identity !== null ? [sample.identity] : [];
}

/** Of equals the first. */
function mostSaid(identities: readonly string[]): string | undefined {
  const votesFor = (identity: string) => identities.filter((other) => other === identity).length;
  return identities.toSorted((a, b) => votesFor(b) - votesFor(a))[0];
}

function candidateOf(view: View, identity: string | null): Candidate[] {
  const { id, voter, sample, window } = view;
  if (!isGood(sample) || sample.head === null || sample.syncing || isForeign(view, identity)) return [];
  const { standsSince, moves } = window;
  return [
    {
      id,
      voter,
      head: sample.head,
      sampledAt: sample.sampledAt,
      standsSince: standsSince ?? sample.sampledAt,
      moves,
      unseenMs: view.unseenMs,
    },
  ];
}

function rankedOf(
  view: View,
  identity: string | null,
  result: HeadResult & { readonly headUnseenMs: number },
  { config: { maxLagBlocks }, past, now }: RankInput,
): Omit<RankedUpstream, 'load' | 'budget'> {
  const { id, sample, window } = view;
  const good = isGood(sample) ? sample : null;
  const foreign = isForeign(view, identity);
  const behindBlocks = good?.head && result.head && !foreign ? result.head.number - good.head.number : null;
  const sinceBeforeMs = past && now - past.generatedAt;
  const lagBlocks =
    behindBlocks === null ? null : knownLag({ ...view, ...result, behindBlocks, sinceBeforeMs });
  const reason = foreign ? 'wrong_chain' : reasonOf(view, result, lagBlocks, maxLagBlocks);
  const latencyP50Ms = latencyPercentile(window, 50);
  const ratio = errorRatio(window);
  const near = 1 - (lagBlocks ?? 0) / (2 * (maxLagBlocks + 1)); // The furthest that is allowed costs half.
  const score = (1 - ratio) * near * (HALF_SCORE_MS / (HALF_SCORE_MS + (latencyP50Ms ?? 0)));
  return {
    id,
    reason: view.disabled ? 'disabled' : reason,
    head: good?.head ?? null,
    finalized: good && window.finalized,
    lagBlocks,
    latencyP50Ms,
    latencyP95Ms: latencyPercentile(window, 95),
    errorRatio: ratio,
    score: view.disabled || reason !== null ? 0 : score,
    ...(window.restartedAt !== null && { restartedAt: window.restartedAt }),
  };
}

/** What speaks against an upstream of the right chain; the first that applies. */
function reasonOf(
  { id, sample }: View,
  result: HeadResult,
  lagBlocks: number | null,
  maxLagBlocks: number,
): Reason | null {
  if (sample === null) return 'unprobed';
  if (!isGood(sample)) return sample.failure;
  if (sample.syncing) return 'syncing';
  if (sample.lonely) return 'no_peers';
  const { suspectAbove } = result;
  if (suspectAbove !== null && sample.head !== null && sample.head.number > suspectAbove) return 'suspect';
  if (result.standing.has(id) && lagBlocks !== 0) return 'stalled';
  return lagBlocks !== null && lagBlocks > maxLagBlocks ? 'lagging' : null;
}

/** What most of the voters that know of finality have reached, and of each voter most of its addresses; of two the lower. */
function finalizedOf(
  candidates: readonly Candidate[],
  enabled: readonly View[],
  { head, standing }: HeadResult,
): number | null {
  const voting = new Set(candidates.map(({ id }) => id).filter((id) => !standing.has(id)));
  const numberOf = ({ id, sample, window }: View) =>
    voting.has(id) && isGood(sample) ? (window.finalized ?? []) : [];
  const votes = byVoter(enabled).flatMap((views) => {
    const numbers = views.flatMap(numberOf).filter((number) => head !== null && number <= head.number);
    return reachedByMost(numbers) ?? [];
  });
  return reachedByMost(votes);
}

function reachedByMost(numbers: readonly number[]): number | null {
  return numbers.toSorted((a, b) => b - a)[majorityOf(numbers.length) - 1] ?? null;
}

function isForeign({ identity }: View, expected: string | null): boolean {
  return expected !== null && identity !== null && identity !== expected;
}

function isGood(sample: Sample | null): sample is GoodSample {
  return sample?.failure === null;
}
