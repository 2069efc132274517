// Decides: how clients ask for the head and then for its block, and which of what they got is dishonest.
// Must not know: what is in front of the nodes, or what is asserted.
import { setTimeout as delay } from 'node:timers/promises';
import type { FakeNode } from '../kit/fake-node.ts';
import { BLOCK_MS, post } from './upstreams.ts';

/** A client shows a head that is older than this as wrong. */
const STALE_MS = 5000;

export interface Asking {
  /** The head comes from one, its block from the next. */
  readonly urls: readonly string[];
  /** Nodes of one chain, in step; the first goes bad, the second stays well. */
  readonly nodes: readonly FakeNode[];
  readonly pairs: number;
  readonly durationMs: number;
}

export interface Honesty {
  /** Heads that were old. */
  readonly stale: number;
  /** Heads that are not there yet. */
  readonly lying: number;
  /** Blocks that were announced, and then not there. */
  readonly missing: number;
  /** When blocks of another chain were asked for, on the clock of `performance`. */
  readonly foreignAt: readonly number[];
  /** What was no answer at all, the first of it. */
  readonly failed: readonly string[];
}

interface Answer {
  readonly result?: string | { readonly hash: string } | null;
}

/** So many pairs at a steady rate, each without waiting for the one before. */
export async function askForHeads({ urls, nodes, pairs, durationMs }: Asking): Promise<Honesty> {
  const [, well] = nodes;
  if (!well) throw new Error('a node stays well');
  const counts = { stale: 0, lying: 0, missing: 0 };
  const foreignAt: number[] = [];
  const failed: string[] = [];

  async function ask(url: string | undefined, method: string, params: readonly unknown[]): Promise<unknown> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const { status, text } = await post(url ?? '', body);
    // The shape of JSON-RPC; what has no result is noted below.
    const answer = status === 200 ? (JSON.parse(text) as Answer) : {};
    if (answer.result === undefined) throw new Error(`HTTP ${status} ${text}`);
    return answer.result;
  }

  async function askPair(at: number): Promise<void> {
    const askedAt = performance.now();
    const old = (well?.head ?? 0) - STALE_MS / BLOCK_MS;
    try {
      const announced = String(await ask(urls[at % urls.length], 'eth_blockNumber', []));
      const height = Number(announced);
      if (height > (well?.head ?? 0)) counts.lying++;
      if (height < old) counts.stale++;
      const block = await ask(urls[(at + 1) % urls.length], 'eth_getBlockByNumber', [announced, false]);
      if (block === null) counts.missing++;
      else if (hashIn(block) !== well?.chain.hashOf(height)) foreignAt.push(askedAt);
    } catch (error) {
      if (failed.length < 5) failed.push(String(error));
    }
  }

  const beganAt = performance.now();
  const asked: Promise<void>[] = [];
  for (let at = 0; at < pairs; at++) {
    const earlyMs = beganAt + (at * durationMs) / pairs - performance.now();
    if (earlyMs > 0) await delay(earlyMs);
    asked.push(askPair(at));
  }
  await Promise.all(asked);
  return { ...counts, foreignAt, failed };
}

function hashIn(block: unknown): unknown {
  return typeof block === 'object' && block !== null && 'hash' in block ? block.hash : undefined;
}
