// Decides: what one probe asks an upstream of which only HTTP is known, and which sample its answers make.
// Must not know: other upstreams, the network's head, when the next probe is.
import { foreignText, type UpstreamConfig } from '@rpc-balancer/shared';
import type { FailedSample, GoodSample, NodeFacts, Sample } from '../samples.ts';
import { type Answered, BODY_BYTES_MAX, createAsk, detailOf, type FailedAnswer } from './exchange.ts';
import type { ProbeContext, Protocol } from './protocol.ts';
import { heightOf, isRecord, parsedJson, valueAt } from './values.ts';

/** Whoever refuses a probe refuses its credentials; the node itself is well. */
const MISCONFIGURED =
  'the key of the probe is wrong or missing, a mistake of configuration and not of the upstream';

export const http: Protocol = { callsMax: 2, probeOnce };

async function probeOnce(upstream: UpstreamConfig, context: ProbeContext): Promise<Sample> {
  const { method, path: healthPath, status, head } = context.probe;
  const ask = createAsk(upstream, context);
  const isGood = (given: number) => given >= status.first && given <= status.last;
  const [health, elsewhere] = await Promise.all([
    ask({ name: `${method} ${healthPath}`, verb: method, path: healthPath, isGood }),
    head?.path === undefined ? null : ask({ name: `GET ${head.path}`, verb: 'GET', path: head.path, isGood }),
  ]);
  const sampledAt = context.now();
  if (health.kind === 'failed') return { ...failedSample(health), sampledAt };
  if (elsewhere?.kind === 'failed') return { ...failedSample(elsewhere), sampledAt };
  return { ...sampleOf(health, elsewhere, context), sampledAt };
}

function failedSample({ failure, detail }: FailedAnswer): Omit<FailedSample, 'sampledAt'> {
  return { failure, detail: failure === 'unauthorized' ? `${detail}: ${MISCONFIGURED}` : detail };
}

function sampleOf(
  health: Answered,
  elsewhere: Answered | null,
  { probe, redact }: ProbeContext,
): Omit<GoodSample, 'sampledAt'> | Omit<FailedSample, 'sampledAt'> {
  const document = documentOf(health);
  const asked = `${probe.method} ${probe.path}`;
  const fail = (text: string, name = asked) =>
    ({ failure: 'probe_failed', detail: detailOf(name, text, redact) }) as const;
  for (const [pointer, expected] of Object.entries(probe.json)) {
    const found = valueAt(document, pointer);
    if (health.text === null) return fail(`more than ${BODY_BYTES_MAX} bytes`);
    if (found !== expected) return fail(`${pointer} is ${shown(found)}, not ${JSON.stringify(expected)}`);
  }
  const number =
    probe.head && heightOf(valueAt(elsewhere ? documentOf(elsewhere) : document, probe.head.pointer));
  if (probe.head && number === null) {
    const { path, pointer } = probe.head;
    return fail(`no head at ${pointer}`, path && `GET ${path}`);
  }
  const uptimeS = isRecord(document) ? document.uptime : undefined;
  return {
    failure: null,
    latencyMs: health.latencyMs,
    identity: null,
    syncing: false,
    head: number === null ? null : { number, hash: null, headerAt: null },
    finalized: null,
    ...(typeof uptimeS === 'number' && { uptimeS }),
    facts: factsOf(document, redact),
  };
}

function documentOf({ text }: Answered): unknown {
  return text === null ? undefined : parsedJson(text);
}

/** So that replicas of different versions are seen side by side. */
function factsOf(document: unknown, redact: ProbeContext['redact']): NodeFacts {
  const version = isRecord(document) ? document.version : undefined;
  return typeof version === 'string' || typeof version === 'number'
    ? { version: foreignText(String(version), redact) }
    : {};
}

function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  return typeof value === 'object' && value !== null ? 'no scalar' : JSON.stringify(value);
}
