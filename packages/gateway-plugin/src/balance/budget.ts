// Decides: how much load may be added by asking a second upstream the same.
// Must not know: why it is asked.

/** Hedges: one to twenty attempts. More would slow down what they are to speed up. */
const HEDGE_RATIO = 0.05;
/** So that a quiet network may hedge at all, and none saves up a flood. */
const HEDGES_MAX = 10;

/** Rescues from a silent or excluded upstream: all that is in flight there, at once. */
const RESCUE_RATIO = 0.2;
const RESCUES_MAX = 2000;
const RESCUES_AT_START = 200;

export class Budget {
  #hedges = 1;
  #rescues = RESCUES_AT_START;

  /** An attempt was sent: it earns a share of another. */
  earn(): void {
    this.#hedges = Math.min(HEDGES_MAX, this.#hedges + HEDGE_RATIO);
    this.#rescues = Math.min(RESCUES_MAX, this.#rescues + RESCUE_RATIO);
  }

  takeHedge(): boolean {
    if (this.#hedges < 1) return false;
    this.#hedges--;
    return true;
  }

  takeRescue(): boolean {
    if (this.#rescues < 1) return false;
    this.#rescues--;
    return true;
  }
}
