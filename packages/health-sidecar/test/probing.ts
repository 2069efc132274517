// Decides: how these tests probe one upstream once, as the configuration says.
import { type ProtocolName, redactorOf, validateConfig } from '@rpc-balancer/shared';
import { onTestFinished } from 'vitest';
import { probeUpstream } from '../src/probes/attempts.ts';
import type { Batches } from '../src/probes/protocol.ts';
import { PROTOCOLS } from '../src/probes/protocols.ts';
import { createFetcher, type Fetcher, monotonicNow } from '../src/runtime.ts';
import type { Sample } from '../src/samples.ts';

/** An upstream that answers does so in less, on a busy machine too. */
const PATIENT_MS = 10_000;
/** Enough where no answer is expected. */
export const IMPATIENT_MS = 300;

/** What asks everything singly. */
export const SINGLY: Batches = { areRefused: () => true, refused: () => {} };

function remembering(): Batches {
  let refused = false;
  return {
    areRefused: () => refused,
    refused: () => {
      refused = true;
    },
  };
}

export interface Upstream {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Probing {
  readonly protocol?: ProtocolName;
  readonly attempts?: number;
  readonly timeoutMs?: number;
  readonly describe?: boolean;
  /** Default: as if it was never probed before. */
  readonly batches?: Batches;
  /** Further keys of the probe, for http. */
  readonly keys?: Readonly<Record<string, unknown>>;
  /** Over real sockets unless another is given. */
  readonly fetcher?: Fetcher;
}

export async function probe({ url, headers = {} }: Upstream, probing: Probing = {}): Promise<Sample> {
  const {
    protocol = 'evm',
    attempts = 1,
    timeoutMs = PATIENT_MS,
    describe = false,
    batches = remembering(),
    keys = {},
  } = probing;
  const upstreams = [{ id: 'a', url, headers }];
  const network = { protocol, probe: { attempts, timeout: timeoutMs, ...keys }, upstreams };
  const config = validateConfig({ networks: { main: network } });
  const { main } = config.networks;
  if (!main?.probe || !main.upstreams[0]) throw new TypeError('the upstream was named in the lines above');
  const fetcher = probing.fetcher ?? (await createFetcher());
  if (!probing.fetcher) onTestFinished(() => fetcher.close());
  return probeUpstream(PROTOCOLS[protocol], main.upstreams[0], {
    ...{ probe: main.probe, fetcher, now: monotonicNow, redact: redactorOf(config) },
    ...{ describe, batches },
    signal: new AbortController().signal,
    pause: async () => {},
  });
}
