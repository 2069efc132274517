// Decides: how many events the last minute had.
// Must not know: which events. The clock is handed in.

const SECONDS = 60;

/** Counts by whole seconds, the present one included; older ones are forgotten. */
export class Minute {
  readonly #counts = new Uint32Array(SECONDS);
  #second = 0;

  add(now: number): void {
    const at = this.#slotOf(now);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  count(now: number): number {
    this.#slotOf(now);
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** Empties the seconds that have passed since the last look; a clock that goes back changes nothing. */
  #slotOf(now: number): number {
    const second = Math.max(this.#second, Math.floor(now / 1000));
    const from = Math.max(this.#second + 1, second - SECONDS + 1);
    for (let passed = from; passed <= second; passed++) this.#counts[passed % SECONDS] = 0;
    this.#second = second;
    return second % SECONDS;
  }
}
