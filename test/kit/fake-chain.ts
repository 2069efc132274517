// Decides: what the chain of a FakeNode looks like: heads, headers, balances. Deterministic but for the clock.
// Must not know: HTTP, envelopes, faults of the transport.
import { createHash } from 'node:crypto';

/** A block of mainnet; header times of blocks before the head stand this far apart when no clock drives the head. */
const BLOCK_MS = 12_000;

/** Finality of Ethereum, in blocks behind the head. */
const FINALITY_BLOCKS = 64;

export interface ChainOptions {
  readonly chainId?: number;
  /** Height at `headAt`. */
  readonly head?: number;
  /** 0: the head stands unless told; otherwise a block comes that often. */
  readonly blockTimeMs?: number;
  /** When the head was `head`; give several nodes the same instant and they stay in step. Default now. */
  readonly headAt?: number;
  /** Part of every hash: nodes with another label are on another fork. */
  readonly fork?: string;
  readonly now?: () => number;
}

export interface FakeChain {
  chainId: number;
  fork: string;
  syncing: unknown;
  /** Added to the head in eth_blockNumber and the latest header. */
  lieBy: number;
  frozen: boolean;
  head: number;
  blockTimeMs: number;
  readonly finalized: number;
  hashOf(height: number): string;
  /** The block at a height or tag; null if the node cannot have it. */
  block(tag: unknown): Readonly<Record<string, unknown>> | null;
}

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

export function digest(text: string): string {
  return `0x${createHash('sha256').update(text).digest('hex')}`;
}

/** What every FakeNode of a chain answers to eth_getBalance, so that a test can tell right from wrong. */
export function balanceOf(address: string, chainId = 1): string {
  return hex(BigInt(digest(`balance:${chainId}:${address.toLowerCase()}`).slice(0, 26)));
}

export function createChain(options: ChainOptions = {}): FakeChain {
  const now = options.now ?? Date.now;
  let anchor = { height: options.head ?? 20_000_000, at: options.headAt ?? now() };
  let blockTimeMs = options.blockTimeMs ?? 0;
  let frozenAt: number | null = null;
  /** When a head that was set by hand was set. */
  const setAt = new Map<number, number>();

  function headNow(): number {
    if (frozenAt !== null) return frozenAt;
    return blockTimeMs === 0
      ? anchor.height
      : anchor.height + Math.max(0, Math.floor((now() - anchor.at) / blockTimeMs));
  }

  function timeOf(height: number): number {
    const interval = blockTimeMs === 0 ? BLOCK_MS : blockTimeMs;
    return setAt.get(height) ?? anchor.at - (anchor.height - height) * interval;
  }

  function moveHead(height: number): void {
    anchor = { height, at: now() };
    setAt.set(height, anchor.at);
    if (frozenAt !== null) frozenAt = height;
  }

  function header(height: number, at = timeOf(height)): Readonly<Record<string, unknown>> {
    return headerOf({ height, hash: chain.hashOf(height), parent: chain.hashOf(height - 1), at });
  }

  const chain: FakeChain = {
    chainId: options.chainId ?? 1,
    fork: options.fork ?? '',
    syncing: false,
    lieBy: 0,
    get frozen() {
      return frozenAt !== null;
    },
    set frozen(frozen) {
      frozenAt = frozen ? headNow() : null;
    },
    get head() {
      return headNow();
    },
    set head(height) {
      moveHead(height);
    },
    get blockTimeMs() {
      return blockTimeMs;
    },
    set blockTimeMs(ms) {
      moveHead(headNow());
      blockTimeMs = ms;
    },
    get finalized() {
      return Math.max(0, headNow() - FINALITY_BLOCKS);
    },
    hashOf: (height) => digest(`block:${chain.chainId}:${chain.fork}:${height}`),
    block(tag) {
      const real = headNow();
      // A lie is told with a plausible time: the time alone must not give it away.
      if (tag === 'latest' || tag === 'pending') return header(Math.max(0, real + chain.lieBy), timeOf(real));
      if (tag === 'finalized' || tag === 'safe') return header(chain.finalized);
      if (tag === 'earliest') return header(0);
      const height = typeof tag === 'string' && /^0x[0-9a-f]+$/i.test(tag) ? Number(tag) : -1;
      return height < 0 || height > real ? null : header(height);
    },
  };
  return chain;
}

interface Place {
  readonly height: number;
  readonly hash: string;
  readonly parent: string;
  /** Epoch ms. */
  readonly at: number;
}

/** The other fields of an Ethereum header are the same in each block. */
function headerOf({ height, hash, parent, at }: Place): Readonly<Record<string, unknown>> {
  return {
    number: hex(height),
    hash,
    parentHash: parent,
    timestamp: hex(Math.max(0, Math.floor(at / 1000))),
    miner: '0x0000000000000000000000000000000000000000',
    gasLimit: '0x1c9c380',
    gasUsed: '0x0',
    baseFeePerGas: '0x7',
    nonce: '0x0000000000000000',
    difficulty: '0x0',
    extraData: '0x',
    size: '0x200',
    stateRoot: digest(`state:${height}`),
    logsBloom: `0x${'0'.repeat(512)}`,
    transactions: [],
    uncles: [],
  };
}
