// Processes of a simulated machine: parents and adoption by the subreaper, groups, zombies in the order of the child list
// with waitid's trap, pids that are used again soon, and the one true record of how each process ended. Every process
// has a birth number besides its pid, by which two owners of one pid are told apart.

import { ECHILD, EINVAL, ESRCH } from "../src/sys/errno.ts";
import type { ChildExit, Errno, Pid, Status } from "../src/sys/sys.d.ts";
import type { Description } from "./files.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

const CLD_EXITED = 1;
const CLD_KILLED = 2;
const SIGKILL = 9;
const longestSignal = 64;
/** The machine's own, outside of what the shim sees. */
const machineInit = 0 as Pid;

export interface VirtualProcess {
  readonly birth: number;
  readonly pid: Pid;
  readonly what: string;
  /** The name of what it executes; a zombie keeps it. */
  comm: string;
  parent: Pid;
  group: Pid;
  /** Undefined while it lives. */
  ended: ChildExit | undefined;
  endedAtMs: number;
  /** Its fds, by number. */
  readonly fds: Map<number, Description>;
  /** In no cgroup but the shim's: "". */
  cgroup: string;
  /** By version 1: not even SIGKILL does anything before it is thawed. */
  isFrozen: boolean;
  /** Sent while it was frozen. */
  readonly pending: number[];
  /** Under way to its death: signals do nothing any more. */
  isDying: boolean;
  /** What it does with a signal that can be handled; absent: it dies of it. */
  onSignal: ((signal: number) => void) | undefined;
  /** Called when it has ended, before its parent is told. */
  onEnd: (() => void) | undefined;
  parentDeathSignal: boolean;
  /** The init of the pid namespace it is in; undefined: the shim's own namespace. */
  nsInit: VirtualProcess | undefined;
  /** Waits for its children, so that they are no zombies for long. */
  reapsChildren: boolean;
}

export class Processes {
  /** The shim, or the process that came after it. */
  readonly self = 1 as Pid;
  /** It gets the orphans; else the machine's init does, and reaps them. */
  isSubreaper = true;
  readonly all = new Map<Pid, VirtualProcess>();
  /** Called when the shim has something to wait for. */
  onChildSignal: () => void = () => undefined;
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #lastPid: number;
  /** The shim's, in the kernel's order: the youngest or last adopted at the end. */
  readonly #children: VirtualProcess[] = [];
  /** Inits that have ended but for what is left in their namespaces. */
  readonly #lastOnes = new Map<VirtualProcess, ChildExit>();
  #births = 0;
  #previousPid = 1;
  /** How often pids have begun again at the lowest. */
  rounds = 0;

  constructor(timeline: Timeline, random: Random, lastPid: number) {
    this.#timeline = timeline;
    this.#random = random;
    this.#lastPid = lastPid;
  }

  /** Undefined: no pid is free. */
  fork(parent: Pid, what: string): VirtualProcess | undefined {
    const pid = this.#freePid();
    if (pid === undefined) return undefined;
    const born: VirtualProcess = {
      birth: this.#births++,
      pid,
      what,
      comm: "runtime",
      parent,
      group: this.all.get(parent)?.group ?? parent,
      ended: undefined,
      endedAtMs: Number.POSITIVE_INFINITY,
      fds: new Map(),
      cgroup: this.all.get(parent)?.cgroup ?? "",
      isFrozen: false,
      pending: [],
      isDying: false,
      onSignal: undefined,
      onEnd: undefined,
      parentDeathSignal: false,
      nsInit: this.all.get(parent)?.nsInit,
      reapsChildren: false,
    };
    this.all.set(pid, born);
    if (parent === this.self) this.#children.push(born);
    return born;
  }

  exit(process: VirtualProcess, status: number): void {
    this.#end(process, { pid: process.pid, code: CLD_EXITED, status });
  }

  /** Dies of it, now. */
  killed(process: VirtualProcess, signal: number): void {
    this.#end(process, { pid: process.pid, code: CLD_KILLED, status: signal });
  }

  /** Sends a signal to a living process; what it does comes a moment later. */
  send(process: VirtualProcess, signal: number): void {
    if (process.ended !== undefined || process.isDying || signal === 0) return;
    if (process.isFrozen) {
      process.pending.push(signal);
      return;
    }
    if (signal !== SIGKILL && process.onSignal !== undefined) {
      process.onSignal(signal);
      return;
    }
    process.isDying = true;
    this.#timeline.after(this.#random.delay(3), () => this.killed(process, signal));
  }

  thaw(process: VirtualProcess): void {
    process.isFrozen = false;
    for (const signal of process.pending.splice(0)) this.send(process, signal);
  }

  /** The shim has ended; what comes after it in its place is no subreaper. */
  endSelf(): void {
    this.isSubreaper = false;
    for (const child of this.#children.splice(0)) this.#giveTo(machineInit, child);
  }

  /** kill(2). */
  kill(pid: number, signal: number): Status {
    if (signal < 0 || signal > longestSignal) return EINVAL;
    if (pid < 0) {
      const members = [...this.all.values()].filter((each) => each.group === -pid);
      for (const each of members) this.send(each, signal);
      return members.length > 0 ? 0 : ESRCH;
    }
    const target = this.all.get(pid as Pid);
    if (target === undefined) return ESRCH;
    this.send(target, signal);
    return 0;
  }

  /** Those of a cgroup that have not ended. */
  livingIn(cgroup: string): VirtualProcess[] {
    return [...this.all.values()].filter((each) => each.cgroup === cgroup && each.ended === undefined);
  }

  get children(): readonly VirtualProcess[] {
    return this.#children;
  }

  // ---- waitid as the shim calls it ----

  /** The trap: a zombie that is not reaped is shown again and again, and hides those behind it. */
  peekAny(): ChildExit | undefined | Errno {
    if (this.#children.length === 0) return ECHILD;
    return this.#children.find((child) => child.ended !== undefined)?.ended;
  }

  peek(pid: Pid): ChildExit | undefined | Errno {
    const process = this.all.get(pid);
    return process === undefined || process.parent !== this.self ? ECHILD : process.ended;
  }

  reap(pid: Pid): ChildExit | undefined | Errno {
    const exit = this.peek(pid);
    if (typeof exit !== "object") return exit;
    this.#forget(this.all.get(pid) as VirtualProcess);
    return exit;
  }

  /** The fork is undone: its program does not exist. */
  abandon(process: VirtualProcess): void {
    for (const description of process.fds.values()) description.release();
    process.fds.clear();
    this.#forget(process);
  }

  /** A parent other than the shim waits for its child. */
  waitFor(process: VirtualProcess): void {
    this.#forget(process);
  }

  #end(process: VirtualProcess, how: ChildExit): void {
    if (process.ended !== undefined || !this.all.has(process.pid)) return;
    process.isDying = true;
    if (process.nsInit === process && this.#clearNamespace(process)) {
      // The kernel ends all others first, and waits until each has been reaped by whoever is its parent.
      this.#lastOnes.set(process, how);
      return;
    }
    // Looking at the others may have ended it.
    if (!this.#lastOnes.delete(process) && process.ended !== undefined) return;
    process.ended = how;
    process.endedAtMs = this.#timeline.nowMs;
    for (const description of process.fds.values()) description.release();
    process.fds.clear();
    process.onEnd?.();
    for (const each of this.all.values())
      if (each.parent === process.pid && each !== process) this.#adopt(each, process);
    if (process.parent === this.self) this.onChildSignal();
    else if (process.parent === machineInit || this.all.get(process.parent)?.reapsChildren === true)
      this.#reapLater(process);
  }

  /** Whether anybody is left in it. */
  #clearNamespace(init: VirtualProcess): boolean {
    const others = [...this.all.values()].filter((each) => each.nsInit === init && each !== init);
    for (const each of others) {
      this.send(each, SIGKILL);
      // Init itself waits for its own.
      if (each.ended !== undefined && each.parent === init.pid) this.#forget(each);
    }
    return [...this.all.values()].some((each) => each.nsInit === init && each !== init);
  }

  #adopt(child: VirtualProcess, father: VirtualProcess): void {
    const { nsInit } = child;
    const staysInside =
      nsInit !== undefined && father.nsInit === nsInit && nsInit !== father && nsInit.ended === undefined;
    this.#giveTo(staysInside ? nsInit.pid : this.isSubreaper ? this.self : machineInit, child);
  }

  #giveTo(parent: Pid, child: VirtualProcess): void {
    child.parent = parent;
    if (parent === this.self) this.#children.push(child);
    if (child.parentDeathSignal) this.send(child, SIGKILL);
    if (child.ended === undefined) return;
    if (parent === this.self) this.onChildSignal();
    else this.#reapLater(child);
  }

  #reapLater(process: VirtualProcess): void {
    this.#timeline.after(this.#random.delay(2), () => {
      if (process.parent !== this.self && this.all.get(process.pid) === process) this.#forget(process);
    });
  }

  #forget(process: VirtualProcess): void {
    this.all.delete(process.pid);
    const at = this.#children.indexOf(process);
    if (at >= 0) this.#children.splice(at, 1);
    for (const [init, how] of this.#lastOnes) if (init === process.nsInit) this.#end(init, how);
  }

  #freePid(): Pid | undefined {
    // A group keeps its leader's pid from being given out again.
    const groups = new Set([...this.all.values()].map((each) => each.group));
    for (let tried = 0; tried < this.#lastPid; tried++) {
      if (this.#previousPid >= this.#lastPid) this.rounds++;
      this.#previousPid = this.#previousPid >= this.#lastPid ? 2 : this.#previousPid + 1;
      const pid = this.#previousPid as Pid;
      if (!this.all.has(pid) && !groups.has(pid)) return pid;
    }
    return undefined;
  }
}
