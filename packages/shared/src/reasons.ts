// Decides: the closed set of words that say why an upstream is not picked, and how binding each is.
// Must not know: who found the reason or what is done about it.

/** `hard`: never ignored. `soft`: ignored before a request is refused. `none`: no exclusion. */
export type ReasonKind = 'hard' | 'soft' | 'none';

/** Every reason with its kind. The words are wire format, metric label and public API at once. */
export const REASONS = {
  disabled: 'hard',
  drained: 'hard',
  wrong_chain: 'hard',
  ejected: 'hard',
  full: 'hard',
  throttled: 'hard',
  budget_spent: 'hard',
  untagged: 'hard',
  unsupported: 'soft',
  behind_block: 'soft',
  unreachable: 'soft',
  probe_timeout: 'soft',
  probe_failed: 'soft',
  unauthorized: 'soft',
  silent: 'soft',
  syncing: 'soft',
  lagging: 'soft',
  stalled: 'soft',
  no_peers: 'soft',
  suspect: 'soft',
  unprobed: 'soft',
  standby: 'none',
} as const satisfies Record<string, ReasonKind>;

export type Reason = keyof typeof REASONS;

export const reasonNames = Object.keys(REASONS) as [Reason, ...Reason[]]; // Object.keys widens to string[]

export function isHard(reason: Reason): boolean {
  return REASONS[reason] === 'hard';
}
