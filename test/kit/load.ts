// Decides: how a test sends many calls at a steady rate and judges every answer.
// Must not know: what answers. Bounded in calls, connections and time.
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';

/** More calls than this are a benchmark, not a test. */
const CALLS_MAX = 200_000;
/** Longest list of what went wrong. */
const NOTES_MAX = 20;

export interface LoadCall {
  readonly body: string;
  /** Appended to the url's path. */
  readonly path?: string;
}

export interface LoadAnswer {
  readonly statusCode: number;
  readonly text: string;
}

export interface LoadOptions {
  /** With its path. */
  readonly url: string;
  readonly ratePerS: number;
  readonly durationMs: number;
  /** Default 256. */
  readonly maxConnections?: number;
  /** Limit of each call; default 30 s. */
  readonly timeoutMs?: number;
  makeCall(index: number): LoadCall;
  /** Whether the answer is the right one; default: 200 with a `result`. */
  check?(answer: LoadAnswer, index: number): boolean;
}

export interface LoadReport {
  readonly sent: number;
  /** No answer, or not 200. */
  readonly failed: number;
  /** 200, yet not what it ought to be. */
  readonly wrong: number;
  /** Longest time from the moment a call was due to its last byte. */
  readonly worstMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** The first of what went wrong, for the test's message. */
  readonly notes: readonly string[];
}

const hasResult = ({ text }: LoadAnswer): boolean => text.includes('"result"');

/** Open loop: a call goes out when it is due, whether or not the ones before were answered. */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const { url, ratePerS, durationMs, makeCall, check = hasResult } = options;
  const total = Math.min(CALLS_MAX, Math.round((ratePerS * durationMs) / 1000));
  const { origin, pathname } = new URL(url);
  const timeoutMs = options.timeoutMs ?? 30_000;
  const pool = new Pool(origin, {
    connections: options.maxConnections ?? 256,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  const counts = { failed: 0, wrong: 0 };
  const latenciesMs: number[] = [];
  const notes: string[] = [];

  function note(text: string): void {
    if (notes.length < NOTES_MAX) notes.push(text.slice(0, 300));
  }

  async function send(index: number, dueAt: number): Promise<void> {
    const call = makeCall(index);
    try {
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: `${pathname}${call.path ?? ''}`,
        headers: { 'content-type': 'application/json' },
        body: call.body,
      });
      const text = await body.text();
      if (statusCode !== 200) {
        counts.failed++;
        note(`call ${index}: HTTP ${statusCode} ${text}`);
      } else if (!check({ statusCode, text }, index)) {
        counts.wrong++;
        note(`call ${index}: wrong ${text}`);
      }
    } catch (error) {
      counts.failed++;
      note(`call ${index}: ${String(error)}`);
    }
    latenciesMs.push(performance.now() - dueAt);
  }

  const startAt = performance.now();
  const running: Promise<void>[] = [];
  for (let index = 0; index < total; index++) {
    const dueAt = startAt + (index * 1000) / ratePerS;
    const early = dueAt - performance.now();
    if (early > 1) await delay(early);
    running.push(send(index, dueAt));
  }
  await Promise.all(running);
  await pool.destroy();
  latenciesMs.sort((a, b) => a - b);
  const percentile = (share: number) =>
    latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(share * latenciesMs.length))] ?? 0;
  return {
    sent: total,
    ...counts,
    worstMs: latenciesMs.at(-1) ?? 0,
    p50Ms: percentile(0.5),
    p95Ms: percentile(0.95),
    p99Ms: percentile(0.99),
    notes,
  };
}
