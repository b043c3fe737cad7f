// A container as the simulated machine and its fake runtime know it: its cgroup with the files the shim looks at, its
// processes, whether it is frozen.

import type { Description } from "./files.ts";
import type { Kernel } from "./kernel.ts";
import type { VirtualProcess } from "./processes.ts";

const SIGKILL = 9;
const cgroupRoot = "/sys/fs/cgroup";

export class VirtualContainer {
  readonly id: string;
  readonly ownPidNamespace: boolean;
  readonly init: VirtualProcess;
  status: "created" | "running" | "paused" = "created";
  /** How often the out-of-memory killer has struck. */
  oomKills = 0;
  readonly #kernel: Kernel;
  /** What its processes would do if they were not frozen. */
  #deferred: (() => void)[] = [];
  readonly #inotifies = new Set<Description>();

  constructor(kernel: Kernel, id: string, ownPidNamespace: boolean, init: VirtualProcess) {
    this.#kernel = kernel;
    this.id = id;
    this.ownPidNamespace = ownPidNamespace;
    this.init = init;
    init.cgroup = id;
    if (ownPidNamespace) init.nsInit = init;
    this.#makeCgroup();
  }

  get living(): VirtualProcess[] {
    return this.#kernel.processes.livingIn(this.id);
  }

  /** Once it is not frozen: now, or when it is thawed. */
  whenThawed(fn: () => void): void {
    if (this.status === "paused") this.#deferred.push(fn);
    else fn();
  }

  freeze(): void {
    this.status = "paused";
  }

  thaw(): void {
    if (this.status !== "paused") return;
    this.status = "running";
    for (const fn of this.#deferred.splice(0)) fn();
  }

  /** The out-of-memory killer takes one of its processes. */
  outOfMemory(victim: VirtualProcess): void {
    this.oomKills++;
    this.#kernel.processes.send(victim, SIGKILL);
    for (const each of this.#inotifies) {
      each.pending = true;
      each.notify();
    }
  }

  killAll(): void {
    for (const each of this.living) this.#kernel.processes.send(each, SIGKILL);
  }

  removeCgroup(): void {
    this.#kernel.files.removeTree(`${cgroupRoot}/${this.id}`);
  }

  #makeCgroup(): void {
    const { files } = this.#kernel;
    const folder = `${cgroupRoot}/${this.id}`;
    const none = new Set<Description>();
    files.put(folder, { kind: "folder" });
    files.put(`${folder}/cgroup.procs`, {
      kind: "kernel",
      text: () => this.living.map(({ pid }) => `${pid}\n`).join(""),
      inotifies: none,
    });
    files.put(`${folder}/cgroup.freeze`, {
      kind: "kernel",
      text: () => (this.status === "paused" ? "1\n" : "0\n"),
      write: (text) => {
        if (text === "0") this.thaw();
        return 0;
      },
      inotifies: none,
    });
    files.put(`${folder}/memory.events`, {
      kind: "kernel",
      text: () => `low 0\nhigh 0\noom_kill ${this.oomKills}\n`,
      inotifies: this.#inotifies,
    });
  }
}
