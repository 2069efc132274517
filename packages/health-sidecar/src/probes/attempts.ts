// Decides: how often one probe is tried before its failure is believed.
// Must not know: protocols, what a sample says beyond its failure.
import type { UpstreamConfig } from '@rpc-balancer/shared';
import type { Sample } from '../samples.ts';
import type { ProbeContext, Protocol } from './protocol.ts';

/** A lost packet or a restarting node is back by then; a dead one is not waited for long. */
const RETRY_PAUSE_MS = 100;

/** Probes until an answer is definite or the attempts are used up. It never rejects. */
export async function probeUpstream(
  protocol: Protocol,
  upstream: UpstreamConfig,
  context: ProbeContext & { readonly pause: (ms: number) => Promise<void> },
): Promise<Sample> {
  for (let attempt = 1; ; attempt++) {
    const sample = await protocol.probeOnce(upstream, context);
    const definite =
      sample.failure === null || sample.failure === 'unauthorized' || sample.failure === 'throttled';
    if (definite || attempt >= context.probe.attempts || context.signal.aborted) return sample;
    await context.pause(RETRY_PAUSE_MS * attempt);
  }
}
