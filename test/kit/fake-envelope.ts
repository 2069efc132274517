// Decides: how calls are cut out of a request body and how answers are put together, ids byte for byte.
// Must not know: what is answered.
import { endsAt, readElements, readEnvelope, type Span } from '@rpc-balancer/shared';
import type { FakeCall, Reply } from './fake-methods.ts';

export interface ReadBody {
  readonly batch: boolean;
  /** `null` stands for an element that is no call. */
  readonly calls: readonly (FakeCall | null)[];
}

/** The calls of a body; null when it is no JSON-RPC. */
export function readCalls(body: Buffer): ReadBody | null {
  const elements = readElements(body);
  if (elements?.complete) {
    const calls = elements.spans.map((span, index) => readCall(body.subarray(span.start, span.end), index));
    return { batch: true, calls };
  }
  const call = readCall(body, 0);
  return call === null ? null : { batch: false, calls: [call] };
}

function readCall(bytes: Buffer, index: number): FakeCall | null {
  const envelope = readEnvelope(bytes);
  if (envelope === null || envelope.end === -1 || !endsAt(bytes, envelope.end)) return null;
  const text = (span: Span | undefined) => span && bytes.toString('utf8', span.start, span.end);
  const method = parsed(text(envelope.method));
  if (typeof method !== 'string') return null;
  const paramsText = text(envelope.params) ?? '';
  return { method, params: parsed(paramsText), paramsText, id: text(envelope.id), index };
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return undefined;
  }
}

/** The answer's text; members in geth's order. */
export function envelopeText(id: string, reply: Reply): string {
  if ('error' in reply) return `{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(reply.error)}}`;
  const text = 'resultText' in reply ? reply.resultText : JSON.stringify(reply.result);
  return `{"jsonrpc":"2.0","id":${id},"result":${text}}`;
}
