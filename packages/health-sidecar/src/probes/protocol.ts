// Decides: what a protocol is to the prober, and what a probe is given.
// Must not know: which protocols there are.
import type { ProbeConfig, UpstreamConfig } from '@rpc-balancer/shared';
import type { Fetcher } from '../runtime.ts';
import type { Sample } from '../samples.ts';

export interface ProbeContext {
  readonly probe: ProbeConfig;
  readonly fetcher: Fetcher;
  /** Ends the probe early, when nobody wants its result any more. */
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly redact: (text: string) => string;
  /** Whether what seldom changes is asked as well, such as versions. */
  readonly describe: boolean;
}

export interface Protocol {
  /** Most calls of one `probeOnce`, which a budget of calls has to have room for. */
  readonly callsMax: number;
  /** Asks one upstream once. It never rejects. */
  probeOnce(upstream: UpstreamConfig, context: ProbeContext): Promise<Sample>;
}
