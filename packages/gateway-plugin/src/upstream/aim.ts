// Decides: what the calls that are open want of their next upstream, and who that is.
// Must not know: what is sent, or what came of it.
import { BalancerError } from '@rpc-balancer/shared';
import { behindOf, needOf } from '../balance/blocks.ts';
import type { BlockNeed } from '../balance/heads.ts';
import type { Member } from '../balance/member.ts';
import { isRefusal, pick, type Refusal, refusal, type Wanted } from '../balance/pick.ts';
import { pickFor } from '../balance/pin.ts';
import { takerOf } from '../balance/read-back.ts';
import { type Call, isAnswered } from './call.ts';
import type { Network } from './network.ts';

export interface Aim {
  readonly wanted: Wanted;
  /** The block that is asked for. */
  readonly need: BlockNeed | null;
  readonly member: Member | Refusal;
}

type Limits = Pick<Wanted, 'tried' | 'tag'> & {
  readonly triesLeft: number;
  /** The one upstream that the request insists on; null for any. */
  readonly pin: string | null;
};

const NOBODY: readonly Member[] = [];

/** @throws BalancerError `RPCB_UNKNOWN_UPSTREAM` unless the request insists on nobody, or on one that there is */
export function assertPin({ name, state }: Network, pin: string | null): void {
  if (pin === null || state.members.some(({ id }) => id === pin)) return;
  throw new BalancerError('RPCB_UNKNOWN_UPSTREAM', { detail: `x-rpcb-use names none of "${name}"` });
}

/** For a request with no tries left: why there is nobody. */
export function aim(
  { state, random }: Network,
  open: readonly Call[],
  { tried, tag, triesLeft, pin }: Limits,
  now: number,
): Aim {
  const need = needOf(state, open, now);
  const behind = need === null ? NOBODY : behindOf(state, need, tried, now);
  const wanted = { tried, tag, asked: open, answered: open.every(isAnswered), behind };
  if (triesLeft <= 0) return { wanted, need, member: refusal(state, wanted, now) };
  return {
    wanted,
    need,
    member:
      (pin === null ? takerOf(state, open, wanted, now) : null) ?? pickFor(pin, state, wanted, now, random),
  };
}

/** Who may be asked the same at the same time: not whoever would be first to say that it lacks the block. */
export function secondFor({ state, random }: Network, wanted: Wanted, now: number): Member | null {
  const other = pick(state, wanted, now, random);
  return isRefusal(other) || wanted.behind.includes(other) ? null : other;
}

/** A batch goes whole to one upstream, but calls that want different tags may have none in common. */
export function byTag({ tagOf }: Network, calls: readonly Call[]): readonly (readonly Call[])[] {
  const groups = new Map<string | undefined, Call[]>();
  for (const call of calls) {
    const tag = tagOf(call.method);
    const group = groups.get(tag);
    if (group) group.push(call);
    else groups.set(tag, [call]);
  }
  return [...groups.values()];
}
