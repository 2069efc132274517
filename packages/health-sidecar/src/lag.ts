// Decides: by how many blocks an upstream is known to be behind: what the chain makes while nobody looks at it is not its lag.
// Must not know: what follows from a lag.

export interface Looked {
  /** The network's head minus that which the upstream was seen at. */
  readonly behindBlocks: number;
  /** For how long nobody has looked. */
  readonly unseenMs: number;
  readonly blockIntervalMs: number | null;
  /** The known lag of the last ranking, and when that was made; null where there was none. */
  readonly before: { readonly lagBlocks: number; readonly at: number } | null;
  readonly now: number;
}

export function knownLag({ behindBlocks, unseenMs, blockIntervalMs, before, now }: Looked): number {
  const unseenBlocks = blockIntervalMs === null ? 0 : Math.floor(unseenMs / blockIntervalMs);
  const lagBlocks = Math.max(0, behindBlocks - unseenBlocks);
  // The interval is an estimate: over many blocks its error would be a lag.
  const isUnseenSince = before !== null && unseenMs > 0 && now - unseenMs <= before.at;
  return isUnseenSince ? Math.min(lagBlocks, before.lagBlocks) : lagBlocks;
}
