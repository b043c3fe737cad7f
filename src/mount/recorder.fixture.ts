// A Sys that mounts nothing: it writes down the calls, answers success, and fails where the test says so. Paths through
// /proc/self/fd are shown as the path that the fd was opened with.

import { EINVAL } from "../sys/errno.ts";
import type { Errno, Fd, Status, Sys } from "../sys/sys.d.ts";

export class Recorder {
  /** One line per call that changes something. */
  readonly calls: string[] = [];
  readonly sys: Sys;
  readonly openPaths = new Map<number, string>();
  /** The first entry whose text a call contains answers it, and is used up. */
  readonly failures: [text: string, errno: Errno][] = [];
  /** f_flags of every path. */
  fsFlags = 0;
  /** Mount points, in the kernel's order. */
  mountPoints: string[] = [];
  cwd = "/bundle";
  /** What every memfd holds. */
  memoryText = "";
  readonly timers: (() => void)[] = [];
  #nextFd = 10;

  constructor() {
    const calls: Partial<Sys> = {
      mkdir: (path) => this.#answer(`mkdir ${path}`),
      rmdir: (path) => this.#answer(`rmdir ${path}`),
      open: (path) => this.#open(path === "." ? this.cwd : path, `open ${path}`),
      openat2: (dirFd, path, _flags, _mode, resolve) =>
        resolve === 18 ? this.#open(`${this.openPaths.get(dirFd)}/${path}`, `openat2 ${path}`) : EINVAL,
      close: (fd) => (this.openPaths.delete(fd) ? 0 : EINVAL),
      readlink: (path) => this.#shown(path),
      chdir: (path) => {
        const status = this.#answer(`chdir ${path}`);
        if (status === 0) this.cwd = path;
        return status;
      },
      fchdir: (fd) => {
        this.cwd = this.openPaths.get(fd) ?? "";
        return this.#answer(`chdir ${this.cwd}`);
      },
      mount: (source, target, type, flags, data) => {
        const words = ["mount", source, this.#shown(target), type, flags, data];
        return this.#answer(words.filter((word) => word !== "").join(" "));
      },
      umount: (target, flags) => {
        const status = this.#answer(`umount ${target} ${flags}`);
        const index = this.mountPoints.lastIndexOf(target);
        if (status === 0 && index >= 0) this.mountPoints.splice(index, 1);
        return status;
      },
      fsFlags: () => this.fsFlags,
      userNamespace: (uid, gid) => this.#open("userns", `userns ${JSON.stringify([uid, gid])}`),
      mountIdmapped: (source, target, _fd, recursive) =>
        this.#answer(`idmap ${source} ${target}${recursive ? " recursive" : ""}`),
      loopAttach: (file, readOnly, directIo) => {
        const fd = this.#open("/dev/loop3", `loop ${file} ${readOnly} ${directIo}`);
        return fd < 0 ? (fd as Errno) : { fd: fd as Fd, path: "/dev/loop3" };
      },
      memfd: (name) => this.#open(`memory of ${name}`, "open memory"),
      seek: () => 0,
      read: (_fd, into) => new TextEncoder().encodeInto(this.memoryText, into).written,
      decodeUtf8: (bytes) => new TextDecoder().decode(bytes),
      encodeUtf8: (text) => new TextEncoder().encode(text),
      readText: () => this.mountPoints.map((point) => `1 1 0:1 / ${point} rw - ext4 /dev/x rw\n`).join(""),
      timerStart: (_delayMs, fn) => this.timers.push(fn) as never,
      timerStop: () => undefined,
    };
    this.sys = new Proxy(calls as Sys, {
      get(target, name) {
        if (!(name in target)) throw new Error(`the recorder has no sys.${String(name)}`);
        return Reflect.get(target, name) as unknown;
      },
    });
  }

  #open(path: string, call: string): Fd | Errno {
    const status = this.#fail(call);
    if (status !== 0) return status;
    const fd = this.#nextFd++;
    this.openPaths.set(fd, path);
    if (!call.startsWith("open")) this.calls.push(call);
    return fd as Fd;
  }

  #answer(call: string): Status {
    this.calls.push(call);
    return this.#fail(call);
  }

  #fail(call: string): Status {
    const index = this.failures.findIndex(([text]) => call.includes(text));
    return index < 0 ? 0 : (this.failures.splice(index, 1)[0]?.[1] ?? 0);
  }

  #shown(path: string): string {
    const fd = /^\/proc\/self\/fd\/(\d+)$/.exec(path)?.[1];
    return fd === undefined ? path : (this.openPaths.get(Number(fd)) ?? `closed fd ${fd}`);
  }
}
