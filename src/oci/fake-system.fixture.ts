// A kernel and a reaper as small as the tests of this folder need: files in memory, pipes, timers that fire when the
// test says so, and a runtime that is a function. What is not implemented throws.

import type { Announcement, Exit, OwnedProcess } from "../reaper/reaper.ts";
import { EAGAIN, ENOENT } from "../sys/errno.ts";
import type { Log } from "../sys/log.ts";
import type { Errno, Fd, Pid, SpawnRequest, Sys } from "../sys/sys.d.ts";

interface Pipe {
  bytes: number[];
  poll: ((events: number) => void) | undefined;
}
type OpenFd = { pipe: Pipe } | { file: string; at: number };

/** One run of the pretended runtime. */
export class FakeCall {
  readonly request: SpawnRequest;
  readonly args: readonly string[];
  readonly signals: number[] = [];
  readonly #system: FakeSystem;
  readonly pid: Pid;
  exit: Exit | undefined;
  readonly exited: Promise<Exit>;
  /** As a child's own copies: they outlast the caller's. */
  readonly #pipes = new Map<number, (text: string) => void>();
  #resolve: (exit: Exit) => void = () => undefined;

  constructor(system: FakeSystem, request: SpawnRequest, pid: Pid) {
    this.#system = system;
    this.request = request;
    this.args = request.argv.slice(request.argv.indexOf("json") + 1);
    this.pid = pid;
    for (const { target, source } of request.fds) {
      const write = system.writer(source);
      if (write !== undefined) this.#pipes.set(target, write);
    }
    this.exited = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  flag(name: string): string {
    return this.request.argv[this.request.argv.indexOf(name) + 1] ?? "";
  }

  log(text: string): void {
    const path = this.flag("--log");
    this.#system.files.set(path, (this.#system.files.get(path) ?? "") + text);
  }

  /** Writes to fd 1 or 2, if it is a pipe of ours. */
  write(target: number, text: string): void {
    this.#pipes.get(target)?.(text);
  }

  end(status: number, signal = 0): void {
    this.exit = { pid: this.pid, status, signal, atNs: 0n };
    this.#resolve(this.exit);
  }
}

export class FakeSystem {
  readonly files = new Map<string, string>();
  readonly fds = new Map<Fd, OpenFd>();
  readonly timers = new Map<number, { ms: number; fn: () => void }>();
  readonly calls: FakeCall[] = [];
  readonly claimed: Pid[] = [];
  readonly killed: [number, number][] = [];
  readonly logged: string[] = [];
  /** What the runtime does; set it before the call. */
  runtime: (call: FakeCall) => void = (call) => call.end(0);
  #next = 10;

  readonly reaper = {
    spawn: (request: SpawnRequest): OwnedProcess => {
      const call = new FakeCall(this, request, this.#next++ as Pid);
      this.calls.push(call);
      queueMicrotask(() => this.runtime(call));
      return {
        pid: call.pid,
        exited: call.exited,
        get exit() {
          return call.exit;
        },
        signal: (signal: number) => {
          call.signals.push(signal);
          if (call.exit === undefined) call.end(128 + signal, signal);
          return true;
        },
      };
    },
  };

  readonly announcement: Announcement = {
    claim: (pid: Pid): OwnedProcess => {
      this.claimed.push(pid);
      return { pid, exited: new Promise(() => undefined), exit: undefined, signal: () => true };
    },
    endStrays: () => undefined,
    end: () => undefined,
  };

  readonly log: Log = {
    debug: () => undefined,
    info: (message) => this.logged.push(message),
    warn: (message) => this.logged.push(message),
    error: (message) => this.logged.push(message),
  };

  /** Bytes into the pipe whose write end this is, and the reader told. */
  feed(writeFd: Fd, text: string): void {
    const write = this.writer(writeFd);
    if (write === undefined) throw new Error(`fd ${writeFd} is no pipe`);
    write(text);
  }

  /** What writes into the pipe of this fd, also after the fd was closed; undefined when it is none. */
  writer(writeFd: Fd): ((text: string) => void) | undefined {
    const open = this.fds.get(writeFd);
    if (open === undefined || !("pipe" in open)) return undefined;
    return (text) => {
      open.pipe.bytes.push(...new TextEncoder().encode(text));
      open.pipe.poll?.(1);
    };
  }

  /** Fires the timers that run for this long or less. */
  pass(ms: number): void {
    for (const [id, timer] of [...this.timers]) {
      if (timer.ms <= ms && this.timers.delete(id)) timer.fn();
    }
  }

  readonly sys: Sys = new Proxy(this.#implemented(), {
    get(target, name) {
      const value = target[name as keyof Sys];
      if (value === undefined) throw new Error(`the fake system has no ${String(name)}`);
      return value;
    },
  }) as Sys;

  #implemented(): Partial<Sys> {
    const open = (entry: OpenFd): Fd => {
      const fd = this.#next++ as Fd;
      this.fds.set(fd, entry);
      return fd;
    };
    const size = (path: string) => new TextEncoder().encode(this.files.get(path) ?? "").length;
    return {
      environ: [],
      getpid: () => 1 as Pid,
      monotonicMs: () => 0,
      realtimeNs: () => 0n,
      kill: (pid, signal) => {
        this.killed.push([pid, signal]);
        return 0;
      },
      timerStart: (ms, fn) => {
        const id = this.#next++;
        this.timers.set(id, { ms, fn });
        return id as never;
      },
      timerStop: (id) => {
        this.timers.delete(id);
      },
      pipe: () => {
        const pipe: Pipe = { bytes: [], poll: undefined };
        return [open({ pipe }), open({ pipe })];
      },
      setNonblock: () => 0,
      pollStart: (fd, _events, fn) => {
        const entry = this.fds.get(fd);
        if (entry && "pipe" in entry) entry.pipe.poll = fn;
        return 0;
      },
      pollStop: (fd) => {
        const entry = this.fds.get(fd);
        if (entry && "pipe" in entry) entry.pipe.poll = undefined;
        return 0;
      },
      read: (fd, into, offset, length) => {
        const entry = this.fds.get(fd);
        if (entry === undefined) return -9 as Errno;
        if ("pipe" in entry) {
          const taken = entry.pipe.bytes.splice(0, length);
          if (taken.length === 0) return EAGAIN;
          into.set(taken, offset);
          return taken.length;
        }
        const rest = new TextEncoder().encode(this.files.get(entry.file) ?? "").subarray(entry.at, entry.at + length);
        into.set(rest, offset);
        entry.at += rest.length;
        return rest.length;
      },
      close: (fd) => (this.fds.delete(fd) ? 0 : (-9 as Errno)),
      open: (path) => (this.files.has(path) ? open({ file: path, at: 0 }) : ENOENT),
      seek: (fd, offset) => {
        const entry = this.fds.get(fd);
        if (entry && "file" in entry) entry.at = offset;
        return offset;
      },
      fstat: (fd) => {
        const entry = this.fds.get(fd);
        return { size: entry && "file" in entry ? size(entry.file) : 0 } as never;
      },
      stat: (path) => (this.files.has(path) ? ({ size: size(path) } as never) : ENOENT),
      readText: (path, maxBytes) => {
        const text = this.files.get(path);
        if (text === undefined) return ENOENT;
        return size(path) > maxBytes ? (-27 as Errno) : text;
      },
      writeText: (path, text) => {
        this.files.set(path, text);
        return 0;
      },
      unlink: (path) => (this.files.delete(path) ? 0 : ENOENT),
      rename: (from, to) => {
        this.files.set(to, this.files.get(from) ?? "");
        this.files.delete(from);
        return 0;
      },
      decodeUtf8: (bytes) => new TextDecoder().decode(bytes),
    };
  }
}
