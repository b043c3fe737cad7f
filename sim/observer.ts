// Checks the shim's events and answers against the one truth, the kernel's record of how each process ended: each start
// has one exit with the right status, after it and in order, and nobody is told anything else than was published.

import {
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskOOM,
  TaskStart,
} from "../src/api/task-events.ts";
import type { MadeProcess } from "./runtime.ts";

export interface Told {
  readonly pid: number;
  readonly status: number;
  /** seconds.nanos */
  readonly at: string;
}

/** One process of a container from its first event on. */
interface Course {
  readonly what: string;
  startedPid: number | undefined;
  /** When its start was told. */
  startedAtMs: number;
  exit: Told | undefined;
}

/** One container from its TaskCreate to its TaskDelete. */
interface Container {
  readonly init: Course;
  /** Made from a checkpoint: there is no process before it is started. */
  readonly isRestored: boolean;
  readonly execs: Map<string, Course>;
  /** Execs whose id has been used again. */
  readonly earlier: Course[];
}

export interface Outcome {
  readonly exitStatus: number;
  readonly exitedAt: { readonly seconds: bigint; readonly nanos: number } | undefined;
}

const unstarted = { startedPid: undefined, startedAtMs: Number.POSITIVE_INFINITY, exit: undefined } as const;
/** The kill of what init has left, to its deadline and a little more, the end of its execs, and their output. */
const longestTellingMs = 30_000 + 5_000 + 10_000 + 2 * 2_000 + 1_000;
const year1 = -62135596800n;

export class Observer {
  /** All exits told so far, as "container process time status". */
  readonly #exits = new Set<string>();
  readonly #containers = new Map<string, Container>();
  readonly #made: readonly MadeProcess[];
  readonly #broken: (text: string) => void;
  readonly ooms = new Map<string, number>();
  eventCount = 0;
  exitCount = 0;
  /** Called for each exit that is told, when it is. */
  onExit: (made: MadeProcess) => void = () => undefined;
  readonly #nowMs: () => number;

  constructor(made: readonly MadeProcess[], nowMs: () => number, broken: (text: string) => void) {
    this.#nowMs = nowMs;
    this.#made = made;
    this.#broken = broken;
  }

  /** The shim publishes an event. */
  event(topic: string, message: Uint8Array): void {
    this.eventCount++;
    switch (topic) {
      case "/tasks/create":
        return this.#created(TaskCreate.decode(message));
      case "/tasks/start": {
        const { containerId, pid } = TaskStart.decode(message);
        return this.#started(containerId, "", pid);
      }
      case "/tasks/exec-added":
        return this.#execAdded(TaskExecAdded.decode(message));
      case "/tasks/exec-started": {
        const { containerId, execId, pid } = TaskExecStarted.decode(message);
        return this.#started(containerId, execId, pid);
      }
      case "/tasks/exit":
        return this.#exited(TaskExit.decode(message));
      case "/tasks/delete":
        return this.#deleted(TaskDelete.decode(message));
      case "/tasks/oom": {
        const { containerId } = TaskOOM.decode(message);
        if (this.#find(containerId)?.init.exit !== undefined) this.#broken(`${containerId}: OOM after its exit`);
        this.ooms.set(containerId, (this.ooms.get(containerId) ?? 0) + 1);
        return;
      }
      default:
        if (this.#find(topic === "" ? "" : this.#idOf(message)) === undefined) this.#broken(`${topic} of no container`);
    }
  }

  /** Wait or Delete has answered. */
  answered(call: string, containerId: string, execId: string, { exitStatus, exitedAt }: Outcome): void {
    const id = execId === "" ? containerId : execId;
    if (exitedAt === undefined || exitedAt.seconds === year1) return;
    const key = `${containerId} ${id} ${exitedAt.seconds}.${exitedAt.nanos} ${exitStatus}`;
    if (!this.#exits.has(key)) this.#broken(`${call} of ${containerId}/${execId} says ${key}, which no event has told`);
  }

  /** Whether the exit of this process has been told, in the container's present life. */
  hasExited(containerId: string, execId: string): boolean {
    const container = this.#containers.get(containerId);
    const course = execId === "" ? container?.init : container?.execs.get(execId);
    return course?.exit !== undefined;
  }

  /** Whether its start has been told. */
  hasStarted(containerId: string, execId: string): boolean {
    const container = this.#containers.get(containerId);
    const course = execId === "" ? container?.init : container?.execs.get(execId);
    return course?.startedPid !== undefined;
  }

  /** Not when it is to be made from a checkpoint, and was not started. */
  hadProcess(containerId: string): boolean {
    const container = this.#containers.get(containerId);
    return container !== undefined && (!container.isRestored || container.init.startedPid !== undefined);
  }

  /** Whether it was created and not deleted, as far as events have told. */
  isThere(containerId: string): boolean {
    return this.#containers.has(containerId);
  }

  /** The exit of init that was told; undefined when none was, or the container is deleted. */
  exitOf(containerId: string): Told | undefined {
    return this.#containers.get(containerId)?.init.exit;
  }

  /** How the inits of this container with this pid have ended: the kernel's word. */
  statusesOf(containerId: string, pid: number): readonly (number | undefined)[] {
    const mine = this.#made.filter((made) => made.containerId === containerId && made.execId === "");
    return mine.filter(({ process }) => process.pid === pid).map(statusOf);
  }

  /** Nothing is to come any more. */
  end(): void {
    for (const { init } of this.#containers.values()) this.#broken(`${init.what} was created and never deleted`);
  }

  #find(id: string): Container | undefined {
    const container = this.#containers.get(id);
    if (container === undefined) this.#broken(`an event of ${id}, which is not there`);
    return container;
  }

  /** Paused, resumed and checkpointed have the id in the first field. */
  #idOf(message: Uint8Array): string {
    return TaskOOM.decode(message).containerId;
  }

  #created({ containerId, pid }: TaskCreate): void {
    if (this.#containers.has(containerId)) this.#broken(`${containerId} is created twice`);
    const init = { what: containerId, ...unstarted };
    this.#containers.set(containerId, { init, isRestored: pid === 0, execs: new Map(), earlier: [] });
  }

  #execAdded({ containerId, execId }: TaskExecAdded): void {
    const container = this.#find(containerId);
    if (container === undefined) return;
    if (container.init.exit !== undefined) this.#broken(`exec ${execId} is added after ${containerId}'s exit`);
    const former = container.execs.get(execId);
    if (former !== undefined) container.earlier.push(former);
    container.execs.set(execId, { what: `${containerId}/${execId}`, ...unstarted });
  }

  #started(containerId: string, execId: string, pid: number): void {
    const container = this.#find(containerId);
    const course = execId === "" ? container?.init : container?.execs.get(execId);
    if (course === undefined) return this.#broken(`${containerId}/${execId} is started and not there`);
    if (course.startedPid !== undefined) this.#broken(`${course.what} is started twice`);
    if (course.exit !== undefined) this.#broken(`${course.what} is started after its exit`);
    if (container?.init.exit !== undefined) this.#broken(`${course.what} is started after its container's exit`);
    if (this.#madeAs(containerId, execId, pid) === undefined) this.#broken(`${course.what} is started as pid ${pid}`);
    course.startedPid = pid;
    course.startedAtMs = this.#nowMs();
  }

  #exited({ containerId, id, pid, exitStatus, exitedAt }: TaskExit): void {
    const container = this.#find(containerId);
    const execId = id === containerId ? "" : id;
    const course = execId === "" ? container?.init : container?.execs.get(execId);
    if (container === undefined || course === undefined) return this.#broken(`the exit of ${id}, which is not there`);
    if (course.exit !== undefined) this.#broken(`${course.what} exits twice`);
    if (execId !== "" && course.startedPid === undefined) this.#broken(`${course.what} exits and was never started`);
    if (course.startedPid !== undefined && course.startedPid !== pid) {
      this.#broken(`${course.what} was started as pid ${course.startedPid} and exits as ${pid}`);
    }
    if (execId !== "" && container.init.exit !== undefined) this.#broken(`${course.what} exits after its container`);
    if (execId === "") {
      for (const exec of [...container.execs.values(), ...container.earlier]) {
        if (exec.startedPid !== undefined && exec.exit === undefined) {
          this.#broken(`${containerId} exits before its exec ${exec.what}`);
        }
      }
    }
    this.exitCount++;
    const made = this.#madeAs(containerId, execId, pid);
    if (made !== undefined) {
      this.#checkTime(course, made.process.endedAtMs);
      this.onExit(made);
    }
    const status = statusOf(made);
    if (status !== exitStatus) this.#broken(`${course.what} ended with ${status}, and ${exitStatus} is told`);
    course.exit = { pid, status: exitStatus, at: `${exitedAt?.seconds}.${exitedAt?.nanos}` };
    this.#exits.add(`${containerId} ${id} ${course.exit.at} ${exitStatus}`);
  }

  /** Whatever else goes on in the shim, an exit is told soon after it, but for a start of the same that is told first. */
  #checkTime({ what, startedAtMs }: Course, endedAtMs: number): void {
    const tookMs = this.#nowMs() - endedAtMs;
    if (startedAtMs <= endedAtMs && tookMs > longestTellingMs)
      this.#broken(`${what}'s exit is told ${Math.round(tookMs)} ms after it`);
  }

  #deleted({ containerId, exitStatus, pid }: TaskDelete): void {
    const container = this.#find(containerId);
    if (container === undefined) return;
    const { exit } = container.init;
    if (exit === undefined) {
      if (this.hadProcess(containerId)) this.#broken(`${containerId} is deleted before its exit is told`);
    } else if (exit.status !== exitStatus || exit.pid !== pid)
      this.#broken(`${containerId}'s deletion tells another exit`);
    this.#containers.delete(containerId);
  }

  /** The last process of this name and pid. */
  #madeAs(containerId: string, execId: string, pid: number): MadeProcess | undefined {
    let found: MadeProcess | undefined;
    for (const made of this.#made) {
      if (made.containerId === containerId && made.execId === execId && made.process.pid === pid) found = made;
    }
    return found;
  }
}

/** The status the kernel has: -1 while it lives; undefined: there is no such process. */
function statusOf(made: MadeProcess | undefined): number | undefined {
  if (made === undefined) return undefined;
  const { ended } = made.process;
  if (ended === undefined) return -1;
  return ended.code === 1 ? ended.status & 0xff : 128 + ended.status;
}
