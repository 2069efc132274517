// Decides: how reads go through several gateways in turn all the time, and how long each took.
// Must not know: what befalls the cluster meanwhile.
import { onTestFinished } from 'vitest';
import type { Gateway } from '../kit/gateway.ts';
import { waitFor } from '../kit/wait.ts';
import { callText, post } from './programs.ts';

/** Often enough that each fault is met by many reads, seldom enough for a machine of two cores. */
const READ_EVERY_MS = 10;
/** A machine that cannot keep up is not given more and more. */
const RUNNING_MAX = 64;
/** Longest list of what went wrong. */
const PROBLEMS_MAX = 20;

export interface Reads {
  /** Reads that were not answered with a result. */
  readonly problems: readonly string[];
  /** Durations of the reads that began since the last call of this, in ms, the shortest first. */
  lap(): number[];
  /** Resolves when so many reads that begin from now on were answered. */
  more(count: number): Promise<unknown>;
}

/** Reads until the end of the test. Slow answers hold up no other read, up to a limit. */
export function startReads(gateways: readonly Gateway[], network: string): Reads {
  const problems: string[] = [];
  const running = new Set<Promise<void>>();
  const body = callText('eth_getBalance', [`0x${'1'.repeat(40)}`, 'latest']);
  let durations: number[] = [];
  let begunCount = 0;
  let answeredOf: number[] = [];

  async function read(index: number): Promise<void> {
    const lap = durations;
    const begunAt = performance.now();
    const problem = await post(`${gateways[index % gateways.length]?.url}/${network}`, body).then(
      ({ statusCode, text }) => (statusCode === 200 && text.includes('"result"') ? null : text),
      (error: unknown) => String(error),
    );
    if (problem !== null && problems.length < PROBLEMS_MAX) problems.push(problem);
    lap.push(performance.now() - begunAt);
    answeredOf.push(index);
  }

  const timer = setInterval(() => {
    if (running.size >= RUNNING_MAX) return;
    const one: Promise<void> = read(begunCount++).finally(() => running.delete(one));
    running.add(one);
  }, READ_EVERY_MS);
  onTestFinished(async () => {
    clearInterval(timer);
    await Promise.all(running);
  });

  return {
    problems,
    lap() {
      const lap = durations.toSorted((a, b) => a - b);
      durations = [];
      return lap;
    },
    more(count) {
      const from = begunCount;
      answeredOf = [];
      const answered = () => answeredOf.filter((index) => index >= from).length >= count;
      return waitFor(answered, { what: `${count} more reads`, timeoutMs: 20_000 });
    },
  };
}
