// Decides: what the replicas of a cluster share, started and stopped together: what is in flight, failures, trials.
// Must not know: rankings, requests.
import { type HeartbeatOptions, startHeartbeat } from './heartbeat.ts';
import { type SharedFailsOptions, startSharedFails } from './shared-fails.ts';
import { startTrials } from './trials.ts';

export interface Sharing {
  stop(): Promise<void>;
}

/** Failures and trials for the networks whose rules say so; a reload may change them. */
export function startSharing(options: HeartbeatOptions & SharedFailsOptions): Sharing {
  const networks = () => [...options.networks()].filter(({ state }) => state.rules.shared);
  const ofSome = { ...options, networks };
  const parts = [startHeartbeat(options), startSharedFails(ofSome), startTrials(ofSome)];
  return {
    async stop() {
      await Promise.all(parts.map((part) => part.stop()));
    },
  };
}
