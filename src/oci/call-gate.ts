// How many processes of containers may be in the making at once in one shim. Hundreds of runtimes started together only
// take the processor from each other, and from the shim that has to answer meanwhile; a few at a time are done sooner,
// all of them. One that takes long (a hook, a slow disk, a runtime that hangs) stops to count, so that it holds up nobody.

import type { Sys, TimerId } from "../sys/sys.d.ts";

/** Calls at once. More than that do not finish sooner even where there are many processors: the shim has one thread. */
export const callsAtOnce = 8;
/** How long a call counts. A usual one is over in a tenth of it. */
export const countedForMs = 500;

interface Call {
  readonly sinceMs: number;
  counted: boolean;
}

export class CallGate {
  readonly #sys: Sys;
  /** In the order in which they began. */
  readonly #running = new Set<Call>();
  readonly #waiting: (() => void)[] = [];
  #counted = 0;
  #timer: TimerId | undefined;

  constructor(sys: Sys) {
    this.#sys = sys;
  }

  /** Runs it when it is its turn; those who come first are first. Settles as it does. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#counted >= callsAtOnce) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        this.#watch();
      });
    } else this.#counted++;
    const entry: Call = { sinceMs: this.#sys.monotonicMs(), counted: true };
    this.#running.add(entry);
    try {
      return await call();
    } finally {
      this.#running.delete(entry);
      this.#free(entry);
    }
  }

  /** Its place goes to the next one, once. */
  #free(entry: Call): void {
    if (!entry.counted) return;
    entry.counted = false;
    const next = this.#waiting.shift();
    if (next === undefined) this.#counted--;
    else next();
    if (this.#waiting.length === 0 && this.#timer !== undefined) {
      this.#sys.timerStop(this.#timer);
      this.#timer = undefined;
    }
  }

  /** As long as somebody waits, those that take long are looked for. */
  #watch(): void {
    this.#timer ??= this.#sys.timerStart(countedForMs, () => {
      this.#timer = undefined;
      const longAgoMs = this.#sys.monotonicMs() - countedForMs;
      for (const entry of this.#running) if (entry.sinceMs <= longAgoMs) this.#free(entry);
      if (this.#waiting.length > 0) this.#watch();
    });
  }
}
