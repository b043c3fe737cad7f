// A Sys as small as the tests of single files here need: files in memory on a disk that may be full, a FIFO that may
// be, and timers that fire when the test says so. What is not implemented throws.

import { EAGAIN, EBADF, ENOENT, ENOSPC } from "../sys/errno.ts";
import { O_TRUNC, S_IFIFO, S_IFREG } from "../sys/flags.ts";
import type { Log } from "../sys/log.ts";
import type { Errno, Fd, Sys, TimerId } from "../sys/sys.d.ts";

interface OpenFile {
  readonly path: string;
  at: number;
}

export class SmallSystem {
  readonly files = new Map<string, Uint8Array>();
  /** Paths that are FIFOs; what is written to one comes as lines of text here. */
  readonly fifos = new Map<string, string[]>();
  readonly openFds = new Map<Fd, OpenFile>();
  readonly timers = new Map<TimerId, { readonly ms: number; readonly fn: () => void }>();
  /** "warn: text error" per line that was logged. */
  readonly logged: string[] = [];
  /** Writes to files fail with ENOSPC, after half of what was asked for. */
  diskFull = false;
  /** The FIFO takes nothing. */
  fifoFull = false;
  /** Each of these calls fails so. */
  readonly failing = new Map<keyof Sys, Errno>();
  timeNs = 0n;
  readonly log: Log = {
    debug: (message) => this.logged.push(`debug: ${message}`),
    info: (message) => this.logged.push(`info: ${message}`),
    warn: (message) => this.logged.push(`warn: ${message}`),
    error: (message) => this.logged.push(`error: ${message}`),
  };
  readonly sys: Sys;
  #next = 3;

  constructor() {
    this.sys = new Proxy(this.#calls(), {
      get: (target, name) => {
        const value = target[name as keyof Sys];
        if (value === undefined) throw new Error(`the small system has no ${String(name)}`);
        const failure = this.failing.get(name as keyof Sys);
        return failure === undefined ? value : () => failure;
      },
    }) as Sys;
  }

  text(path: string): string | undefined {
    const bytes = this.files.get(path);
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  /** Fires all timers there are. @returns their delays. */
  pass(): number[] {
    const due = [...this.timers];
    this.timers.clear();
    for (const [, { fn }] of due) fn();
    return due.map(([, { ms }]) => ms);
  }

  #put(path: string, bytes: Uint8Array, at: number): number | Errno {
    const old = this.files.get(path) ?? new Uint8Array();
    const taken = this.diskFull ? bytes.subarray(0, bytes.length >> 1) : bytes;
    const grown = new Uint8Array(Math.max(old.length, at + taken.length));
    grown.set(old);
    grown.set(taken, at);
    this.files.set(path, grown);
    return this.diskFull && taken.length === 0 ? ENOSPC : taken.length;
  }

  #calls(): Partial<Sys> {
    return {
      environ: [],
      realtimeNs: () => this.timeNs,
      encodeUtf8: (text) => new TextEncoder().encode(text),
      decodeUtf8: (bytes) => new TextDecoder().decode(bytes),
      timerStart: (ms, fn) => {
        const id = this.#next++ as unknown as TimerId;
        this.timers.set(id, { ms, fn });
        return id;
      },
      timerStop: (id) => {
        this.timers.delete(id);
      },
      open: (path, flags) => {
        if (!this.fifos.has(path) && ((flags & O_TRUNC) !== 0 || !this.files.has(path))) {
          this.files.set(path, new Uint8Array());
        }
        const fd = this.#next++ as Fd;
        this.openFds.set(fd, { path, at: 0 });
        return fd;
      },
      close: (fd) => (this.openFds.delete(fd) ? 0 : EBADF),
      seek: (fd, offset) => {
        const open = this.openFds.get(fd);
        if (open === undefined) return EBADF;
        open.at = offset;
        return offset;
      },
      read: (fd, into, offset, length) => {
        const open = this.openFds.get(fd);
        if (open === undefined) return EBADF;
        // Never more than a few bytes at once: readers must go on.
        const bytes = (this.files.get(open.path) ?? new Uint8Array()).subarray(open.at, open.at + Math.min(length, 5));
        into.set(bytes, offset);
        open.at += bytes.length;
        return bytes.length;
      },
      write: (fd, from, offset, length) => {
        const open = this.openFds.get(fd);
        if (open === undefined) return EBADF;
        const bytes = from.subarray(offset, offset + length);
        const lines = this.fifos.get(open.path);
        if (lines !== undefined) {
          if (this.fifoFull) return EAGAIN;
          lines.push(new TextDecoder().decode(bytes));
          return length;
        }
        const count = this.#put(open.path, bytes, open.at);
        open.at += Math.max(count, 0);
        return count;
      },
      ftruncate: (fd, size) => {
        const open = this.openFds.get(fd);
        if (open === undefined) return EBADF;
        this.files.set(open.path, (this.files.get(open.path) ?? new Uint8Array()).slice(0, size));
        return 0;
      },
      stat: (path) => {
        if (!this.fifos.has(path) && !this.files.has(path)) return ENOENT;
        return { mode: this.fifos.has(path) ? S_IFIFO : S_IFREG } as never;
      },
      readText: (path) => this.text(path) ?? ENOENT,
      writeText: (path, text) => {
        this.files.set(path, new Uint8Array());
        const written = this.#put(path, new TextEncoder().encode(text), 0);
        return this.diskFull ? ENOSPC : ((written < 0 ? written : 0) as 0);
      },
      rename: (from, to) => {
        const bytes = this.files.get(from);
        if (bytes === undefined) return ENOENT;
        this.files.delete(from);
        this.files.set(to, bytes);
        return 0;
      },
      unlink: (path) => (this.files.delete(path) ? 0 : ENOENT),
      unixConnect: (path) =>
        this.fifos.has(path) ? ((this.openFds.set(99 as Fd, { path, at: 0 }), 99) as Fd) : ENOENT,
    };
  }
}
