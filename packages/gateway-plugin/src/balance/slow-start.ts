// Decides: the weight that an upstream has while it climbs back after a recovery (nginx's slow_start, of the commercial build).
// Must not know: why it was away.
import type { Member } from './member.ts';
import type { NetworkState } from './network-state.ts';

/** The share is set anew this often; finer steps would change no pick that anybody notices. */
const STEP_MS = 100;

/** The climb begins here, not at 0: some traffic must come, or nothing is learned. */
const FIRST_SHARE_RATIO = 0.05;

/** Sets every member's share; says until when that holds, epoch ms. A lone upstream has nobody to leave its calls to. */
export function warmUp({ members, slowStartMs }: NetworkState, now: number): number {
  if (slowStartMs === null || members.length === 1) return Number.POSITIVE_INFINITY;
  let climbing = false;
  for (const member of members) {
    const ratio = ratioOf(member, now, slowStartMs);
    member.share = member.weight * ratio;
    climbing ||= ratio < 1;
  }
  return climbing ? now + STEP_MS : Number.POSITIVE_INFINITY;
}

function ratioOf({ recoveredAt }: Member, now: number, slowStartMs: number): number {
  if (recoveredAt === 0) return 1;
  return Math.min(1, Math.max(FIRST_SHARE_RATIO, (now - recoveredAt) / slowStartMs));
}
