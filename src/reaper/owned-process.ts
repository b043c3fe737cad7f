// One child that somebody waits for: its pid as long as it is its own, its exit once it is known, and signals for the
// time before that.

import { ECHILD, EINVAL, ESRCH, errnoName, isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import type { Pid, Sys } from "../sys/sys.d.ts";

/** How a process ended. */
export interface Exit {
  readonly pid: Pid;
  /** 0 to 255; 128 + N when signal N ended it. */
  readonly status: number;
  /** 0: it exited by itself. */
  readonly signal: number;
  /** CLOCK_REALTIME when it was seen. */
  readonly atNs: bigint;
}

/** What the owner of a child holds. */
export interface OwnedProcess {
  /** Its own as long as `exit` is undefined, and until the callbacks of its exit have returned. */
  readonly pid: Pid;
  /** Set before anybody is called back about this exit or another one seen at the same time. */
  readonly exit: Exit | undefined;
  /** Never rejects. */
  readonly exited: Promise<Exit>;
  /**
   * False: it has ended (or is a zombie already), nothing was sent.
   * @throws MoorError when the kernel refuses for another reason: invalid_argument for a signal that does not exist.
   */
  signal(signal: number): boolean;
}

/** One whose exit is known from an image of the program before this one. */
export function endedProcess(exit: Exit): OwnedProcess {
  return { pid: exit.pid, exit, exited: Promise.resolve(exit), signal: () => false };
}

export class Child implements OwnedProcess {
  readonly pid: Pid;
  readonly exited: Promise<Exit>;
  readonly #sys: Sys;
  readonly #onExit: ((exit: Exit) => void) | undefined;
  #resolve: (exit: Exit) => void = () => undefined;
  #exit: Exit | undefined;

  constructor(sys: Sys, pid: Pid, onExit: ((exit: Exit) => void) | undefined) {
    this.#sys = sys;
    this.pid = pid;
    this.#onExit = onExit;
    this.exited = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  signal(signal: number): boolean {
    if (this.#exit !== undefined) return false;
    const seen = this.#sys.peekPid(this.pid);
    // ECHILD cannot be (only the reaper reaps); if it is, the pid is anybody's by now.
    if (seen === ECHILD) return false;
    if (seen !== undefined && !isErrno(seen)) return false;
    // It may become a zombie between the two calls; the zombie keeps the pid, so that the signal meets nobody else.
    const sent = this.#sys.kill(this.pid, signal);
    if (sent === 0) return true;
    if (sent === ESRCH) return false;
    const code = sent === EINVAL ? "invalid_argument" : "unknown";
    throw new MoorError(code, `signal ${signal} to process ${this.pid}: ${errnoName(sent)}`, { errno: sent });
  }

  /** The reaper has seen the exit: from now on no signal is sent. */
  note(exit: Exit): void {
    this.#exit = exit;
  }

  /** Tells the owner. What its callback throws comes out of here; `exited` is settled all the same. */
  handOver(): void {
    const exit = this.#exit;
    if (exit === undefined) return;
    this.#resolve(exit);
    this.#onExit?.(exit);
  }
}
