// Decides: how several calls travel as one JSON-RPC batch, and which answer belongs to which call.
// Must not know: whether an answer is good. Only the bytes of ids change: our own number on the way out, the client's on the way back.
import { type Envelope, readElements, readEnvelope, type Span } from '@rpc-balancer/shared';

/** A call as it stands in a batch; null id for a notification. */
interface Part {
  readonly bytes: Buffer;
  readonly id: Span | null;
}

const COMMA = Buffer.from(',');

/** Writes the parts as one batch in which each id is the part's position: the client's own ids may repeat. */
export function writeBatch(parts: readonly Part[]): Buffer {
  const pieces: Buffer[] = [Buffer.from('[')];
  parts.forEach(({ bytes, id }, at) => {
    if (at > 0) pieces.push(COMMA);
    if (id === null) pieces.push(bytes);
    else pieces.push(bytes.subarray(0, id.start), Buffer.from(String(at)), bytes.subarray(id.end));
  });
  pieces.push(Buffer.from(']'));
  return Buffer.concat(pieces);
}

export interface BatchElement {
  readonly bytes: Buffer;
  readonly envelope: Envelope;
}

export interface BatchAnswer {
  /** By position of the part; what is missing here is missing in the answer. */
  readonly elements: ReadonlyMap<number, BatchElement>;
  /** False when the bytes stop before the array does. */
  readonly complete: boolean;
}

/** Reads a batch answer in whatever order it comes; null when it is none. */
export function readBatch(body: Buffer, partCount: number): BatchAnswer | null {
  const array = readElements(body);
  if (array === null) return null;
  const elements = new Map<number, BatchElement>();
  for (const { start, end } of array.spans) {
    const bytes = body.subarray(start, end);
    const envelope = readEnvelope(bytes);
    const position =
      envelope?.id && positionOf(bytes.toString('latin1', envelope.id.start, envelope.id.end), partCount);
    if (envelope && typeof position === 'number' && !elements.has(position))
      elements.set(position, { bytes, envelope });
  }
  return { elements, complete: array.complete };
}

/** Some servers answer a number as a string. */
function positionOf(id: string, partCount: number): number | null {
  const digits = /^"?(\d{1,6})"?$/.exec(id)?.[1];
  const position = Number(digits);
  return digits !== undefined && position < partCount ? position : null;
}

/** The element with the client's own id in place of ours. */
export function restoreId({ bytes, envelope }: BatchElement, id: Buffer): Buffer {
  if (!envelope.id) return bytes;
  return Buffer.concat([bytes.subarray(0, envelope.id.start), id, bytes.subarray(envelope.id.end)]);
}

/** Joins answers into one array, in the order given. */
export function joinAnswers(answers: readonly Buffer[]): Buffer {
  const pieces = answers.flatMap((answer, at) => (at === 0 ? [answer] : [COMMA, answer]));
  return Buffer.concat([Buffer.from('['), ...pieces, Buffer.from(']')]);
}
