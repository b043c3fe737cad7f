// A logging program: it reads a process's output from fds 3 and 4, and says on fd 5 that it is ready. Its pipes end with
// the streams, which is how it learns that its work is done; one that does not end for all that is ended.

import { settledWithin, withDeadline } from "../reaper/deadline.ts";
import type { OwnedProcess, Reaper } from "../reaper/reaper.ts";
import { EAGAIN, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { POLLIN, SIGKILL, SIGTERM } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import type { LoggerPlan } from "./plan.ts";

export interface LoggerContext {
  readonly sys: Sys;
  readonly reaper: Pick<Reaper, "spawn">;
  readonly log: Log;
}

export interface LoggerSetup {
  readonly plan: LoggerPlan;
  readonly containerId: string;
  readonly namespace: string;
  readonly bundle: string;
  readonly environ: readonly string[];
  /** Reading ends of the output pipes; borrowed. */
  readonly outFd: Fd;
  readonly errFd: Fd;
}

const readyWithinMs = 10_000;
/** A process that ends closes its files first, and is seen to have ended this much later at the latest. */
const endAfterCloseMs = 5;
/** Between SIGTERM and SIGKILL. */
const termWithinMs = 5_000;

export class Logger {
  /** It has ended, whatever the reason. */
  readonly ended: Promise<unknown>;
  readonly #sys: Sys;
  readonly #process: OwnedProcess;
  readonly #file: string;
  #dismissed = false;

  constructor({ sys, log }: Pick<LoggerContext, "sys" | "log">, process: OwnedProcess, file: string) {
    this.#sys = sys;
    this.#process = process;
    this.#file = file;
    this.ended = process.exited.then(({ status }) => {
      if (status !== 0 && !this.#dismissed) log.warn("a logger has failed", { file, status, pid: process.pid });
    });
  }

  /** Plain data by which another image of the program goes on with it. */
  keep(): { readonly pid: number; readonly file: string } | undefined {
    return this.#process.exit === undefined ? { pid: this.#process.pid, file: this.#file } : undefined;
  }

  /** Its streams end; it has this long to write down what they still hold, then it is told by signals. Returns at once. */
  dismiss(patienceMs: number): void {
    if (this.#dismissed) return;
    this.#dismissed = true;
    void this.#end(patienceMs);
  }

  async #end(patienceMs: number): Promise<void> {
    if (await settledWithin(this.#sys, patienceMs, this.ended)) return;
    this.#process.signal(SIGTERM);
    if (await settledWithin(this.#sys, termWithinMs, this.ended)) return;
    this.#process.signal(SIGKILL);
  }
}

/**
 * Starts a logger and waits until it is ready. Its environment is the two names of containerd's contract, and PATH, so
 * that a script finds its programs.
 * @throws MoorError that names it when it cannot be started, ends before it is ready (with its status), or is not ready in
 * time; it is killed then.
 */
export async function startLogger(context: LoggerContext, setup: LoggerSetup): Promise<Logger> {
  const { sys } = context;
  const { file, args } = setup.plan;
  const [readyFd, saysReadyFd] = must(sys.pipe(0), `logger ${file}`);
  let process: OwnedProcess | undefined;
  try {
    try {
      must(sys.setNonblock(readyFd, true), `logger ${file}`);
      process = context.reaper.spawn({
        file,
        argv: [file, ...args],
        env: [
          `CONTAINER_ID=${setup.containerId}`,
          `CONTAINER_NAMESPACE=${setup.namespace}`,
          ...setup.environ.filter((entry) => entry.startsWith("PATH=")),
        ],
        cwd: setup.bundle,
        fds: [
          { target: 3, source: setup.outFd },
          { target: 4, source: setup.errFd },
          { target: 5, source: saysReadyFd },
        ],
      });
    } finally {
      sys.close(saysReadyFd);
    }
    const said = firstWord(sys, readyFd, process);
    await withDeadline(sys, readyWithinMs, `logger ${file}: ready`, whenReady(sys, setup.plan, process, said));
    return new Logger(context, process, file);
  } catch (thrown) {
    process?.signal(SIGKILL);
    if (thrown instanceof MoorError && thrown.code === "not_found") {
      // To a daemon that code says that the container is not there.
      throw new MoorError("invalid_argument", `logger ${file}: ${thrown.message}`, { cause: thrown });
    }
    throw thrown;
  } finally {
    sys.pollStop(readyFd);
    sys.close(readyFd);
  }
}

/** "byte", "eof", or "exit" when it ends first. */
function firstWord(sys: Sys, readyFd: Fd, process: OwnedProcess): Promise<"byte" | "eof" | "exit"> {
  return new Promise((resolve, reject) => {
    const buffer = new Uint8Array(1);
    const polled = sys.pollStart(readyFd, POLLIN, () => {
      const got = sys.read(readyFd, buffer, 0, 1);
      if (got === EAGAIN) return;
      sys.pollStop(readyFd);
      resolve(!isErrno(got) && got > 0 ? "byte" : "eof");
    });
    void process.exited.then(() => resolve("exit"));
    if (isErrno(polled)) reject(new MoorError("unknown", "wait for a logger", { errno: polled }));
  });
}

async function whenReady(
  sys: Sys,
  { file, version }: LoggerPlan,
  process: OwnedProcess,
  said: Promise<"byte" | "eof" | "exit">,
): Promise<void> {
  const word = await said;
  if (word === "byte") return;
  // End of file comes from a process that ends, too.
  await settledWithin(sys, endAfterCloseMs, process.exited);
  const { exit } = process;
  if (exit !== undefined) {
    const how = exit.signal === 0 ? `ended with status ${exit.status}` : `was ended by signal ${exit.signal}`;
    throw new MoorError("unknown", `logger ${file} ${how} before it was ready`);
  }
  if (version === 2) throw new MoorError("unknown", `logger ${file} closed its ready fd without a byte`);
}
