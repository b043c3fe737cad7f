// A folder that looks like cgroupfs and procfs to the tests of this folder, and the few calls of Sys that read it; fds
// of eventfd and inotify are pretended, and their readiness is called for by the test.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { EAGAIN, ENOENT } from "../sys/errno.ts";
import type { Errno, Fd, Pid, Sys } from "../sys/sys.d.ts";
import type { KernelFolders } from "./cgroup.ts";

export class FixtureTree {
  readonly top = mkdtempSync(join(tmpdir(), "moor-cgroup-"));
  readonly kernel: KernelFolders = { proc: join(this.top, "proc"), hugePages: join(this.top, "hugepages") };
  /** Readable by sys.read: bytes waiting per pretended fd. */
  readonly waiting = new Map<number, number>();
  readonly polls = new Map<number, (events: number) => void>();
  readonly openFds = new Set<number>();
  readonly sys: Sys;
  #nextFd = 100;

  constructor(files: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(files)) this.write(name, text);
    const calls: Partial<Sys> = {
      readText: (path, maxBytes) => attempt(() => readFileSync(path, "utf8").slice(0, maxBytes)),
      writeText: (path, text) => attempt(() => (writeFileSync(path, text, { flag: "r+" }), 0)) as 0 | Errno,
      readdir: (path) =>
        attempt(() =>
          readdirSync(path, { withFileTypes: true }).map((entry) => [entry.name, entry.isDirectory() ? 4 : 8] as const),
        ),
      access: (path) => attempt(() => (readFileSync(path), 0)) as 0 | Errno,
      open: (path) => attempt(() => (readFileSync(path), this.#newFd())),
      eventfd: () => this.#newFd(),
      inotifyCreate: () => this.#newFd(),
      inotifyAdd: (_fd, path) => attempt(() => (readFileSync(path), 1)),
      pollStart: (fd, _events, fn) => {
        this.polls.set(fd, fn);
        return 0;
      },
      pollStop: (fd) => {
        this.polls.delete(fd);
        return 0;
      },
      close: (fd) => {
        this.openFds.delete(fd);
        return 0;
      },
      read: (fd) => {
        const bytes = this.waiting.get(fd);
        this.waiting.delete(fd);
        return bytes ?? EAGAIN;
      },
    };
    this.sys = new Proxy(calls as Sys, {
      get(target, name) {
        if (!(name in target)) throw new Error(`the fixture has no sys.${String(name)}`);
        return Reflect.get(target, name) as unknown;
      },
    });
  }

  write(name: string, text: string): void {
    const path = join(this.top, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  read(name: string): string {
    return readFileSync(join(this.top, name), "utf8");
  }

  remove(name: string): void {
    rmSync(join(this.top, name), { recursive: true });
  }

  /** As the kernel does: bytes to read, and the poll's callback. */
  signal(fd: number, bytes: number): void {
    this.waiting.set(fd, bytes);
    this.polls.get(fd)?.(1);
  }

  end(): void {
    rmSync(this.top, { recursive: true });
  }

  #newFd(): Fd {
    const fd = this.#nextFd++;
    this.openFds.add(fd);
    return fd as Fd;
  }
}

export const testPid = 42 as Pid;

function attempt<T>(run: () => T): T | Errno {
  try {
    return run();
  } catch {
    return ENOENT;
  }
}

/** mountinfo of a machine with the controllers in hierarchies of their own, and an empty unified one beside them. */
export function hybridMounts(top: string, root = "/"): string {
  const v1 = (id: number, controllers: string): string =>
    `${id} 31 0:${id} ${root} ${top}/${controllers} rw,relatime shared:1 - cgroup cgroup rw,seclabel,${controllers}\n`;
  return (
    "23 0 8:1 / / rw,relatime - ext4 /dev/root rw\n" +
    ["cpu,cpuacct", "memory", "pids", "freezer", "blkio", "hugetlb", "rdma"]
      .map((name, i) => v1(32 + i, name))
      .join("") +
    `40 31 0:37 / ${top}/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n` +
    `41 31 0:38 / ${top}/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n`
  );
}

export function unifiedMounts(top: string): string {
  return `23 0 8:1 / / rw - ext4 /dev/root rw\n30 23 0:26 / ${top}/uni\\040fied rw,nosuid - cgroup2 cgroup2 rw\n`;
}
