// Decides: what gateways were seen to believe over time: every (epoch, seq), and what of it may never be.
// Must not know: what happens to sidecars and Redis meanwhile.
import type { Gateway } from '../kit/gateway.ts';

/** Longest list of what was wrong; the first ones tell the story. */
const WRONG_MAX = 20;

export interface Belief {
  readonly epoch: number;
  readonly seq: number;
  readonly publisher: string;
}

export interface Watch {
  /** What each gateway was last seen to believe; null before its first ranking. */
  readonly last: readonly (Belief | null)[];
  /** Each epoch in the order in which it was first seen, with its publisher. */
  readonly publishers: ReadonlyMap<number, string>;
  /** A pair that went down, or an epoch with two publishers. */
  readonly wrong: readonly string[];
  readonly lookCount: number;
  stop(): Promise<void>;
}

/** Asks each gateway for its /status that often, until stopped. */
export function watchRankings(gateways: readonly Gateway[], network: string, everyMs: number): Watch {
  const last: (Belief | null)[] = gateways.map(() => null);
  const publishers = new Map<number, string>();
  const wrong: string[] = [];
  let lookCount = 0;
  let stopped = false;

  function complain(text: string): void {
    if (wrong.length < WRONG_MAX) wrong.push(text);
  }

  function note(at: number, belief: Belief): void {
    const before = last[at] ?? null;
    const { epoch, seq, publisher } = belief;
    if (before && (epoch < before.epoch || (epoch === before.epoch && seq < before.seq))) {
      complain(`gateway ${at} went from ${before.epoch}/${before.seq} down to ${epoch}/${seq}`);
    }
    const known = publishers.get(epoch) ?? publisher;
    if (known !== publisher) complain(`epoch ${epoch} has two publishers: ${known} and ${publisher}`);
    publishers.set(epoch, publisher);
    last[at] = belief;
  }

  async function look(gateway: Gateway, at: number): Promise<void> {
    const { ranking } = (await gateway.status()).networks[network];
    lookCount++;
    if (ranking !== null) note(at, ranking);
    else if (last[at]) complain(`gateway ${at} forgot its ranking`);
  }

  const loops = gateways.map(
    (gateway, at) =>
      new Promise<void>((resolve) => {
        const again = () => {
          if (stopped) return resolve();
          look(gateway, at).then(
            () => setTimeout(again, everyMs),
            (error: unknown) => {
              complain(`gateway ${at} does not answer: ${String(error)}`);
              resolve();
            },
          );
        };
        again();
      }),
  );
  return {
    last,
    publishers,
    wrong,
    get lookCount() {
      return lookCount;
    },
    async stop() {
      stopped = true;
      await Promise.all(loops);
    },
  };
}

/** The name under which a program publishes. */
export function instanceOf(program: { readonly output: string }): string {
  return /"instance":"([^"]+)"/.exec(program.output)?.[1] ?? 'unknown';
}
