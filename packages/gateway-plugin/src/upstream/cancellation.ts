// Decides: how the end of a request (deadline, client gone, shutdown) reaches the attempt that is in flight.
// Must not know: why it ends. Lighter than AbortController, of which every request would need one.

export type CancelReason = 'deadline' | 'client' | 'closing';

/** Ends whatever listens, once. */
export class Cancellation {
  #listeners = new Set<(reason: CancelReason) => void>();
  #reason: CancelReason | null = null;

  get reason(): CancelReason | null {
    return this.#reason;
  }

  cancel(reason: CancelReason): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    for (const listener of this.#listeners) listener(reason);
    this.#listeners.clear();
  }

  /** Calls back when cancelled; returns the function that takes the listener away. */
  onCancel(listener: (reason: CancelReason) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
