// Decides: how the end of a request (deadline, client gone, shutdown) reaches the attempt that is in flight.
// Must not know: why it ends. Lighter than AbortController, of which every request would need one.

export type CancelReason = 'deadline' | 'client' | 'closing';

/** The requests that are running, for a shutdown to reach. A Set would be rehashed time and again as they come and go. */
export class Running {
  readonly #all: Cancellation[] = [];

  enter(): Cancellation {
    const cancellation = new Cancellation(this.#all.length);
    this.#all.push(cancellation);
    return cancellation;
  }

  /** The request is over; without effect when it was before. */
  leave(cancellation: Cancellation): void {
    if (this.#all[cancellation.place] !== cancellation) return;
    const last = this.#all.pop();
    if (last === undefined || last === cancellation) return;
    last.place = cancellation.place;
    this.#all[last.place] = last;
  }

  cancel(reason: CancelReason): void {
    for (const cancellation of [...this.#all]) cancellation.cancel(reason);
  }
}

/** Ends whatever listens, once. */
export class Cancellation {
  /** Where it stands among those running. */
  place: number;
  #listeners: ((reason: CancelReason) => void)[] = [];
  #reason: CancelReason | null = null;

  constructor(place = 0) {
    this.place = place;
  }

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
