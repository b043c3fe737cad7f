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

  #up(from: number): void {
    const heap = this.#heap;
    const due = heap[from] as Due;
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Due;
      if (!isBefore(due, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = due;
  }

  #down(from: number): void {
    const heap = this.#heap;
    const due = heap[from] as Due;
    let index = from;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Due, heap[child] as Due)) child++;
      const below = heap[child] as Due;
      if (!isBefore(below, due)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = due;
  }
}

function isBefore(one: Due, other: Due): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
