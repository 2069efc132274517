// Decides: how the end of a request (deadline, client gone, shutdown) reaches the attempt that is in flight.
// Must not know: why it ends. Lighter than AbortController, of which every request would need one.

import type { Entry } from './roster.ts';

/** `superseded`: another attempt of the same request was answered first. */
export type CancelReason = 'deadline' | 'client' | 'closing' | 'superseded';

/** Ends whatever listens, once. */
export class Cancellation implements Entry {
  place = 0;
  #listeners: ((reason: CancelReason) => void)[] = [];
  #reason: CancelReason | null = null;

  get reason(): CancelReason | null {
    return this.#reason;
  }

  cancel(reason: CancelReason): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    for (const listener of this.#listeners.splice(0)) listener(reason);
  }

  /** Calls back when cancelled, unless taken away with {@link offCancel} before. */
  onCancel(listener: (reason: CancelReason) => void): void {
    this.#listeners.push(listener);
  }

  offCancel(listener: (reason: CancelReason) => void): void {
    const at = this.#listeners.indexOf(listener);
    if (at !== -1) this.#listeners.splice(at, 1);
  }
}
