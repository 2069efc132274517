// Decides: by how many blocks an upstream is known to be behind: what the chain makes while nobody looks at it is not its lag.
// Must not know: what follows from a lag.

export interface Looked {
  /** The network's head minus that which the upstream was seen at. */
  readonly behindBlocks: number;
  /** For how long nobody has looked at it. */
  readonly unseenMs: number;
  /** For how long nobody has looked at whom we looked at last: the network's head is as old. */
  readonly headUnseenMs: number;
  readonly blockIntervalMs: number | null;
  /** The known lag in the last ranking, and for how long that is over; null where there was none. */
  readonly lagBefore: number | null;
  readonly sinceBeforeMs: number | null;
}

export function knownLag(looked: Looked): number {
  const { behindBlocks, unseenMs, headUnseenMs, blockIntervalMs, lagBefore, sinceBeforeMs } = looked;
  const madeMs = Math.max(0, unseenMs - headUnseenMs);
  const unseenBlocks = blockIntervalMs === null ? 0 : Math.floor(madeMs / blockIntervalMs);
  const lagBlocks = Math.max(0, behindBlocks - unseenBlocks);
  // The interval is an estimate: over many blocks its error would be a lag.
  const isUnseenSince = unseenMs > 0 && sinceBeforeMs !== null && unseenMs >= sinceBeforeMs;
  return isUnseenSince ? Math.min(lagBlocks, lagBefore ?? lagBlocks) : lagBlocks;
}
