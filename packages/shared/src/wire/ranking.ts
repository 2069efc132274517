// Decides: the document that the sidecar publishes and the gateways read, with its version.
// Must not know: how it is stored or what it is used for.
import { z } from 'zod';
import { reasonNames } from '../reasons.ts';
import { budgetSchema } from './usage.ts';

/** Version written. Readers accept this and the one before, so that versions may be mixed during a rolling upgrade. */
export const RANKING_VERSION = 1;

/** A ranking of 256 upstreams has some 120 kB; more is no ranking of ours. */
const RANKING_CHARS_MAX = 1_000_000;

const count = z.number().int().nonnegative();
const instant = z.number().nonnegative();

/** The highest block that an upstream reports. */
const headSchema = z.object({
  number: count,
  hash: z.string().max(80).nullable(),
  /** Time in the block's header, epoch ms; null where headers carry none. */
  headerAt: instant.nullable(),
});

const rankedSchema = z.object({
  id: z.string().min(1).max(64),
  /** `null`: nothing speaks against this upstream. */
  reason: z.enum(reasonNames).nullable(),
  head: headSchema.nullable(),
  finalized: count.nullable(),
  /** Network head minus own head, in blocks, as far as it is known: not what was made since anybody looked. Null while either is unknown. */
  lagBlocks: count.nullable(),
  /** Over the successful probes in the window. */
  latencyP50Ms: z.number().nonnegative().nullable(),
  latencyP95Ms: z.number().nonnegative().nullable(),
  /** Share of failed probes in the window. */
  errorRatio: z.number().min(0).max(1),
  /** What its machine says of its load, in its own unit; null while that is unknown. A publisher of before says nothing of it. */
  load: z.number().nonnegative().nullable().default(null),
  /** What is used and left of its limit over the whole cluster; null while that is unknown, as above. */
  budget: budgetSchema.nullable().default(null),
  /** 0 to 1, higher is better; 0 with a reason. */
  score: z.number().min(0).max(1),
  /** When it was seen to have been restarted, epoch ms. Absent where that is not told, as in documents of before. */
  restartedAt: instant.optional(),
});

const networkHeadSchema = z.object({
  number: count,
  hash: z.string().max(80).nullable(),
  headerAt: instant.nullable(),
  /** When the publisher first agreed on this number, epoch ms. */
  agreedAt: instant,
  /** How many upstreams have reached it; the addresses of one name count as one. */
  confirmations: count,
});

const rankingSchema = z.object({
  version: z.literal(RANKING_VERSION),
  network: z.string().min(1).max(64),
  /** The fencing token of the publisher's lease. */
  epoch: count,
  /** Rises by one with each publication under the epoch. */
  seq: count,
  publisher: z.string().min(1).max(128),
  generatedAt: instant,
  /** Hash of the publisher's configuration of this network. */
  configHash: z.string().max(64),
  /** What most upstreams say they are, or what the configuration demands. */
  identity: z.string().max(128).nullable(),
  head: networkHeadSchema.nullable(),
  finalized: count.nullable(),
  /** Learned time between two blocks; the next publisher goes on with it. */
  blockIntervalMs: z.number().positive().nullable(),
  /** Since when the network has had no new block though several were due, epoch ms. Absent while it goes on. */
  stalledSince: instant.optional(),
  /** Best first. */
  upstreams: z.array(rankedSchema).max(256),
});

export type Head = z.output<typeof headSchema>;
export type NetworkHead = z.output<typeof networkHeadSchema>;
export type RankedUpstream = z.output<typeof rankedSchema>;
export type Ranking = z.output<typeof rankingSchema>;

/** A ranking without the token, which only the lease's holder can add. */
export type RankingDraft = Omit<Ranking, 'epoch' | 'seq'>;

export function encodeRanking(ranking: Ranking): string {
  return JSON.stringify(ranking);
}

/** The ranking in a stored text, or what is wrong with it: a foreign value is refused, never half believed. */
export function decodeRanking(text: string): Ranking | { readonly invalid: string } {
  if (text.length > RANKING_CHARS_MAX) return { invalid: 'too long' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { invalid: 'not JSON' };
  }
  const result = rankingSchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  return { invalid: `${issue?.path.join('.') || 'document'}: ${issue?.message ?? 'not a ranking'}` };
}

/** Order of two publications: by epoch, then by sequence. */
export function isNewer(a: Pick<Ranking, 'epoch' | 'seq'>, b: Pick<Ranking, 'epoch' | 'seq'>): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq);
}
