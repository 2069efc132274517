// Decides: what one request may use up (its deadline, its held bytes) and keeps what happened to it.
// Must not know: pick, judgement.
import type { Readable } from 'node:stream';
import type { Reason } from '@rpc-balancer/shared';
import { isFailed, type Trial } from '../balance/ejection.ts';
import type { Member } from '../balance/member.ts';
import type { Call } from './call.ts';
import type { Cancellation } from './cancellation.ts';
import type { Rest, Shipment } from './dispatch.ts';
import type { Network } from './network.ts';
import { ABORTED, ANSWERED, CUT, type Outcome, type Verdict } from './outcome.ts';
import { record } from './record.ts';

/** What goes along with every attempt of a request. */
export interface Luggage {
  /** Path and query behind the network's name. */
  readonly suffix: string;
  /** Flat list of the headers that go along to the node. */
  readonly headers: readonly string[];
  /** Cancelled by the deadline, when the client leaves, or when the gateway closes. */
  readonly cancellation: Cancellation;
}

export interface AttemptNote {
  readonly upstream: string;
  readonly outcome: Outcome;
}

const VERDICT_OF_END = { complete: ANSWERED, cut: CUT, left: ABORTED } as const;

export class Trip {
  readonly network: Network;
  readonly now: () => number;
  readonly cancellation: Cancellation;
  readonly attempts: AttemptNote[] = [];
  /** The answer to a single call that is larger than what is held. */
  stream: Readable | null = null;
  /** Its length as the node said it; null where it said none. */
  streamBytes: number | null = null;
  /** Why nobody could be picked in the end, and when to come back. */
  reasons: Readonly<Record<string, Reason>> | null = null;
  retryAfterMs: number | null = null;
  readonly #luggage: Luggage;
  readonly #readTimeoutMs: number;
  readonly #deadline: NodeJS.Timeout;

  constructor(network: Network, luggage: Luggage, calls: readonly Call[], now: () => number) {
    let deadlineMs = 0;
    let readTimeoutMs = 0;
    for (const { method } of calls) {
      const own = network.deadlineOf(method);
      deadlineMs = Math.max(deadlineMs, own ?? network.config.deadline);
      readTimeoutMs = Math.max(readTimeoutMs, own ?? network.config.readTimeout);
    }
    this.network = network;
    this.now = now;
    this.cancellation = luggage.cancellation;
    this.#luggage = luggage;
    this.#readTimeoutMs = readTimeoutMs;
    this.#deadline = setTimeout(() => this.cancellation.cancel('deadline'), deadlineMs);
  }

  shipment(body: Uint8Array, shape: 'single' | 'batch'): Shipment {
    const { holdAnswerBytes, batchAnswerLimitBytes } = this.network.limits;
    return {
      body,
      suffix: this.#luggage.suffix,
      headers: this.#luggage.headers,
      readTimeoutMs: this.#readTimeoutMs,
      holdBytes: shape === 'single' ? holdAnswerBytes : batchAnswerLimitBytes,
    };
  }

  /** An attempt has ended: counts it and keeps it. */
  settle(member: Member, verdict: Verdict, trial: Trial | null, endedAt: number): void {
    this.attempts.push({ upstream: member.id, outcome: verdict.outcome });
    this.#count(member, verdict, trial, endedAt);
  }

  /** Hands a large answer on while it comes; the attempt, and with it the request, ends with its last byte. */
  open(rest: Rest, member: Member, trial: Trial | null): void {
    this.streamBytes = rest.totalBytes;
    this.attempts.push({ upstream: member.id, outcome: 'answered' });
    this.stream = rest.stream((end) => {
      const verdict = VERDICT_OF_END[end];
      this.#count(member, verdict, trial, this.now());
      this.end();
    });
  }

  #count(member: Member, verdict: Verdict, trial: Trial | null, endedAt: number): void {
    const { name, state, onAttempt, onEjection } = this.network;
    const before = isFailed(member, state.members.length);
    record(member, verdict, trial, endedAt);
    const after = isFailed(member, state.members.length);
    onAttempt(name, member.id, verdict.outcome);
    if (before !== after) onEjection(name, member.id, after);
  }

  end(): void {
    clearTimeout(this.#deadline);
  }
}
