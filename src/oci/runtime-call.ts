// One call of the runtime from its spawn to its end: its output taken to a bound, its log file read for the cause when
// it fails, a deadline after which it is killed. Every path out of here leaves no process, fd or file behind.

import type { Exit, OwnedProcess, Reaper } from "../reaper/reaper.ts";
import { MoorError } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import { passGate } from "../sys/gates.ts";
import type { Log } from "../sys/log.ts";
import type { FdMapping, SpawnRequest, Sys } from "../sys/sys.d.ts";
import { type Operation, RuntimeError } from "./runtime-error.ts";
import { causeFromStderr, readLastError } from "./runtime-log.ts";
import { OutputTap } from "./runtime-output.ts";

/** What a call needs from the outside. */
export interface CallContext {
  readonly sys: Sys;
  readonly reaper: Pick<Reaper, "spawn">;
  readonly log: Log;
  /** The bundle: where the runtime runs and logs; "" where there is none (`-info`). */
  readonly bundle: string;
}

export interface RuntimeCall {
  readonly operation: Operation;
  /** The executable and its argv. */
  readonly file: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** The log file named in argv ("" for none); taken away after the call, or left as the bundle's log.json if there is something in it. */
  readonly logPath: string;
  readonly deadlineMs: number;
  /** fds that the container's process inherits. */
  readonly fds: readonly FdMapping[];
  /**
   * "none": standard output and error are the container's (in fds), or nothing. "errors": both are taken, for the cause of a
   * failure. "answer": standard output is the call's result.
   */
  readonly output: "none" | "errors" | "answer";
}

/** Bytes kept of the beginning and of the end of what a runtime prints. */
const keptOutputBytes = 32 * 1024;
/** Bytes of an answer (state, features) before it is refused. */
const maxAnswerBytes = 1024 * 1024;
/** How long a killed runtime may take to be gone before the call ends without it. */
const killedWithinMs = 5_000;

/**
 * Runs the call to its end and answers what it printed to standard output ("answer"), else "".
 * @throws RuntimeError with the runtime's own message when it failed; MoorError deadline_exceeded when it was killed for
 * taking too long; what Reaper.spawn throws.
 */
export async function callRuntime(context: CallContext, call: RuntimeCall): Promise<string> {
  const { sys, log } = context;
  const taps: OutputTap[] = [];
  try {
    const fds = [...call.fds];
    const open = (keepBytes: number, ...targets: number[]): OutputTap => {
      const tap = new OutputTap(sys, keepBytes);
      taps.push(tap);
      for (const target of targets) fds.push({ target, source: tap.writeFd });
      return tap;
    };
    const answer = call.output === "answer" ? open(maxAnswerBytes, 1) : undefined;
    const errors = call.output === "none" ? undefined : open(keptOutputBytes, ...(answer === undefined ? [1, 2] : [2]));
    const process = start(context, call, fds);
    for (const tap of taps) tap.closeWriteEnd();
    GATE: passGate(sys, `${call.operation}.spawned`);

    const startedMs = sys.monotonicMs();
    const exit = await exitWithin(sys, process, call.deadlineMs);
    if (exit === undefined) await kill(context, process);
    for (const tap of taps) tap.finish();
    GATE: passGate(sys, `${call.operation}.ended`);

    const took = { op: call.operation, pid: process.pid, ms: Math.round(sys.monotonicMs() - startedMs) };
    if (exit?.status === 0) {
      log.debug("runtime call done", took);
      if (answer?.cut) {
        throw new MoorError(
          "internal",
          `OCI runtime ${call.operation}: its answer is longer than ${maxAnswerBytes} bytes`,
        );
      }
      return answer?.text() ?? "";
    }
    const cause =
      (call.logPath === "" ? undefined : readLastError(sys, call.logPath)) ?? causeFromStderr(errors?.text() ?? "");
    log.debug("runtime call failed", { ...took, cause: cause ?? "" });
    if (exit === undefined) throw late(call, cause);
    throw new RuntimeError(call.operation, cause ?? describeExit(call, exit), exit.signal !== 0);
  } finally {
    for (const tap of taps) tap.finish();
    if (call.logPath !== "") keepLog(sys, context.bundle, call.logPath);
  }
}

function start(context: CallContext, call: RuntimeCall, fds: readonly FdMapping[]): OwnedProcess {
  try {
    const request: SpawnRequest = {
      file: call.file,
      argv: call.argv,
      env: call.env,
      // Not the shim's own folder: that may be a bundle long deleted, and runc refuses to work from such a one.
      ...(context.bundle === "" ? {} : { cwd: context.bundle }),
      fds,
      // A group of its own, so that hooks and criu can be killed with a runtime that hangs.
      newGroup: true,
      parentDeathSignal: SIGKILL,
    };
    // One that is killed leaves its hooks and helpers. It is not reaped yet, so the group's id is still its own.
    return context.reaper.spawn(request, ({ pid, signal }) => {
      if (signal !== 0) context.sys.kill(-pid, SIGKILL);
    });
  } catch (thrown) {
    const { code, message, errno } = MoorError.wrap(`OCI runtime ${call.operation} failed`, thrown);
    // To a daemon not_found says that the container is not there, and it is the runtime that is not.
    const told = code === "not_found" ? "unknown" : code;
    throw new MoorError(told, message, errno === undefined ? { cause: thrown } : { cause: thrown, errno });
  }
}

/** The exit, or undefined when the time is over before. */
function exitWithin(sys: Sys, process: OwnedProcess, limitMs: number): Promise<Exit | undefined> {
  return new Promise((resolve, reject) => {
    const timer = sys.timerStart(limitMs, () => resolve(undefined));
    process.exited.then(
      (exit) => {
        sys.timerStop(timer);
        resolve(exit);
      },
      (thrown: unknown) => {
        sys.timerStop(timer);
        reject(thrown instanceof Error ? thrown : MoorError.from(thrown));
      },
    );
  });
}

async function kill(context: CallContext, process: OwnedProcess): Promise<void> {
  const { sys, log } = context;
  // It has not been reaped (exit is undefined), so its pid, and with it its group's id, is still its own.
  if (process.exit === undefined) sys.kill(-process.pid, SIGKILL);
  process.signal(SIGKILL);
  if ((await exitWithin(sys, process, killedWithinMs)) === undefined) {
    log.error("a killed runtime does not end", { pid: process.pid });
  }
}

function late(call: RuntimeCall, cause: string | undefined): MoorError {
  const why = cause === undefined ? "" : `: ${cause}`;
  const what = `OCI runtime ${call.operation} failed: no end within ${call.deadlineMs} ms, ${call.file} was killed`;
  return new MoorError("deadline_exceeded", `${what}${why}`);
}

function describeExit(call: RuntimeCall, exit: Exit): string {
  const name = call.argv[0] ?? call.file;
  return exit.signal === 0
    ? `${name} exited with status ${exit.status} and said nothing`
    : `${name} was ended by signal ${exit.signal}`;
}

/** The log of the last call that had something to say stands in the bundle as log.json, where operators look for it. */
function keepLog(sys: Sys, bundle: string, path: string): void {
  const stat = sys.stat(path);
  if (typeof stat === "number") return;
  if (stat.size > 0 && sys.rename(path, `${bundle}/log.json`) === 0) return;
  // A failure leaves an empty file in a folder that goes with its container.
  sys.unlink(path);
}
