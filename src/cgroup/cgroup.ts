// The cgroup of one container: its stats, its processes, whether it is frozen, and notice of the out-of-memory killer.
// It only looks, signals and thaws: making, changing and removing cgroups is the OCI runtime's. Holds no fd but a watch's.

import { ENODEV, ENOENT, ESRCH, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { SIGKILL } from "../sys/flags.ts";
import type { Fd, Pid, Sys } from "../sys/sys.d.ts";
import { hugePagesFolder } from "./devices.ts";
import { type CgroupFolders, readMembership } from "./membership.ts";
import { type KeptOomWatch, type OomWatch, watchOomV1, watchOomV2 } from "./oom.ts";
import { fieldsOfLines, readCount, tryReadCounts, tryReadText } from "./values.ts";

/** Where the kernel's own folders are; tests put fixtures in their place. */
export interface KernelFolders {
  readonly proc: string;
  readonly hugePages: string;
}

const kernelFolders: KernelFolders = { proc: "/proc", hugePages: hugePagesFolder };

/** Hierarchies of version 1 in which a container has a cgroup of its own, the likeliest first. */
const membershipControllers = ["pids", "freezer", "memory", "cpu", "devices", "name=systemd"];

const DT_DIR = 4;
const maxProcsBytes = 8 << 20;
/** A container that makes processes faster than this many looks can find them has a limit of pids to be stopped by. */
const killRounds = 100;
/** fds that a signal to all takes at once. */
const pidfdsAtOnce = 64;

/**
 * The cgroup of a container by a process that has not ended: a zombie is in none any more. Call it right after create.
 * @throws MoorError not_found when the process is gone, or is in no cgroup but ours.
 */
export function findCgroup(sys: Sys, pid: Pid, kernel: KernelFolders = kernelFolders): Cgroup {
  return new Cgroup(sys, readMembership(sys, pid, kernel.proc), kernel);
}

export class Cgroup {
  readonly #sys: Sys;
  readonly #kernel: KernelFolders;
  /** Plain data, enough to make the same object again in another process image. */
  readonly data: CgroupFolders;

  constructor(sys: Sys, data: CgroupFolders, kernel: KernelFolders = kernelFolders) {
    this.#sys = sys;
    this.#kernel = kernel;
    this.data = data;
  }

  get version(): 1 | 2 {
    return this.data.version;
  }

  /**
   * The stats as the Any that the daemon expects. Zeros, and no error, when the cgroup is gone. The code for them is
   * loaded when they are first asked for, and only that of the version that is there.
   */
  async stats(): Promise<{ typeUrl: string; value: Uint8Array }> {
    const { folders, version } = this.data;
    if (version === 2) {
      const { readMetricsV2 } = await import("./metrics-v2.ts");
      const value = readMetricsV2(this.#sys, this.#membershipFolder(), this.#kernel.hugePages);
      return { typeUrl: "io.containerd.cgroups.v2.Metrics", value };
    }
    const { readMetricsV1 } = await import("./metrics-v1.ts");
    const { proc, hugePages } = this.#kernel;
    return {
      typeUrl: "io.containerd.cgroups.v1.Metrics",
      value: readMetricsV1(this.#sys, { folders, proc, hugePages }),
    };
  }

  /**
   * All processes in the cgroup and the cgroups below it, ascending; none when it is gone. (A process that a container
   * moved into a cgroup of its own making is one of the container's all the same.)
   * @throws MoorError when the cgroup is there and cannot be read.
   */
  pids(): Pid[] {
    const pids = new Set<number>();
    this.#collectPids(this.#membershipFolder(), pids, true);
    return [...pids].sort((a, b) => a - b) as Pid[];
  }

  /**
   * Sends a signal to each process in the cgroup and below; SIGKILL also to what these make meanwhile. Runtimes do not
   * agree on it: to `kill --all` runc before 1.2 and crun do this, runc from 1.2 on signals init alone.
   * @returns whether there was any process.
   * @throws MoorError when the cgroup cannot be read, a process cannot be held on to, or the kernel refuses.
   */
  signalAll(signal: number): boolean {
    const seen = new Set<Pid>();
    for (let round = 0; round < (signal === SIGKILL ? killRounds : 1); round++) {
      const fresh = this.pids().filter((pid) => !seen.has(pid));
      if (fresh.length === 0) break;
      for (const pid of fresh) seen.add(pid);
      for (let i = 0; i < fresh.length; i += pidfdsAtOnce) this.#signalSome(fresh.slice(i, i + pidfdsAtOnce), signal);
    }
    return seen.size > 0;
  }

  /** A pidfd holds on to one process: if the cgroup has its pid after it was opened, it is the one meant. */
  #signalSome(pids: readonly Pid[], signal: number): void {
    const held: [Pid, Fd][] = [];
    try {
      for (const pid of pids) {
        const fd = this.#sys.pidfdOpen(pid);
        if (fd !== ESRCH) held.push([pid, must(fd, `hold on to process ${pid}`)]);
      }
      const members = new Set(this.pids());
      for (const [pid, fd] of held) {
        const status = members.has(pid) ? this.#sys.pidfdSignal(fd, signal) : ESRCH;
        if (status !== ESRCH) must(status, `send signal ${signal} to process ${pid}`);
      }
    } finally {
      for (const [, fd] of held) this.#sys.close(fd);
    }
  }

  /** Whether the container is frozen or just freezing. */
  isFrozen(): boolean {
    if (this.version === 2) {
      const top = this.#membershipFolder();
      if (readCount(this.#sys, `${top}/cgroup.freeze`) === 1n) return true;
      // Frozen by a cgroup above.
      return tryReadCounts(this.#sys, `${top}/cgroup.events`)?.("frozen") === 1n;
    }
    const folder = this.data.folders["freezer"];
    const state = folder === undefined ? undefined : tryReadText(this.#sys, `${folder}/freezer.state`);
    return state !== undefined && state.trim() !== "THAWED";
  }

  /**
   * Lets a frozen container run on (a SIGKILL does nothing to one that is frozen in version 1).
   * @throws MoorError when the kernel refuses.
   */
  thaw(): void {
    const folder = this.version === 2 ? this.#membershipFolder() : this.data.folders["freezer"];
    if (folder === undefined) throw new MoorError("failed_precondition", "thaw: there is no freezer cgroup");
    const [path, text] = this.version === 2 ? [`${folder}/cgroup.freeze`, "0"] : [`${folder}/freezer.state`, "THAWED"];
    must(this.#sys.writeText(path, text, 0, 0), `write ${path}`);
  }

  /**
   * Calls `onOom` each time the out-of-memory killer has struck, until the watch is stopped.
   * @param resumed a watch that another image of the program has set up.
   * @throws MoorError failed_precondition without the memory controller; unknown when the kernel refuses.
   */
  watchOom(onOom: () => void, resumed?: KeptOomWatch): OomWatch {
    if (this.version === 2) return watchOomV2(this.#sys, this.#membershipFolder(), onOom, resumed);
    const folder = this.data.folders["memory"];
    if (folder === undefined) {
      throw new MoorError("failed_precondition", "watch for out of memory: there is no memory cgroup");
    }
    return watchOomV1(this.#sys, folder, onOom, resumed);
  }

  /** The folder whose cgroup.procs, and those below it, name the container's processes. */
  #membershipFolder(): string {
    const { folders, version } = this.data;
    const name = version === 2 ? "" : membershipControllers.find((controller) => folders[controller] !== undefined);
    const folder = name === undefined ? Object.values(folders)[0] : folders[name];
    if (folder === undefined) throw new MoorError("not_found", "the container has no cgroup");
    return folder;
  }

  #collectPids(folder: string, pids: Set<number>, isTop: boolean): void {
    const text = this.#sys.readText(`${folder}/cgroup.procs`, maxProcsBytes);
    if (isErrno(text)) {
      // A cgroup may go at any time (ENODEV: between open and read). One below that holds only threads has no list.
      if (isTop && text !== ENOENT && text !== ENODEV) must(text, `read ${folder}/cgroup.procs`);
    } else {
      for (const [word] of fieldsOfLines(text)) {
        const pid = Number(word);
        // 0 stands for a process that this pid namespace does not see.
        if (pid > 0) pids.add(pid);
      }
    }
    const entries = this.#sys.readdir(folder);
    if (isErrno(entries)) return;
    for (const [name, type] of entries) if (type === DT_DIR) this.#collectPids(`${folder}/${name}`, pids, false);
  }
}
