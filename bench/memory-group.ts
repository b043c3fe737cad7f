// A memory cgroup in which shims are started, for what the kernel charges to them all in all: their pages, those of the
// files they were the first to read, and the kernel's own memory for them.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = "/sys/fs/cgroup";

export class MemoryGroup {
  readonly procs: string;
  readonly #dir: string;
  readonly #usage: string;

  private constructor(dir: string, usage: string) {
    mkdirSync(dir, { recursive: true });
    this.#dir = dir;
    this.#usage = join(dir, usage);
    this.procs = join(dir, "cgroup.procs");
  }

  /** Undefined where the machine has no memory controller, of either version of cgroups, that could be used. */
  static make(name: string): MemoryGroup | undefined {
    if (existsSync(join(root, "memory/memory.usage_in_bytes"))) {
      return new MemoryGroup(join(root, "memory", name), "memory.usage_in_bytes");
    }
    const enabled = join(root, "cgroup.subtree_control");
    if (!existsSync(enabled) || !readFileSync(enabled, "utf8").includes("memory")) return undefined;
    return new MemoryGroup(join(root, name), "memory.current");
  }

  chargeKb(): number {
    return Number(readFileSync(this.#usage, "utf8")) / 1024;
  }

  /** Takes the cgroup away; what is left in it goes to where it came from. */
  remove(): void {
    const parent = join(this.#dir, "../cgroup.procs");
    for (const pid of readFileSync(this.procs, "utf8").split("\n")) {
      if (pid !== "") writeFileSync(parent, pid);
    }
    rmdirSync(this.#dir);
  }
}
