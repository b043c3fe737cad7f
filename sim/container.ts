// A container as the simulated machine and its fake runtime know it: its cgroups with the files the shim looks at, its
// processes, whether it is frozen.

import { EINVAL } from "../src/sys/errno.ts";
import type { Fd } from "../src/sys/sys.d.ts";
import type { Description, Node } from "./files.ts";
import type { Kernel } from "./kernel.ts";
import type { VirtualProcess } from "./processes.ts";

const SIGKILL = 9;
const cgroupRoot = "/sys/fs/cgroup";
/** Hierarchies of version 1. */
export const controllers = ["pids", "memory", "freezer"] as const;

/** The name of the container whose cgroup has this folder. */
export function cgroupOf(folder: string): string | undefined {
  const match = /^\/sys\/fs\/cgroup(?:\/(?:pids|memory|freezer))?\/([^/]+)$/.exec(folder);
  return match?.[1];
}

export class VirtualContainer {
  readonly id: string;
  readonly ownPidNamespace: boolean;
  readonly init: VirtualProcess;
  status: "created" | "running" | "paused" = "created";
  /** How often the out-of-memory killer has struck. */
  oomKills = 0;
  /** Of those, when somebody could have seen it: a restored process may have run and died before its runtime has ended. */
  oomKillsInSight = 0;
  isRestored = false;
  readonly #kernel: Kernel;
  /** What its processes would do if they were not frozen. */
  #deferred: (() => void)[] = [];
  /** Who is to be told of an out-of-memory kill. */
  readonly #watches = new Set<Description>();

  constructor(kernel: Kernel, id: string, ownPidNamespace: boolean, init: VirtualProcess) {
    this.#kernel = kernel;
    this.id = id;
    this.ownPidNamespace = ownPidNamespace;
    this.init = init;
    init.cgroup = id;
    if (ownPidNamespace) init.nsInit = init;
    for (const [folder, files] of this.#cgroups()) {
      kernel.files.put(folder, { kind: "folder" });
      for (const [name, node] of Object.entries(files)) kernel.files.put(`${folder}/${name}`, node);
    }
  }

  get living(): VirtualProcess[] {
    return this.#kernel.processes.livingIn(this.id);
  }

  /** By controller as runc writes it down. */
  get cgroupPaths(): Readonly<Record<string, string>> {
    if (this.#kernel.options.cgroupVersion === 2) return { "": `${cgroupRoot}/${this.id}` };
    return Object.fromEntries(controllers.map((name) => [name, `${cgroupRoot}/${name}/${this.id}`]));
  }

  /** Once it is not frozen: now, or when it is thawed. */
  whenThawed(fn: () => void): void {
    if (this.status === "paused") this.#deferred.push(fn);
    else fn();
  }

  freeze(): void {
    this.status = "paused";
    if (this.#kernel.options.cgroupVersion === 1) for (const each of this.living) each.isFrozen = true;
  }

  thaw(): void {
    if (this.status !== "paused") return;
    this.status = "running";
    for (const fn of this.#deferred.splice(0)) fn();
    for (const each of this.living) this.#kernel.processes.thaw(each);
  }

  /** The out-of-memory killer takes one of its processes. */
  outOfMemory(victim: VirtualProcess): void {
    this.oomKills++;
    if (!this.isRestored || this.#watches.size > 0) this.oomKillsInSight++;
    this.#kernel.processes.send(victim, SIGKILL);
    this.#tellWatches();
  }

  killAll(): void {
    this.thaw();
    for (const each of this.living) this.#kernel.processes.send(each, SIGKILL);
  }

  removeCgroup(): void {
    for (const folder of Object.values(this.cgroupPaths)) this.#kernel.files.removeTree(folder);
    // An eventfd is told of it.
    if (this.#kernel.options.cgroupVersion === 1) this.#tellWatches();
  }

  #tellWatches(): void {
    for (const each of this.#watches) {
      each.pending = true;
      each.notify();
    }
  }

  #cgroups(): readonly (readonly [folder: string, files: Readonly<Record<string, Node>>])[] {
    const paths = this.cgroupPaths;
    const procs: Node = { kind: "kernel", text: () => this.living.map(({ pid }) => `${pid}\n`).join("") };
    if (this.#kernel.options.cgroupVersion === 1) {
      return controllers.map((name) => [paths[name] as string, { "cgroup.procs": procs, ...this.#filesV1(name) }]);
    }
    return [[paths[""] as string, { "cgroup.procs": procs, ...this.#filesV2() }]];
  }

  #filesV2(): Readonly<Record<string, Node>> {
    const isFrozen = (): string => (this.status === "paused" ? "1\n" : "0\n");
    const thaw = (text: string): 0 => {
      if (text === "0") this.thaw();
      return 0;
    };
    const kill = (): 0 => {
      this.killAll();
      return 0;
    };
    const events = (): string => `low 0\nhigh 0\noom_kill ${this.oomKills}\n`;
    return {
      "cgroup.freeze": { kind: "kernel", text: isFrozen, write: thaw },
      "cgroup.kill": { kind: "kernel", text: () => "", write: kill },
      "memory.events": { kind: "kernel", text: events, inotifies: this.#watches },
      "memory.current": { kind: "kernel", text: () => "4096\n" },
      "pids.current": { kind: "kernel", text: () => `${this.living.length}\n` },
    };
  }

  #filesV1(controller: (typeof controllers)[number]): Readonly<Record<string, Node>> {
    if (controller === "freezer") {
      const state = (): string => (this.status === "paused" ? "FROZEN\n" : "THAWED\n");
      const thaw = (text: string): 0 => {
        if (text === "THAWED") this.thaw();
        return 0;
      };
      return { "freezer.state": { kind: "kernel", text: state, write: thaw } };
    }
    if (controller === "pids") {
      return { "pids.current": { kind: "kernel", text: () => `${this.living.length}\n` } };
    }
    return {
      "memory.oom_control": { kind: "kernel", text: () => `oom_kill ${this.oomKills}\n` },
      "memory.usage_in_bytes": { kind: "kernel", text: () => "4096\n" },
      "cgroup.event_control": { kind: "kernel", text: () => "", write: (text) => this.#register(text) },
    };
  }

  /** "EVENTFD CONTROLFD": the eventfd is told of out-of-memory kills. */
  #register(text: string): 0 | typeof EINVAL {
    const description = this.#kernel.find(Number.parseInt(text, 10) as Fd);
    if (description?.kind !== "eventfd") return EINVAL;
    this.#watches.add(description);
    description.onRelease = () => this.#watches.delete(description);
    return 0;
  }
}
