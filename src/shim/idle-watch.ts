// What a shim does when nothing goes on: one that has no container and no client leaves after a while, as whoever
// started it is gone; and one that has grown in a burst of work gives the memory back.

import type { Sys, TimerId } from "../sys/sys.d.ts";

/** An empty shim may be normal for long: between `start` and Create, and in a pod without containers. */
export const emptyPatienceMs = 60_000;
const quietMs = 1_000;
/** Growth since the last collection that is worth another one (a collection takes a tenth of a millisecond or so). */
const worthwhileBytes = 64 << 10;

export interface IdleWatchOptions {
  readonly sys: Sys;
  /** Whether there is neither a container nor a client. */
  readonly isEmpty: () => boolean;
  /** It has been empty all the time. */
  readonly onAbandoned: () => void;
}

export class IdleWatch {
  readonly #options: IdleWatchOptions;
  #emptySince: TimerId | undefined;
  /** A timer runs that will look whether it is quiet. */
  #isLooking = false;
  #lastWorkMs = 0;
  #bytesAfterCollection = 0;

  constructor(options: IdleWatchOptions) {
    this.#options = options;
  }

  /** To be called whenever a container or client comes or goes. */
  changed(): void {
    const { sys, isEmpty, onAbandoned } = this.#options;
    if (!isEmpty()) {
      if (this.#emptySince !== undefined) sys.timerStop(this.#emptySince);
      this.#emptySince = undefined;
    } else {
      this.#emptySince ??= sys.timerStart(emptyPatienceMs, onAbandoned);
    }
  }

  /** To be called whenever something is asked of the shim. One timer at most stands for any amount of work. */
  worked(): void {
    this.#lastWorkMs = this.#options.sys.monotonicMs();
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#lookIn(quietMs);
  }

  #lookIn(ms: number): void {
    this.#options.sys.timerStart(ms, () => this.#look());
  }

  #look(): void {
    const { sys } = this.#options;
    const leftMs = this.#lastWorkMs + quietMs - sys.monotonicMs();
    if (leftMs > 0) {
      this.#lookIn(leftMs);
      return;
    }
    this.#isLooking = false;
    if (sys.heap().usedBytes < this.#bytesAfterCollection + worthwhileBytes) return;
    sys.collectGarbage();
    this.#bytesAfterCollection = sys.heap().usedBytes;
  }
}
