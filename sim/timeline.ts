// The order of everything in a simulated life: a virtual clock and the things that are due on it. What is due at the same
// moment comes in the order in which it was asked for; chance enters through the delays that are asked for.

export interface Due {
  readonly atMs: number;
  readonly order: number;
  fn: (() => void) | undefined;
}

/** A heap of what is due, the next on top. */
export class Timeline {
  nowMs = 0;
  #orders = 0;
  readonly #heap: Due[] = [];

  /** @returns a handle for cancel(). */
  after(delayMs: number, fn: () => void): Due {
    const due: Due = { atMs: this.nowMs + delayMs, order: this.#orders++, fn };
    this.#heap.push(due);
    this.#up(this.#heap.length - 1);
    return due;
  }

  cancel(due: Due): void {
    due.fn = undefined;
  }

  /** Time passes until the next thing that is due, which is taken off; undefined when nothing will ever happen again. */
  next(): (() => void) | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined) return undefined;
      const last = this.#heap.pop() as Due;
      if (last !== first) {
        this.#heap[0] = last;
        this.#down(0);
      }
      const { fn } = first;
      if (fn === undefined) continue;
      this.nowMs = first.atMs;
      first.fn = undefined;
      return fn;
    }
  }

  #before(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one] as Due, this.#heap[other] as Due];
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  }

  #swap(one: number, other: number): void {
    const kept = this.#heap[one] as Due;
    this.#heap[one] = this.#heap[other] as Due;
    this.#heap[other] = kept;
  }

  #up(index: number): void {
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#before(index, parent)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #down(index: number): void {
    for (;;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < this.#heap.length && this.#before(child, least)) least = child;
      }
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }
}
