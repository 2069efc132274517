// Decides: how tests of the pure rooms make calls and the replies to them.
// Must not know: sockets.
import { readEnvelope, type Safety } from '@rpc-balancer/shared';
import type { Call } from '../src/upstream/call.ts';
import type { Answered, Remainder } from '../src/upstream/dispatch.ts';

/** A call with this text as its id; undefined for a notification. */
export function callOf(id: string | undefined, safety: Safety = 'read', method = 'eth_call'): Call {
  const idMember = id === undefined ? '' : `"id":${id},`;
  const bytes = Buffer.from(`{"jsonrpc":"2.0",${idMember}"method":"${method}","params":[]}`);
  return {
    method,
    safety,
    view: null,
    bytes,
    id: readEnvelope(bytes)?.id ?? null,
    answer: null,
    failure: null,
    lastResort: null,
    lacked: null,
    doubted: false,
    attempts: [],
  };
}

/** What an answer has beyond what is held; for judging it is enough that it exists. */
export const REST: Remainder = {
  totalBytes: null,
  stream() {
    throw new Error('judging reads no further');
  },
  discard() {},
};

export function answerOf(text: string, { status = 200, rest = null as Remainder | null } = {}): Answered {
  return { kind: 'answered', status, headers: {}, body: Buffer.from(text), rest };
}
