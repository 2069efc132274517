// Decides: how it is told which upstream a call would go to, and why each of the others would not get it.
// Must not know: HTTP. It asks the same `pick` as the data path, on a copy, so that it cannot say anything else.
import { chainView, type MethodTraits, type Reason, type Tier, traitsOf } from '@rpc-balancer/shared';
import { behindOf, needOf } from '../balance/blocks.ts';
import { loadOf } from '../balance/member.ts';
import { isRefusal, preview, reasonsFor, type Wanted } from '../balance/pick.ts';
import { takerOf } from '../balance/read-back.ts';
import { standingOf } from '../balance/standing.ts';
import type { AttemptNote, Call } from '../upstream/call.ts';
import type { Exchange } from '../upstream/exchange.ts';
import type { Network } from '../upstream/network.ts';

/** What is asked about; without parameters it is of the latest block. */
export interface ExplainedCall {
  readonly method: string;
  readonly params?: unknown;
}

export interface ExplainedUpstream {
  readonly id: string;
  readonly tier: Tier;
  /** Why this call would not go there; `standby`: it could, but others come first. */
  readonly reason: Reason | null;
  /** What is compared between equals: attempts in flight over all replicas, and the weight that counts now. */
  readonly load: number;
  readonly share: number;
  readonly lagBlocks: number | null;
  readonly latencyP50Ms: number | null;
}

export interface Explanation {
  readonly network: string;
  readonly method: string;
  /** Whether it may be repeated elsewhere: `read`, `write` or `unknown`. */
  readonly safety: string;
  /** What the tables say of it, before the network's own `methods` rules. */
  readonly traits: MethodTraits;
  readonly strategy: string;
  /** The tag that the method wants of an upstream. */
  readonly tag: string | null;
  /** Who would get it now; null when nobody would. */
  readonly picked: string | null;
  /** When it makes sense to come back; null when somebody was picked. */
  readonly retryAfterMs: number | null;
  readonly upstreams: readonly ExplainedUpstream[];
}

export function explain(network: Network, { method, params }: ExplainedCall, now: number): Explanation {
  const { name, config, state, safetyOf, tagOf, random } = network;
  // nginx knows nothing of blocks.
  const asked = { method, view: config.compat === null ? chainView(method, params) : null, lastResort: null };
  const calls = config.compat === null ? [asked] : [];
  const need = needOf(state, calls, now);
  const behind = need === null ? [] : behindOf(state, need, [], now);
  const wanted: Wanted = {
    tried: [],
    tag: tagOf(method) ?? null,
    asked: [asked],
    answered: false,
    behind,
  };
  const found = takerOf(state, calls, wanted, now) ?? preview(state, wanted, now, random);
  const reasons = reasonsFor(state, wanted, now);
  const { first } = standingOf(state, now);
  return {
    network: name,
    method,
    safety: safetyOf(method),
    traits: traitsOf(method),
    strategy: state.strategy,
    tag: wanted.tag,
    picked: isRefusal(found) ? null : found.id,
    retryAfterMs: isRefusal(found) ? found.retryAfterMs : null,
    upstreams: state.members.map((member) => {
      const ranked = state.snapshot?.upstreams.get(member.id);
      const isFirst = first.includes(member) || (!isRefusal(found) && found.id === member.id);
      return {
        id: member.id,
        tier: member.tier,
        reason: reasons[member.id] ?? (isFirst ? null : 'standby'),
        load: loadOf(member),
        share: member.share,
        lagBlocks: ranked?.lagBlocks ?? null,
        latencyP50Ms: ranked?.latencyP50Ms ?? null,
      };
    }),
  };
}

/** A line of the log names at most so many methods and attempts; a batch may have a thousand. */
const NAMED_MAX = 20;

/** What became of a request, for the log: the way it went, and what stood in it. */
export function explainAfter(calls: readonly Call[], { network, reasons }: Exchange): object {
  const ways = new Set<readonly AttemptNote[]>(calls.map(({ attempts }) => attempts)); // Calls that went together share theirs.
  return {
    network: network.name,
    methods: [...new Set(calls.map(({ method }) => method))].slice(0, NAMED_MAX),
    attempts: [...ways].flat().slice(0, NAMED_MAX),
    failures: [...new Set(calls.flatMap(({ failure }) => failure?.code ?? []))],
    ...(reasons && { reasons }),
  };
}
