// Decides: when it is looked whether a name of a network is due to be resolved.
// Must not know: how names are resolved, or what a changed address changes.
import type { Network } from '../upstream/network.ts';

/** Each name is due at its own time; a look at them costs next to nothing. */
const TICK_MS = 1000;

export interface DiscoveryOptions {
  readonly networks: () => Iterable<Network>;
  /** From one resolution of a name to the next. */
  readonly intervalMs: number;
  readonly now: () => number;
}

/** Resolves the names of all networks now, and again whenever they are due, until it is stopped. */
export function startDiscovery({ networks, intervalMs, now }: DiscoveryOptions): { stop(): void } {
  function tick(): void {
    for (const { names } of networks()) void names.refresh(now());
  }
  const timer = setInterval(tick, Math.min(TICK_MS, intervalMs));
  tick();
  return { stop: () => clearInterval(timer) };
}
