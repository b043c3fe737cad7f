// What init runs, as the kernel tells it. The init that `create` leaves runs the runtime's own program until `start` lets it
// go: whether it has gone is to be seen here, also when the runtime did not live to say so.

import type { OwnedProcess } from "../reaper/reaper.ts";
import { isErrno } from "../sys/errno.ts";
import type { Pid, Sys } from "../sys/sys.d.ts";

/** Either is "" when it cannot be told; of a zombie the kernel still knows the name. */
export interface Image {
  /** proc_pid_comm(5); each execve sets it. */
  readonly comm: string;
  /** proc_pid_exe(5). */
  readonly exe: string;
}

/** Between its release by a runtime that was killed and its execve init has a few steps to go. */
export const executedWithinMs = 1_000;

/** Plain data by which another image of the shim goes on with a watch. */
export interface KeptWatch {
  readonly before: Image;
  readonly hadExecuted: boolean | undefined;
}

const longestComm = 64;
const pauseMs = 10;

/** Watches one process for an execve since the watch was made. */
export class ExecutionWatch {
  readonly #sys: Sys;
  readonly #process: OwnedProcess;
  readonly #before: Image;
  #hadExecuted: boolean | undefined;

  constructor(sys: Sys, process: OwnedProcess, kept?: KeptWatch) {
    this.#sys = sys;
    this.#process = process;
    this.#before = kept?.before ?? imageOf(sys, process.pid);
    this.#hadExecuted = kept?.hadExecuted;
  }

  keep(): KeptWatch {
    return { before: this.#before, hadExecuted: this.#hadExecuted };
  }

  /** To be called when its exit is seen, before it is reaped: the last moment at which anything is known of it. Once counts. */
  ended(): void {
    this.#hadExecuted ??= this.#look();
  }

  /** Whether it executes something within this time: between its release and its execve it has a few steps to go. */
  async executedWithin(ms: number): Promise<boolean> {
    const untilMs = this.#sys.monotonicMs() + ms;
    for (;;) {
      if (this.#process.exit !== undefined) return this.#hadExecuted === true;
      if (this.#look()) return true;
      if (this.#sys.monotonicMs() >= untilMs) return false;
      await new Promise<void>((resolve) => void this.#sys.timerStart(pauseMs, resolve));
    }
  }

  #look(): boolean {
    const now = imageOf(this.#sys, this.#process.pid);
    return differ(this.#before.comm, now.comm) || differ(this.#before.exe, now.exe);
  }
}

function imageOf(sys: Sys, pid: Pid): Image {
  const comm = sys.readText(`/proc/${pid}/comm`, longestComm);
  const exe = sys.readlink(`/proc/${pid}/exe`);
  return { comm: isErrno(comm) ? "" : comm, exe: isErrno(exe) ? "" : exe };
}

function differ(before: string, now: string): boolean {
  return before !== "" && now !== "" && before !== now;
}
