// Decides: what answers tell of their upstream's head, and which of them would let the head go back for clients.
// Must not know: pick, tries. Answers are looked at, never changed.
import { type NamedBlock, subjectIn } from '@rpc-balancer/shared';
import { behindOf, isSomewhere, rankedHead } from '../balance/blocks.ts';
import type { BlockNeed } from '../balance/heads.ts';
import type { Member } from '../balance/member.ts';
import type { NetworkState } from '../balance/network-state.ts';
import type { Call } from './call.ts';
import type { Network } from './network.ts';
import { ANSWERED, BEHIND, type Verdict } from './outcome.ts';

/** What an answer says of a block. */
interface ShownBlock {
  readonly number: number;
  readonly hash: string | null;
}

/** Nodes write a block's header first, and number and hash within its first two kilobytes. */
const LOOKED_AT_BYTES = 4096;

/** CometBFT's `status` has the height under a longer name; in blocks, headers and commits the header's comes first. */
const PATTERNS = {
  number: /"result"\s*:\s*"(0x[0-9a-f]{1,13})"/i,
  block: /"number"\s*:\s*"(0x[0-9a-f]{1,13})"/i,
  height: /"(?:latest_block_)?height"\s*:\s*"(\d{1,15})"/,
} as const;
const HASH = /"hash"\s*:\s*"(0x[0-9a-f]{64})"/i;
const RESULT_HASH = /"result"\s*:\s*"(0x[0-9a-f]{64})"/i;
const NOTHING = /"result"\s*:\s*null/;

function shownIn(answer: Buffer, { view }: Call): ShownBlock | null {
  if (!view?.shown) return null;
  const { shown, named } = view;
  const text = answer.toString('latin1', 0, LOOKED_AT_BYTES);
  if (shown === 'hash') {
    const hash = RESULT_HASH.exec(text)?.[1];
    return hash === undefined || named?.number == null
      ? null
      : { number: named.number, hash: hash.toLowerCase() };
  }
  const number = PATTERNS[shown].exec(text)?.[1];
  if (number === undefined) return null;
  // Substrate's headers do not repeat the hash that they were asked by.
  return { number: Number(number), hash: HASH.exec(text)?.[1]?.toLowerCase() ?? named?.hash ?? null };
}

export interface Answering {
  readonly network: Network;
  readonly member: Member;
  readonly tried: readonly Member[];
  readonly now: number;
  /** The answer is larger than what is held, so that it is lost when another upstream is asked. */
  readonly streamed: boolean;
}

/**
 * Learns from the answers of an attempt, and opens each call again whose answer is below what clients were shown: another
 * upstream may do better. Until one does, it stays the last resort.
 */
export function review(answering: Answering, calls: readonly Call[], verdict: Verdict): Verdict {
  let reopened = false;
  for (const call of calls) {
    if (call.view === null || call.answer === null) continue;
    const { answer } = call;
    noteReadBack(answering, call, answer);
    const shown = shownIn(answer, call);
    if (isTooLow(answering, call, answer, shown)) {
      reopen(answering, call, answer, shown);
      reopened = true;
    } else if (shown !== null) learn(answering, call, shown);
  }
  return reopened && calls.every(({ answer }) => answer === null) && verdict === ANSWERED ? BEHIND : verdict;
}

/** Or too high to be true, which would make every other upstream look late. */
function isTooLow(answering: Answering, call: Call, answer: Buffer, shown: ShownBlock | null): boolean {
  const { network, now } = answering;
  const { state } = network;
  const named = call.view?.named;
  if (!named || !call.view?.shown || !state.monotonicHead || !mayDoBetter(answering)) return false;
  if (named.tag === 'latest' && shown !== null)
    return shown.number < state.heads.mark || shown.number > ceilingOf(state, now);
  const isMissing = shown === null && NOTHING.test(answer.toString('latin1', 0, LOOKED_AT_BYTES));
  return isMissing && isExpected(answering, named);
}

/** Whether a block that a node has not got is one that others have, as far as can be told. */
function isExpected({ network, member, now }: Answering, { number, hash }: NamedBlock): boolean {
  const { state } = network;
  const height = number ?? (hash === null ? null : state.heads.heightOf(hash));
  if (height !== null) return state.heads.mark > 0 && height <= state.heads.mark;
  // A hash that nobody has spoken of may well be that of the newest block.
  return hash !== null && behindOf(state, needOfMark(state), [], now).includes(member);
}

function needOfMark({ heads }: NetworkState): BlockNeed {
  return { head: heads.mark, since: 0, finalized: 0, anyTier: true };
}

function ceilingOf(state: NetworkState, now: number): number {
  return state.heads.ceiling(rankedHead(state, now), now);
}

/** A held answer is kept meanwhile; a streamed one is given up only for an upstream that is known to be there. */
function mayDoBetter({ network, member, tried, now, streamed }: Answering): boolean {
  const { state } = network;
  if (!streamed) return state.members.length > 1;
  return isSomewhere(state, needOfMark(state), [...tried, member], now);
}

function reopen(
  { member, network, now, streamed }: Answering,
  call: Call,
  answer: Buffer,
  shown: ShownBlock | null,
): void {
  call.answer = null;
  const ceiling = ceilingOf(network.state, now);
  const worthOf = (block: ShownBlock | null) => (block && block.number <= ceiling ? block.number : -1);
  if (shown !== null && worthOf(shown) >= 0) noteHead(member, shown.number, now);
  if (streamed) return;
  const before = call.lastResort;
  if (before === null || worthOf(shownIn(before, call)) <= worthOf(shown)) call.lastResort = answer;
}

function noteHead(member: Member, head: number, now: number): void {
  member.shownHead = head;
  member.shownAt = now;
}

function learn({ network, member, now }: Answering, call: Call, { number, hash }: ShownBlock): void {
  const { state } = network;
  const tag = call.view?.named?.tag ?? null;
  // A pending block is not there yet.
  if (tag === 'pending' || number > ceilingOf(state, now)) return;
  if (tag === 'latest' || number >= member.shownHead) noteHead(member, number, now);
  if (hash !== null) state.heads.learnHeight(hash, number);
  state.heads.raise(number, now);
  state.heads.announce(number);
}

/** The last resort became the answer: nobody had anything better. */
export function letThrough({ state }: Network, call: Call, answer: Buffer, now: number): void {
  const shown = shownIn(answer, call);
  if (shown === null || !state.monotonicHead || call.view?.named?.tag !== 'latest') return;
  if (shown.number < state.heads.mark) state.heads.concede(shown.number, now);
  else if (rankedHead(state, now) === null) state.heads.raise(shown.number, now); // Nobody says that it is too high.
}

/** A transaction was sent: its sender reads it where it is. Or another upstream has it by now. */
function noteReadBack({ network, member, now }: Answering, call: Call, answer: Buffer): void {
  const { state } = network;
  if (call.view?.raw) {
    const hash = subjectIn(RESULT_HASH.exec(answer.toString('latin1', 0, LOOKED_AT_BYTES))?.[1] ?? null);
    if (hash === null) return;
    state.writes.note([hash], member.id, state.heads.mark, now);
    network.onWrite({ network, upstream: member.id, hash, raw: call.view.raw });
  } else if (call.view?.subject && /"result"\s*:\s*\{/.test(answer.toString('latin1', 0, LOOKED_AT_BYTES))) {
    if (state.writes.takerOf(call.view.subject, state.heads.mark, now) !== member.id)
      state.writes.forget(call.view.subject);
  }
}
