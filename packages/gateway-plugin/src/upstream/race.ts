// Decides: whether a second upstream is asked the same, whose reply counts, and what becomes of the other attempt.
// Must not know: how upstreams are picked, what an answer means to its call.
import { beginAttempt, trialWaitMs } from '../balance/ejection.ts';
import type { Member } from '../balance/member.ts';
import { areAllFailed } from '../balance/network-state.ts';
import type { Reply, Sent } from './dispatch.ts';
import type { Cause, Runner, Waiting } from './lateness.ts';
import type { Network } from './network.ts';
import { ABORTED, ANSWERED, SILENT, type Verdict } from './outcome.ts';

export interface RaceOptions {
  readonly network: Network;
  readonly now: () => number;
  readonly kind: string;
  /** Whether the request may be answered twice. */
  readonly repeatable: boolean;
  /** Sends it; the reply may come before this returns. */
  readonly send: (member: Member, onReply: (reply: Reply) => void) => Sent;
  /** Somebody else for it; null when there is nobody. */
  readonly another: () => Member | null;
  /** What a reply says of its upstream; `ANSWERED` ends the wait for another one. */
  readonly judge: (reply: Reply) => Verdict;
  /** Told of the attempt whose reply does not count. */
  readonly onLoser: (loser: Runner, verdict: Verdict) => void;
}

export interface Finish {
  readonly runner: Runner;
  readonly reply: Reply;
}

/** Sends to `member`, and to another if that takes too long. Resolves with the first usable reply, or the last of them. */
export function race(member: Member, options: RaceOptions): Promise<Finish> {
  return new Promise((resolve) => new Race(options, resolve).run(member));
}

class Race implements Waiting {
  place = 0;
  readonly #options: RaceOptions;
  readonly #resolve: (finish: Finish) => void;
  #first: Runner | null = null;
  #second: Runner | null = null;
  #cause: Cause = 'slow';
  #over = false;
  #hedge: NodeJS.Timeout | null = null;

  constructor(options: RaceOptions, resolve: (finish: Finish) => void) {
    this.#options = options;
    this.#resolve = resolve;
  }

  get kind(): string {
    return this.#options.kind;
  }

  /** The attempt that is waited for; null once it is over or somebody else was asked as well. */
  get lone(): Runner | null {
    return this.#over || this.#second !== null ? null : this.#first;
  }

  run(member: Member): void {
    const { network, now } = this.#options;
    const { lateness } = network;
    lateness.waiting.add(this);
    lateness.budget.earn();
    this.#first = this.#send(member, now());
    const hedgeMs = this.#options.repeatable && !this.#over ? lateness.hedgeAfterMs(this.kind) : null;
    if (hedgeMs !== null) this.#hedge = setTimeout(() => this.expedite('slow'), hedgeMs);
  }

  /** Asks somebody else as well, once, if the request may be repeated and the budget allows. */
  expedite(cause: Cause): void {
    const { network, repeatable, another, now } = this.#options;
    if (!repeatable || this.lone === null) return;
    const member = another();
    if (member === null) return;
    const { budget } = network.lateness;
    if (!(cause === 'slow' ? budget.takeHedge() : budget.takeRescue())) return;
    this.#cause = cause;
    this.#second = this.#send(member, now());
    network.onSecond(network.name, cause);
  }

  #send(member: Member, begunAt: number): Runner {
    const { network, send } = this.#options;
    const trial = beginAttempt(member, begunAt, trialWaitMs(member, areAllFailed(network.state)));
    const runner: Runner = { member, begunAt, trial, sent: null, reply: null };
    runner.sent = send(member, (reply) => this.#onReply(runner, reply));
    return runner;
  }

  #onReply(runner: Runner, reply: Reply): void {
    runner.reply = reply;
    if (this.#over) return;
    const other = runner === this.#first ? this.#second : this.#first;
    const waits = other !== null && other.reply === null && this.#options.judge(reply) !== ANSWERED;
    if (!waits) this.#finish(runner, reply, other);
  }

  #finish(runner: Runner, reply: Reply, loser: Runner | null): void {
    this.#over = true;
    this.#options.network.lateness.waiting.remove(this);
    if (this.#hedge) clearTimeout(this.#hedge);
    if (loser) this.#options.onLoser(loser, this.#verdictOf(loser));
    this.#resolve({ runner, reply });
  }

  /** An attempt that was given up says something about its upstream only if that had gone silent. */
  #verdictOf(loser: Runner): Verdict {
    const { reply } = loser;
    if (reply === null) {
      loser.sent?.cancel('superseded');
      return this.#cause === 'silent' && loser === this.#first ? SILENT : ABORTED;
    }
    if (reply.kind === 'answered') reply.rest?.discard();
    return this.#options.judge(reply);
  }
}
