// Readers who come to a FIFO when its stream has ended. What is unread is kept for them, yet open(2) of a FIFO for reading
// waits for a writer, and there is none any more: they would wait for ever. So, as long as bytes are unread, the FIFO is
// opened for writing and closed again now and then: whoever waits in open goes on, reads, and finds the end of file. Nobody
// else notices. Knows one FIFO by the fd that is kept of it, and owns nothing of it.

import { isErrno } from "../sys/errno.ts";
import { O_NONBLOCK, O_WRONLY } from "../sys/flags.ts";
import type { Fd, Sys, TimerId } from "../sys/sys.d.ts";

/** Between two looks: this at least, else a part of the time that has gone by, as an idle shim should sleep. */
const shortestPauseMs = 100;
const pauseIsPartOfElapsed = 32;
/** Whoever has not come within a week does not come. */
const givesUpAfterMs = 7 * 24 * 3_600_000;

export class LateReaders {
  readonly #sys: Sys;
  readonly #kept: Fd;
  #timer: TimerId | undefined;
  /** Since the stream's end. */
  #elapsedMs = 0;

  /** @param kept the read end of a FIFO to which nobody writes any more; it must be open until `stop`. */
  constructor(sys: Sys, kept: Fd) {
    this.#sys = sys;
    this.#kept = kept;
    this.#lookAgain();
  }

  /** To be called before the fd is closed. */
  stop(): void {
    if (this.#timer !== undefined) this.#sys.timerStop(this.#timer);
    this.#timer = undefined;
  }

  #lookAgain(): void {
    const unread = this.#sys.readable(this.#kept);
    if (isErrno(unread) || unread === 0 || this.#elapsedMs > givesUpAfterMs) return;
    const pauseMs = Math.max(shortestPauseMs, Math.floor(this.#elapsedMs / pauseIsPartOfElapsed));
    this.#timer = this.#sys.timerStart(pauseMs, () => {
      this.#timer = undefined;
      this.#elapsedMs += pauseMs;
      // By the fd: the path may be another FIFO's by now.
      const writer = this.#sys.open(`/proc/self/fd/${this.#kept}`, O_WRONLY | O_NONBLOCK, 0);
      // Without a free fd it is for the next look to do.
      if (!isErrno(writer)) this.#sys.close(writer);
      this.#lookAgain();
    });
  }
}
