// Decides: what one request may use up (its deadline, its held bytes) and keeps what happened to it.
// Must not know: pick, judgement.
import type { Readable } from 'node:stream';
import type { Reason } from '@rpc-balancer/shared';
import { isFailed, type Trial } from '../balance/ejection.ts';
import type { Member } from '../balance/member.ts';
import { noteEnd } from '../balance/shared-health.ts';
import type { AttemptNote, Call } from './call.ts';
import type { Cancellation } from './cancellation.ts';
import {
  type Answered,
  type AttemptRequest,
  dispatch,
  type Remainder,
  type Reply,
  type Sent,
  type StreamEnd,
} from './dispatch.ts';
import type { Runner } from './lateness.ts';
import type { Network } from './network.ts';
import { ABORTED, ANSWERED, CUT, type Verdict } from './outcome.ts';
import type { Connections } from './pool.ts';
import { record } from './record.ts';

/** What goes along with every attempt of a request. */
export interface PassedOn {
  /** Path and query behind the network's name. */
  readonly suffix: string;
  /** Flat list of the headers that go along to the node. */
  readonly headers: readonly string[];
  /** Id of the only upstream that may have it; null for whichever is picked. */
  readonly pin: string | null;
  /** Cancelled by the deadline, when the client leaves, or when the gateway closes. */
  readonly cancellation: Cancellation;
  /** Up to this an answer is complete before any of it is handed on. Default: gateway.holdAnswer. */
  readonly holdBytes?: number;
}

/** What one attempt sends. */
export interface Written extends Pick<AttemptRequest, 'verb' | 'headers' | 'body'> {
  /** Path and query behind those of the upstream. */
  readonly suffix: string;
}

/** How much of an answer is held: `whole`: nothing, since nothing of it is read. */
export type Shape = 'single' | 'batch' | 'whole';

/** Path of the upstream + suffix, query of the upstream + query of the suffix. */
function joinPath({ path, query }: Connections, suffix: string): string {
  if (suffix === '') return (path || '/') + query;
  const mark = suffix.indexOf('?');
  const ownPath = mark === -1 ? suffix : suffix.slice(0, mark);
  const ownQuery = mark === -1 ? '' : suffix.slice(mark + 1);
  const joined =
    query !== '' && ownQuery !== '' ? `${query}&${ownQuery}` : query || (ownQuery && `?${ownQuery}`);
  return (path + ownPath || '/') + joined;
}

const VERDICT_OF_END = { complete: ANSWERED, cut: CUT, left: ABORTED } as const;

export class Exchange {
  readonly network: Network;
  readonly now: () => number;
  readonly cancellation: Cancellation;
  readonly pin: string | null;
  /** Over all calls of the request, and the upstream of the last. */
  attemptCount = 0;
  lastUpstream: string | null = null;
  /** The answer to a single call that is larger than what is held. */
  stream: Readable | null = null;
  /** Its length as the node said it; null where it said none. */
  streamBytes: number | null = null;
  /** Why nobody could be picked in the end, and when to come back. */
  reasons: Readonly<Record<string, Reason>> | null = null;
  retryAfterMs: number | null = null;
  /** The answer of a node that goes out as it is; its body is the stream, if there is one. */
  passed: Answered | null = null;
  /** With `compat: nginx`: the status of a failure. */
  failedWith: number | null = null;
  /** No attempt begins after it. */
  readonly deadlineAt: number;
  readonly #passedOn: PassedOn;
  readonly #readTimeoutMs: number;
  readonly #deadline: NodeJS.Timeout;

  constructor(
    network: Network,
    passedOn: PassedOn,
    calls: readonly Pick<Call, 'method'>[],
    now: () => number,
  ) {
    let deadlineMs = 0;
    let readTimeoutMs = 0;
    for (const { method } of calls) {
      const own = network.deadlineOf(method);
      deadlineMs = Math.max(deadlineMs, own ?? network.config.deadline);
      readTimeoutMs = Math.max(readTimeoutMs, own ?? network.config.readTimeout);
    }
    this.network = network;
    this.now = now;
    this.cancellation = passedOn.cancellation;
    this.pin = passedOn.pin;
    this.#passedOn = passedOn;
    this.#readTimeoutMs = readTimeoutMs;
    network.enter();
    const askedAt = now();
    network.state.askedAt = askedAt;
    this.deadlineAt = askedAt + deadlineMs;
    // nginx only begins nothing after its next_upstream_timeout: what runs may still end by the timeouts of its own.
    const { compat, connectTimeout } = network.config;
    const overrunMs = compat === 'nginx' ? connectTimeout + readTimeoutMs : 0;
    this.#deadline = setTimeout(() => this.cancellation.cancel('deadline'), deadlineMs + overrunMs);
  }

  /** Posts JSON-RPC. */
  send(member: Member, body: Uint8Array, shape: Shape, onReply: (reply: Reply) => void): Sent {
    const { suffix, headers } = this.#passedOn;
    const own = this.network.connectionsOf(member).headers;
    return this.sendWritten(
      member,
      { verb: 'POST', suffix, headers: [...own, ...headers], body },
      shape,
      onReply,
    );
  }

  sendWritten(
    member: Member,
    { verb, suffix, headers, body }: Written,
    shape: Shape,
    onReply: (reply: Reply) => void,
  ): Sent {
    const { limits, connectionsOf } = this.network;
    const { holdAnswerBytes, batchAnswerLimitBytes } = limits;
    const heldOfOne = this.#passedOn.holdBytes ?? (shape === 'whole' ? 0 : holdAnswerBytes);
    const to = connectionsOf(member);
    const attemptRequest: AttemptRequest = {
      verb,
      path: joinPath(to, suffix),
      headers,
      body,
      readTimeoutMs: this.#readTimeoutMs,
      holdBytes: shape === 'batch' ? batchAnswerLimitBytes : heldOfOne,
    };
    return dispatch(to, attemptRequest, this.cancellation, (reply) => {
      if (reply.kind === 'answered') member.usage.hear((name) => firstOf(reply.headers[name]), this.now());
      onReply(reply);
    });
  }

  /** An attempt has ended: counts it. */
  settle({ member, trial, begunAt }: Runner, verdict: Verdict): AttemptNote {
    this.#note(member);
    this.#count(member, verdict, trial, begunAt);
    return { upstream: member.id, outcome: verdict.outcome };
  }

  /** Hands a large answer on while it comes; the attempt, and with it the request, ends with its last byte. */
  open(
    rest: Remainder,
    { member, trial }: Runner,
    verdicts: Readonly<Record<StreamEnd, Verdict>> = VERDICT_OF_END,
  ): void {
    this.streamBytes = rest.totalBytes;
    this.#note(member);
    this.stream = rest.stream((end) => {
      const verdict = verdicts[end];
      this.#count(member, verdict, trial, null);
      this.end();
    });
  }

  #note(member: Member): void {
    this.attemptCount++;
    this.lastUpstream = member.id;
  }

  #count(member: Member, verdict: Verdict, trial: Trial | null, begunAt: number | null): void {
    const { name, state, onAttempt, onEjection } = this.network;
    const before = isFailed(member, state.members.length);
    const endedAt = this.now();
    record(member, verdict, trial, endedAt, begunAt);
    if (noteEnd(state, member, before, endedAt)) state.tell();
    const after = isFailed(member, state.members.length);
    onAttempt(name, member.id, verdict.outcome);
    if (before !== after) onEjection(name, member.id, after);
  }

  end(): void {
    this.network.leave();
    clearTimeout(this.#deadline);
  }
}

function firstOf(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'object' ? value[0] : value;
}
