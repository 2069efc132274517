// Decides: the ranking of a network's upstreams: one reason each, a score, their order, the network's identity and head.
// Must not know: how samples come or where the ranking goes; `now` is handed in.
import type { NetworkConfig, RankedUpstream, Ranking, RankingDraft, Reason } from '@rpc-balancer/shared';
import { agreeOnHead, type Candidate, type HeadResult, majorityOf } from './head.ts';
import {
  currentSample,
  emptyWindow,
  errorRatio,
  type GoodSample,
  latencyPercentile,
  type Sample,
  type SampleWindow,
} from './samples.ts';

export interface RankInput {
  readonly network: string;
  readonly config: Pick<NetworkConfig, 'identity' | 'maxLagBlocks' | 'upstreams'>;
  readonly configHash: string;
  readonly publisher: string;
  /** By upstream id. */
  readonly windows: ReadonlyMap<string, SampleWindow>;
  /** The last ranking, ours or that of the publisher before us. */
  readonly past: RankingDraft | Ranking | null;
  /** Whether every upstream had its time to answer; before that, few voices decide neither head nor identity. */
  readonly settled: boolean;
  readonly now: number;
  /** A sample from before this instant counts no more. */
  readonly freshSince: number;
}

/** What is known of one upstream at this instant. */
interface View {
  readonly id: string;
  readonly disabled: boolean;
  readonly window: SampleWindow;
  readonly sample: Sample | null;
  readonly identity: string | null;
}

/** A probe that takes this long halves the score. */
const HALF_SCORE_MS = 1000;

export function rank(input: RankInput): RankingDraft {
  const views = input.config.upstreams.map((upstream) => viewOf(upstream, input));
  const enabled = views.filter((view) => !view.disabled);
  const enough = (count: number) => input.settled || count >= majorityOf(enabled.length);
  const identity = identityOf(input, enabled, enough);
  const candidates = enabled.flatMap((view) => candidateOf(view, identity));
  const { past } = input;
  const result = agreeOnHead({
    configuredCount: enabled.length,
    candidates: enough(candidates.length) ? candidates : [],
    past: past?.head ?? null,
    blockIntervalMs: past?.blockIntervalMs ?? null,
    maxLagBlocks: input.config.maxLagBlocks,
    now: input.now,
  });
  const upstreams = views.map((view) => rankedOf(view, identity, result, input.config.maxLagBlocks));
  return {
    version: 1,
    network: input.network,
    publisher: input.publisher,
    generatedAt: input.now,
    configHash: input.configHash,
    identity,
    // With nobody left to ask, the last agreed head stays: the next one is measured against it.
    head: result.head ?? (past?.head ? { ...past.head, confirmations: 0 } : null),
    finalized: finalizedOf(candidates, enabled, result) ?? past?.finalized ?? null,
    blockIntervalMs: result.blockIntervalMs,
    upstreams: upstreams.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1)),
  };
}

function viewOf({ id, disabled }: { id: string; disabled: boolean }, input: RankInput): View {
  const window = input.windows.get(id) ?? emptyWindow;
  const sample = currentSample(window, input.freshSince);
  const identity = window.samples.length === 0 ? foreignBefore(id, input) : window.identity;
  return { id, disabled, window, sample, identity };
}

/** An upstream of another chain stays one for the next publisher, until it is probed. */
function foreignBefore(id: string, { past }: RankInput): string | null {
  const before = past?.upstreams.find((upstream) => upstream.id === id);
  return before?.reason === 'wrong_chain' ? FOREIGN : null;
}

/** Stands for an identity of which we know only that it was not the network's. */
const FOREIGN = '';

/** Configured; else that of the last ranking, unless a majority says otherwise; else what most say. */
function identityOf(input: RankInput, enabled: readonly View[], enough: (count: number) => boolean) {
  if (input.config.identity !== undefined) return input.config.identity;
  const said = enabled.flatMap(({ sample }) => (isGood(sample) ? (sample.identity ?? []) : []));
  const votesFor = (identity: string) => said.filter((other) => other === identity).length;
  // A stable sort: of equals the first upstream in the configuration.
  const [most] = said.toSorted((a, b) => votesFor(b) - votesFor(a));
  const sticky = input.past?.identity ?? null;
  if (most === undefined) return sticky;
  if (sticky !== null) return votesFor(most) >= majorityOf(enabled.length) ? most : sticky;
  return enough(said.length) ? most : null;
}

function candidateOf(view: View, identity: string | null): Candidate[] {
  const { id, sample, window } = view;
  if (!isGood(sample) || sample.syncing || isForeign(view, identity)) return [];
  const { standsSince, moves } = window;
  return [
    {
      id,
      head: sample.head,
      sampledAt: sample.sampledAt,
      standsSince: standsSince ?? sample.sampledAt,
      moves,
    },
  ];
}

function rankedOf(
  view: View,
  identity: string | null,
  result: HeadResult,
  maxLagBlocks: number,
): RankedUpstream {
  const { id, sample, window } = view;
  const good = isGood(sample) ? sample : null;
  const foreign = isForeign(view, identity);
  const lagBlocks =
    good && result.head && !foreign ? Math.max(0, result.head.number - good.head.number) : null;
  const reason = foreign ? 'wrong_chain' : reasonOf(view, result, lagBlocks, maxLagBlocks);
  const latencyP50Ms = latencyPercentile(window, 50);
  const ratio = errorRatio(window);
  const near = 1 - (lagBlocks ?? 0) / (2 * (maxLagBlocks + 1)); // The furthest that is allowed costs half.
  const score = (1 - ratio) * near * (HALF_SCORE_MS / (HALF_SCORE_MS + (latencyP50Ms ?? 0)));
  return {
    id,
    reason: view.disabled ? 'disabled' : reason,
    head: good?.head ?? null,
    finalized: good?.finalized ?? null,
    lagBlocks,
    latencyP50Ms,
    latencyP95Ms: latencyPercentile(window, 95),
    errorRatio: ratio,
    score: view.disabled || reason !== null ? 0 : score,
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
  if (!isGood(sample)) return sample.failure === 'throttled' ? 'probe_failed' : sample.failure;
  if (sample.syncing) return 'syncing';
  if (result.suspectAbove !== null && sample.head.number > result.suspectAbove) return 'suspect';
  if (result.standing.has(id) && lagBlocks !== 0) return 'stalled';
  return lagBlocks !== null && lagBlocks > maxLagBlocks ? 'lagging' : null;
}

/** What most of the voters that know of finality have reached; of two the lower. */
function finalizedOf(
  candidates: readonly Candidate[],
  enabled: readonly View[],
  { head, standing }: HeadResult,
): number | null {
  const voters = new Set(candidates.map(({ id }) => id).filter((id) => !standing.has(id)));
  const numbers = enabled
    .flatMap(({ id, sample }) => (voters.has(id) && isGood(sample) ? (sample.finalized ?? []) : []))
    .filter((number) => head !== null && number <= head.number)
    .sort((a, b) => b - a);
  return numbers[majorityOf(numbers.length) - 1] ?? null;
}

function isForeign({ identity }: View, expected: string | null): boolean {
  return expected !== null && identity !== null && identity !== expected;
}

function isGood(sample: Sample | null): sample is GoodSample {
  return sample?.failure === null;
}
