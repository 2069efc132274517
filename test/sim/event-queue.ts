// Decides: what happens next in a simulated time: the earliest event, and of equal ones the first that was planned.
// Must not know: what the events are.

interface Planned {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A binary heap of what is planned. */
export class EventQueue {
  now: number;
  #count = 0;
  readonly #heap: Planned[] = [];

  constructor(startAt: number) {
    this.now = startAt;
  }

  after(ms: number, run: () => void): void {
    const heap = this.#heap;
    const planned = { at: this.now + ms, order: this.#count++, run };
    let place = heap.length;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above];
      if (!parent || isBefore(parent, planned)) break;
      heap[place] = parent;
      place = above;
    }
    heap[place] = planned;
  }

  runUntil(endAt: number): void {
    for (let next = this.#heap[0]; next && next.at <= endAt; next = this.#heap[0]) {
      this.#removeFirst();
      this.now = next.at;
      next.run();
    }
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let place = 0;
    for (;;) {
      const left = heap[2 * place + 1];
      const right = heap[2 * place + 2];
      const lower = left && right && isBefore(right, left) ? right : left;
      if (!lower || isBefore(last, lower)) break;
      heap[place] = lower;
      place = lower === right ? 2 * place + 2 : 2 * place + 1;
    }
    heap[place] = last;
  }
}

function isBefore(one: Planned, other: Planned): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
