// A kernel as far as processes go: parents, adoption by the subreaper, zombies in the order of the child list, waitid
// with WNOWAIT, and pids that are used again soon. Each process has a birth number besides its pid, by which tests
// tell two owners of one pid apart; what the kernel does to a process is checked against it.

import { EAGAIN, ECHILD, EINVAL, ENOENT, ESRCH } from "../sys/errno.ts";
import type { ChildExit, Errno, Fd, Pid, SpawnRequest, Sys } from "../sys/sys.d.ts";

/** waitid's codes. */
const CLD_EXITED = 1;
const CLD_KILLED = 2;

export interface VirtualProcess {
  /** Counts all processes there ever were: no two have the same. */
  readonly birth: number;
  readonly pid: Pid;
  parent: Pid;
  /** Undefined while it lives. */
  ended: ChildExit | undefined;
}

export class Kernel {
  readonly sys: Sys;
  /** The process under test, subreaper of all. */
  readonly self = 1 as Pid;
  /** Living processes and zombies. */
  readonly processes = new Map<Pid, VirtualProcess>();
  /** What kill(2) was called for: process (undefined: there was none) and signal. */
  readonly kills: [target: VirtualProcess | undefined, signal: number][] = [];
  readonly openPidfds = new Set<Fd>();
  /** Births of the children of ours that have been reaped. */
  readonly reaped: number[] = [];
  /** SIGCHLD waits to be taken by the loop, however many exits it stands for. */
  childSignalPending = false;
  /** CONFIG_PROC_CHILDREN. */
  hasChildrenFiles = true;
  /** The next sys.spawn fails with this. */
  spawnFails: Errno | undefined;
  /** Called before a child of ours is reaped. */
  onReap: ((process: VirtualProcess) => void) | undefined;
  timeNs = 1_000n;
  readonly #lastPid: number;
  /** Ours, in the kernel's order: the youngest or last adopted is at the end. */
  readonly #children: VirtualProcess[] = [];
  #births = 0;
  #previousPid = 1;
  #nextFd = 3;

  constructor(options: { lastPid?: number } = {}) {
    this.#lastPid = options.lastPid ?? 30;
    this.sys = new Proxy(this.#calls(), {
      get(target, name) {
        const value = target[name as keyof Sys];
        if (value === undefined) throw new Error(`the virtual kernel has no ${String(name)}`);
        return value;
      },
    }) as Sys;
  }

  /** A new process: a child of ours, or of another one. Undefined: no pid is free. */
  fork(parent: Pid = this.self): VirtualProcess | undefined {
    const pid = this.#freePid();
    if (pid === undefined) return undefined;
    const born: VirtualProcess = { birth: this.#births++, pid, parent, ended: undefined };
    this.processes.set(pid, born);
    if (parent === this.self) this.#children.push(born);
    return born;
  }

  /** A process that a program which has ended left behind; it is a child of ours now. */
  abandoned(): VirtualProcess {
    const parent = this.fork(99 as Pid);
    const child = this.fork(parent?.pid);
    if (parent === undefined || child === undefined) throw new Error("there is no pid left");
    this.exit(parent.pid, 0);
    return child;
  }

  /** The next fork gets this pid, if it is free (as /proc/sys/kernel/ns_last_pid does). */
  setNextPid(pid: Pid): void {
    this.#previousPid = pid - 1;
  }

  exit(pid: Pid, status: number): void {
    this.#end(pid, { pid, code: CLD_EXITED, status });
  }

  killed(pid: Pid, signal: number): void {
    this.#end(pid, { pid, code: CLD_KILLED, status: signal });
  }

  /** The living process or zombie with this pid. */
  get(pid: Pid): VirtualProcess {
    const process = this.processes.get(pid);
    if (process === undefined) throw new Error(`there is no process ${pid}`);
    return process;
  }

  get zombies(): readonly Pid[] {
    return this.#children.filter((child) => child.ended !== undefined).map((child) => child.pid);
  }

  /** Somebody waits for a child of ours behind our back. */
  steal(pid: Pid): void {
    this.#forget(this.get(pid));
  }

  #end(pid: Pid, how: ChildExit): void {
    const process = this.get(pid);
    if (process.ended !== undefined) throw new Error(`process ${pid} has ended already`);
    process.ended = how;
    for (const orphan of this.processes.values()) {
      if (orphan.parent === pid && orphan !== process) {
        orphan.parent = this.self;
        this.#children.push(orphan);
        if (orphan.ended !== undefined) this.childSignalPending = true;
      }
    }
    if (process.parent === this.self) this.childSignalPending = true;
    // Processes of whom the kernel knows no parent have one that waits at once; others leave their zombies to us.
    else if (!this.processes.has(process.parent)) this.processes.delete(pid);
  }

  #forget(process: VirtualProcess): void {
    this.processes.delete(process.pid);
    this.#children.splice(this.#children.indexOf(process), 1);
  }

  #freePid(): Pid | undefined {
    for (let tried = 0; tried < this.#lastPid; tried++) {
      this.#previousPid = this.#previousPid >= this.#lastPid ? 2 : this.#previousPid + 1;
      const pid = this.#previousPid as Pid;
      if (pid !== this.self && !this.processes.has(pid)) return pid;
    }
    return undefined;
  }

  #peek(pid: Pid): ChildExit | undefined | Errno {
    const process = this.processes.get(pid);
    return process === undefined || process.parent !== this.self ? ECHILD : process.ended;
  }

  #calls(): Partial<Sys> {
    return {
      environ: [],
      realtimeNs: () => this.timeNs++,
      getpid: () => this.self,
      spawn: (_request: SpawnRequest) => {
        const failure = this.spawnFails;
        this.spawnFails = undefined;
        if (failure !== undefined) return failure;
        const child = this.fork();
        if (child === undefined) return EAGAIN;
        const pidfd = this.#nextFd++ as Fd;
        this.openPidfds.add(pidfd);
        return { pid: child.pid, pidfd };
      },
      close: (fd) => (this.openPidfds.delete(fd) ? 0 : EINVAL),
      // The trap: a zombie that is not reaped is shown again and again, and hides those behind it.
      peekAny: () => {
        if (this.#children.length === 0) return ECHILD;
        return this.#children.find((child) => child.ended !== undefined)?.ended;
      },
      peekPid: (pid) => this.#peek(pid),
      reap: (pid) => {
        const exit = this.#peek(pid);
        if (typeof exit !== "object") return exit;
        const process = this.get(pid);
        this.onReap?.(process);
        this.#forget(process);
        this.reaped.push(process.birth);
        return exit;
      },
      kill: (pid, signal) => {
        const target = this.processes.get(pid as Pid);
        this.kills.push([target, signal]);
        if (target === undefined) return ESRCH;
        if (signal < 0 || signal > 64) return EINVAL;
        if (signal === 9 && target.ended === undefined) this.killed(target.pid, signal);
        return 0;
      },
      readdir: (path) => (path === "/proc/self/task" ? [["1", 4]] : ENOENT),
      readText: (path) => {
        if (path !== "/proc/self/task/1/children" || !this.hasChildrenFiles) return ENOENT;
        return this.#children.map((child) => `${child.pid} `).join("");
      },
    };
  }
}
