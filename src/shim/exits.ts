// From the moment a process is seen to have ended until everyone has been told: the record is written at once; what must
// come before the word of it is waited for (the start's own announcement, the rest of the container, the execs, the output),
// each for a bounded time; then the event is published, and those who wait are answered.

import { type Spec, sharesPidNamespace } from "../oci/bundle.ts";
import type { Runtime } from "../oci/runtime.ts";
import { settledWithin } from "../reaper/deadline.ts";
import { MoorError } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import { passGate } from "../sys/gates.ts";
import type { Log } from "../sys/log.ts";
import type { Sys } from "../sys/sys.d.ts";
import type { ExitCause, ExitRecords } from "./exit-records.ts";
import type { History } from "./history.ts";
import type { Process } from "./process.ts";
import type { TaskEvents } from "./task-events.ts";

/** How long output written before the exit may take to reach its FIFO; a reader that is only slow has made it full by then. */
const drainMs = 2_000;
/** How long the execs of a container whose init has ended may take to be gone, once they were killed. */
const execsMs = 10_000;

export interface ExitContext {
  readonly sys: Sys;
  readonly log: Log;
  readonly events: TaskEvents;
  readonly records: ExitRecords;
}

/** Tells of the exit of an exec, which the table has as `exiting`. Never rejects. */
export async function announceExecExit(context: ExitContext, exec: Process): Promise<void> {
  await exec.stdio?.drained(drainMs);
  tell(context, exec);
}

/**
 * Tells of the exit of init, after those of its execs. Never rejects.
 * @param killRest ends what init's death left alive: nothing where the pid namespace was its own.
 * @param lookForOom has an out-of-memory kill told before the exit that it may explain.
 */
export async function announceInitExit(
  context: ExitContext,
  init: Process,
  execs: () => readonly Process[],
  killRest: () => Promise<void>,
  lookForOom: () => void,
): Promise<void> {
  const drained = init.stdio?.drained(drainMs);
  await killRest();
  // One may be added to the list while we wait, by a start that was under way; none can start any more.
  const gone = Promise.all(execs().map((exec) => exec.settled()));
  if (!(await settledWithin(context.sys, execsMs, gone))) {
    const left = execs().filter(({ data }) => data.state === "running" || data.state === "starting");
    const names = left.map(({ data }) => data.execId).join(" ");
    context.log.warn("execs outlive their container's init", { id: init.data.containerId, execs: names });
  }
  await drained;
  lookForOom();
  tell(context, init);
}

/**
 * Ends what init has left alive, where the pid namespace is not its own: with one of its own, the kernel has ended everything
 * before it told of init's end. Never rejects.
 */
export async function killRest(
  { log }: Pick<ExitContext, "log">,
  { id, spec, runtime }: { readonly id: string; readonly spec: Spec; readonly runtime: Pick<Runtime, "kill"> },
  execs: Iterable<Process>,
): Promise<void> {
  if (!sharesPidNamespace(spec)) return;
  try {
    await runtime.kill(id, SIGKILL, true);
  } catch (thrown) {
    // Most often: nothing was left.
    log.debug("kill what is left of a container", { id, error: MoorError.from(thrown).message });
    // Or the runtime was of no use: then those at least that we know of must not outlive init.
    for (const exec of execs) killOwned(log, exec);
  }
}

function killOwned(log: Log, { owned, name }: Process): void {
  try {
    owned?.signal(SIGKILL);
  } catch (thrown) {
    log.warn("kill what init has left", { process: name, error: MoorError.from(thrown).message });
  }
}

/**
 * Writes down how a process ended. To be called when that is seen, while its zombie stands: however the shim ends after that,
 * `delete` knows. A disk that is full is tried again before the exit is told, and after that nobody is kept waiting.
 */
export function recordExit({ sys, log, records }: ExitContext, process: Process): void {
  const { kind, containerId, execId, pid, exitStatus, exitedAtNs } = process.data;
  if (exitStatus === undefined || exitedAtNs === undefined) return;
  const cause = causeOf(process);
  const record = { pid, status: exitStatus, atNs: exitedAtNs, ...(cause === undefined ? {} : { cause }) };
  try {
    records.add(execId === "" ? containerId : execId, record);
  } catch (thrown) {
    log.debug("an exit could not be recorded yet", { process: process.name, error: MoorError.from(thrown).message });
  }
  GATE: passGate(sys, kind === "init" ? "exit.recorded" : "exec-exit.recorded");
}

/** The kernel's out-of-memory killer has been at a container. Init's exit may have been recorded just before. */
export function noteOutOfMemory(context: ExitContext, init: Process, history: History): void {
  context.events.outOfMemory(init.data.containerId);
  history.note("", "the kernel's out-of-memory killer has ended a process");
  init.data.outOfMemory = true;
  init.part.touch();
  if (init.data.state === "exiting") recordExit(context, init);
}

function causeOf({ data: { exitSignal, lastKill, outOfMemory } }: Process): ExitCause | undefined {
  if (exitSignal === undefined && lastKill === undefined && outOfMemory !== true) return undefined;
  const cause: ExitCause = {
    ...(exitSignal === undefined ? {} : { signal: exitSignal }),
    ...(outOfMemory === true ? { outOfMemory } : {}),
  };
  return lastKill === undefined ? cause : { ...cause, asked: lastKill };
}

function tell({ sys, log, events, records }: ExitContext, process: Process): void {
  const { data } = process;
  const isInit = data.kind === "init";
  GATE: passGate(sys, isInit ? "exit.drained" : "exec-exit.drained");
  try {
    records.retry();
  } catch (thrown) {
    // The bundle may be gone or its disk full: those who ask are told all the same.
    log.error("an exit could not be recorded", { process: process.name, error: MoorError.from(thrown).message });
  }
  if (data.told === "nothing") {
    data.told = "exit";
    process.part.touch();
    events.exited(data);
  }
  GATE: passGate(sys, isInit ? "exit.told" : "exec-exit.told");
  process.announce();
  // Once the answers are out, at the end of this turn: who waits need not wait for the line.
  sys.timerStart(0, () => log.info("exited", { process: process.name, pid: data.pid, status: data.exitStatus ?? 255 }));
  GATE: passGate(sys, isInit ? "exit.answered" : "exec-exit.answered");
}
