// Decides: how a FakeNode goes from a request to an answer: read, record, fault, answer.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createRandom, shuffled } from './clock.ts';
import { envelopeText, type ReadBody, readCalls } from './fake-envelope.ts';
import { isFault, resetSocket, sendBody, sendFault, sendHalf } from './fake-faults.ts';
import {
  type FakeCall,
  type MethodContext,
  PROBE_METHODS,
  replyTo,
  transactionHash,
  WRITE_METHODS,
} from './fake-methods.ts';
import type { NodeScript, Override } from './fake-script.ts';
import { type Streamed, sendStream } from './fake-stream.ts';

/** What serving needs of the node. */
export interface Served extends NodeScript, Pick<MethodContext, 'chain'> {
  readonly executed: Set<string>;
  readonly executions: string[];
  readonly streams: Streamed[];
  record(request: IncomingMessage, body: Buffer, calls: readonly (FakeCall | null)[]): void;
}

const PARSE_ERROR = envelopeText('null', { error: { code: -32700, message: 'parse error' } });
const INVALID_REQUEST = envelopeText('null', { error: { code: -32600, message: 'invalid request' } });

const random = createRandom(1);

export async function serve(node: Served, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  if (body === null) return;
  const read = readCalls(body) ?? (node.anyVerb ? pathCall(request.url ?? '/') : null);
  const calls = read?.calls ?? [];
  node.record(request, body, calls);
  if (node.mode === 'late') await delay(node.lateMs);
  if (isFault(node.mode)) return sendFault(response, node.mode, node.retryAfter);
  if (request.method !== 'POST' && !node.anyVerb)
    return sendBody(response, 'POST only', { status: 405, type: 'text/plain' });
  if (read === null) return sendBody(response, PARSE_ERROR);
  if (node.mode === 'reads500' && calls.some((call) => !PROBE_METHODS.has(call?.method ?? ''))) {
    return sendFault(response, 'http500', undefined);
  }

  const wrote = calls.filter((call) => call !== null && execute(node, call)).length > 0;
  if (wrote && node.mode === 'executeThenReset') return resetSocket(response.socket);
  const overrides = calls.map((call) => (call === null ? undefined : node.answer?.(call)));
  const afterMs = Math.max(0, ...overrides.map((override) => override?.afterMs ?? 0));
  if (afterMs > 0) await delay(afterMs);
  for (const override of overrides) await override?.until;
  const whole = overrides.find((override) => override !== undefined && isWhole(override));
  if (whole !== undefined) return sendWhole(node, response, whole, calls[0]?.id ?? 'null');

  const texts = calls.map((call, at) =>
    call === null ? INVALID_REQUEST : answerText(node, call, overrides[at]),
  );
  const text = read.batch ? batchText(node, texts) : (texts[0] ?? '');
  if (node.mode === 'cut' || node.mode === 'stall') return sendHalf(response, text, node.mode);
  sendBody(response, text);
}

/** `GET /method` and the like, as one call. */
function pathCall(url: string): ReadBody {
  const call = { method: url.slice(1), params: undefined, paramsText: '', id: '1', index: 0 };
  return { batch: false, calls: [call] };
}

/** Null when the client went away first. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return null;
  }
  return Buffer.concat(chunks);
}

function execute(node: Served, call: FakeCall): boolean {
  if (!WRITE_METHODS.has(call.method)) return false;
  node.executions.push(call.paramsText);
  node.executed.add(transactionHash(call.paramsText));
  return true;
}

/** Empty for a notification. */
function answerText(node: Served, call: FakeCall, override: Override | undefined): string {
  if (call.id === undefined) return '';
  if (override !== undefined && 'raw' in override) return override.raw;
  if (override !== undefined && ('result' in override || 'resultText' in override || 'error' in override)) {
    return envelopeText(call.id, override);
  }
  return envelopeText(call.id, node.mode === 'null' ? { result: null } : replyTo(call, node));
}

function batchText(node: Served, texts: readonly string[]): string {
  if (texts.length === 0) return INVALID_REQUEST;
  const kept = texts.filter((text, at) => text !== '' && !node.dropFromBatch?.(at));
  if (texts.every((text) => text === '')) return '';
  return `[${(node.shuffleBatch ? shuffled(kept, random) : kept).join(',')}]`;
}

type Whole = Extract<Override, { status: number } | { stream: number } | { hang: true }>;

function isWhole(override: Override): override is Whole {
  return 'status' in override || 'stream' in override || 'hang' in override;
}

async function sendWhole(node: Served, response: ServerResponse, whole: Whole, id: string): Promise<void> {
  if ('hang' in whole) return;
  if ('status' in whole) {
    for (const [name, value] of Object.entries(whole.headers ?? {})) response.setHeader(name, value);
    const type = whole.headers?.['content-type'] ?? 'text/plain';
    return sendBody(response, whole.body ?? '', { status: whole.status, type });
  }
  const share = node.mode === 'cut' ? 0.5 : 1;
  const streamed = await sendStream(response, {
    id,
    digits: whole.stream,
    chunked: whole.chunked ?? false,
    share,
  });
  node.streams.push(streamed);
}
