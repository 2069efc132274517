// Decides: what a protocol is to the prober, and what a probe is given.
// Must not know: which protocols there are.
import type { Head, ProbeConfig, Redact, UpstreamConfig } from '@rpc-balancer/shared';
import type { Fetcher } from '../runtime.ts';
import type { Sample } from '../samples.ts';

export interface ProbeContext {
  readonly probe: ProbeConfig;
  readonly fetcher: Fetcher;
  /** Ends the probe early, when nobody wants its result any more. */
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly redact: Redact;
  /** Whether what seldom changes is asked as well, such as versions. */
  readonly describe: boolean;
  readonly batches: Batches;
}

/** What is remembered of an upstream that is asked several things at once. */
export interface Batches {
  areRefused(): boolean;
  /** It did not answer a batch as it answers single calls. */
  refused(): void;
}

/** How an upstream is asked to tell of each new head over a WebSocket, by JSON-RPC. */
export interface Push {
  /** Behind the path of the upstream, unless its WebSocket has a URL of its own. */
  readonly path: string;
  readonly method: string;
  readonly params: unknown;
  /** The head in a message, by the rules of the probe; null in any other message. */
  headIn(message: Readonly<Record<string, unknown>>): Head | null;
}

export interface Protocol {
  /** Most calls of one `probeOnce`, which a budget of calls has to have room for. */
  readonly callsMax: number;
  /** Asks one upstream once. It never rejects. */
  probeOnce(upstream: UpstreamConfig, context: ProbeContext): Promise<Sample>;
  /** Absent where there is no such thing. */
  readonly push?: Push;
}
