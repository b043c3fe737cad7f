// The machine that the shim under test runs on: its fds, timers, readiness and signals on a virtual clock, with processes,
// files and pumps behind them. It is strict where Linux is patient: an fd that is used or closed when it is not open, or
// closed while it is polled, is noted as a bug of the shim's.

import { EBADF, EEXIST, ENOENT, EPERM } from "../src/sys/errno.ts";
import type { Fd, SpawnRequest, Status, Sys, TimerId } from "../src/sys/sys.d.ts";
import { calls } from "./calls.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, SIGCHLD } from "../src/sys/flags.ts";
import { Faults } from "./faults.ts";
import { Mounts } from "./mounts.ts";
import { type Description, Files } from "./files.ts";
import { Processes, type VirtualProcess } from "./processes.ts";
import { Pumps } from "./pumps.ts";
import type { Random } from "./random.ts";
import { type Due, Timeline } from "./timeline.ts";

/** 2026-01-01, nanoseconds. */
const beginningNs = 1_767_225_600_000_000_000n;
const firstFd = 3;

interface Poll {
  readonly description: Description;
  events: number;
  readonly fn: (events: number) => void;
  isDue: boolean;
  isOver: boolean;
  readonly wake: () => void;
}

/** From a moment on, CLOCK_REALTIME is so far ahead of (or behind) where it would be had nobody set it. */
export interface ClockChange {
  readonly atMs: number;
  readonly aheadNs: bigint;
}

export interface KernelOptions {
  /** In the order of their moments. */
  readonly clockChanges: readonly ClockChange[];
  /** Of its cgroups. */
  readonly cgroupVersion: 1 | 2;
  /** Pids run from 2 to this. */
  readonly lastPid: number;
  /** Chance that a call fails that may. */
  readonly faultRate: number;
  readonly note: (text: string) => void;
  /** A process writes to a pipe that nobody reads any more. */
  readonly cutOff: (process: VirtualProcess) => void;
  /** A process reads the end of its input. */
  readonly inputEnded: (process: VirtualProcess) => void;
  /** A bug of the shim's has shown. */
  readonly broken: (text: string) => void;
  /** A program is started in a process: what it does from now on. False: there is no such program. */
  readonly exec: (process: VirtualProcess, request: SpawnRequest) => boolean;
}

export class Kernel {
  readonly sys: Sys;
  readonly timeline = new Timeline();
  readonly files = new Files();
  readonly processes: Processes;
  readonly pumps: Pumps;
  readonly faults: Faults;
  readonly fds = new Map<number, Description>();
  readonly mounts: Mounts;
  readonly random: Random;
  readonly options: KernelOptions;
  readonly #timers = new Map<TimerId, Due>();
  readonly #polls = new Map<number, Poll>();
  #timerIds = 1;
  #ticks = 0n;
  #onSignal: ((signal: number) => void) | undefined;
  #isChildSignalDue = false;

  constructor(random: Random, options: KernelOptions) {
    this.random = random;
    this.options = options;
    this.processes = new Processes(this.timeline, random, options.lastPid);
    this.processes.onChildSignal = () => this.#childSignal();
    this.pumps = new Pumps(
      this.timeline,
      random,
      (fn) => this.enter(fn),
      (fd) => this.take(fd),
    );
    this.mounts = new Mounts(options.cgroupVersion);
    this.faults = new Faults(random, options.faultRate, options.note);
    this.sys = this.faults.around(
      { ...this.#loop(), ...calls(this) },
      {
        kindOf: (fd) => this.fds.get(fd)?.kind,
        lose: (call, args) => {
          if (call !== "pumpStart") return;
          const { takeSourceFd, takeTargetFd } = args[0] as { takeSourceFd: Fd; takeTargetFd: Fd };
          this.take(takeSourceFd)?.release();
          this.take(takeTargetFd)?.release();
        },
      },
    );
  }

  nowNs(): bigint {
    const { nowMs } = this.timeline;
    let aheadNs = 0n;
    for (const change of this.options.clockChanges) if (change.atMs <= nowMs) ({ aheadNs } = change);
    return beginningNs + aheadNs + BigInt(Math.round(nowMs * 1000)) * 1000n + this.#ticks++;
  }

  /** The process that made the calls first is gone. */
  isEnded = false;

  /** The process that makes the calls is gone, at once, and with it whatever it had; its children are init's. */
  endProcess(): void {
    this.isEnded = true;
    for (const due of this.#timers.values()) this.timeline.cancel(due);
    this.#timers.clear();
    for (const fd of [...this.#polls.keys()]) this.#pollStop(fd as Fd);
    this.#onSignal = undefined;
    this.pumps.endAll();
    for (const description of this.fds.values()) description.release();
    this.fds.clear();
    this.processes.endSelf();
  }

  /** Runs a callback of the shim's; what it throws has nowhere to go. */
  enter(fn: () => void): void {
    try {
      fn();
    } catch (thrown) {
      this.options.broken(`an exception left a callback: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
    }
  }

  /** The lowest fd that is free, as on Linux. */
  open(description: Description): Fd {
    let fd = firstFd;
    while (this.fds.has(fd)) fd++;
    this.fds.set(fd, description.share());
    return fd as Fd;
  }

  find(fd: Fd): Description | undefined {
    const found = this.fds.get(fd);
    // An answer of the daemon's may still come to one that was killed: its code cannot be stopped, and does nothing any more.
    if (found === undefined && !this.isEnded) this.options.broken(`fd ${fd} is used and not open`);
    return found;
  }

  /** The description without its fd; the share is the caller's. */
  take(fd: Fd): Description | undefined {
    const description = this.find(fd);
    if (this.#polls.has(fd)) this.options.broken(`${description?.label} is closed while it is polled`);
    this.fds.delete(fd);
    return description;
  }

  close(fd: Fd): Status {
    const description = this.take(fd);
    description?.release();
    return description === undefined ? EBADF : 0;
  }

  /** What must not be there once all is over. */
  leftovers(): string[] {
    return [
      ...[...this.fds.values()].map(({ label }) => `fd of ${label}`),
      ...[...this.#timers.keys()].map((id) => `timer ${id}`),
      ...[...this.#polls.values()].map(({ description }) => `poll of ${description.label}`),
      ...this.pumps.running.map((what) => `pump ${what}`),
    ];
  }

  #childSignal(): void {
    if (this.#isChildSignalDue || this.#onSignal === undefined) return;
    this.#isChildSignalDue = true;
    this.timeline.after(this.random.delay(3), () => {
      this.#isChildSignalDue = false;
      this.enter(() => this.#onSignal?.(SIGCHLD));
    });
  }

  #ready({ description, events }: Poll): number {
    const { source, target, inbox, pending } = description;
    let ready = 0;
    if (source !== undefined) ready |= (source.bytes > 0 ? POLLIN : 0) | (source.writers === 0 ? POLLHUP : 0);
    if (target !== undefined) ready |= (target.space > 0 ? POLLOUT : 0) | (target.readers === 0 ? POLLERR : 0);
    if (inbox.length > 0 || pending) ready |= POLLIN;
    return ready & (events === 0 ? 0 : events | POLLERR | POLLHUP);
  }

  #wake(poll: Poll): void {
    if (poll.isDue || poll.isOver || this.#ready(poll) === 0) return;
    poll.isDue = true;
    this.timeline.after(this.random.delay(2), () => {
      poll.isDue = false;
      const ready = poll.isOver ? 0 : this.#ready(poll);
      if (ready === 0) return;
      this.enter(() => poll.fn(ready));
      this.#wake(poll);
    });
  }

  #pollStart(fd: Fd, events: number, fn: (events: number) => void): Status {
    const description = this.find(fd);
    if (description === undefined) return EBADF;
    if (this.#polls.has(fd)) return EEXIST;
    if (description.kind === "file" || description.kind === "device") return EPERM;
    const wake = (): void => this.#wake(poll);
    const poll: Poll = { description, events, fn, isDue: false, isOver: false, wake };
    this.#polls.set(fd, poll);
    description.watchers.add(wake);
    description.source?.watchers.add(wake);
    description.target?.watchers.add(wake);
    wake();
    return 0;
  }

  #pollStop(fd: Fd): Status {
    const poll = this.#polls.get(fd);
    if (poll === undefined) return ENOENT;
    poll.isOver = true;
    this.#polls.delete(fd);
    const { description, wake } = poll;
    description.watchers.delete(wake);
    description.source?.watchers.delete(wake);
    description.target?.watchers.delete(wake);
    return 0;
  }

  #loop(): Partial<Sys> {
    return {
      timerStart: (delayMs, fn) => {
        const id = this.#timerIds++ as TimerId;
        const due = this.timeline.after(Math.max(0, delayMs), () => {
          this.#timers.delete(id);
          this.enter(fn);
        });
        this.#timers.set(id, due);
        return id;
      },
      timerStop: (id) => {
        const due = this.#timers.get(id);
        if (due !== undefined) this.timeline.cancel(due);
        this.#timers.delete(id);
      },
      pollStart: (fd, events, fn) => this.#pollStart(fd, events, fn),
      pollChange: (fd, events) => {
        const poll = this.#polls.get(fd);
        if (poll === undefined) return ENOENT;
        poll.events = events;
        poll.wake();
        return 0;
      },
      pollStop: (fd) => this.#pollStop(fd),
      signalStart: (_signals, fn) => {
        this.#onSignal = (signal) => fn(signal, 0 as never);
        return 0;
      },
      monotonicMs: () => this.timeline.nowMs,
      realtimeNs: () => this.nowNs(),
    };
  }
}
