// What the bench needs around the shims, and the end of all of it: a folder, a root file system, a stand-in for the daemon's
// event service, and the list of shims that live. Whatever it started is ended by pid and removed, also after a failure.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeRootfs } from "../test/harness/rootfs.ts";
import type { SceneNames } from "../test/harness/scene-names.ts";
import { within } from "../test/harness/until.ts";
import { EventService, Waiter } from "./arrivals.ts";
import type { BenchDaemon } from "./bench-daemon.ts";
import { BenchShim } from "./bench-shim.ts";
import type { Cast } from "./cast.ts";
import type { ConmonContainer } from "./conmon.ts";
import { enterCpuGroup } from "./cpu-group.ts";
import { compileHelpers, helpersIn } from "./helpers.ts";
import { LineProgram } from "./line-program.ts";
import { copyProgram, copySide, type Side, type StockName } from "./side.ts";

const runcRoot = "/run/containerd/runc";
const cgroupRoot = "/sys/fs/cgroup";
const memoryFolder = "/dev/shm";
const exitWithinMs = 60_000;

export class Stage implements SceneNames {
  readonly tag = randomBytes(4).toString("hex");
  readonly namespace = `moor-bench-${this.tag}`;
  readonly dir = mkdtempSync(join(tmpdir(), `moor-bench-${this.tag}-`));
  readonly rootfs = join(this.dir, "rootfs");
  /** In memory, as containerd's state folder is (/run): a shim writes into its bundle. */
  readonly bundlesDir = mkdtempSync(join(memoryFolder, `moor-bench-${this.tag}-`));
  readonly programs = helpersIn(join(this.dir, "helpers"));
  sides: readonly Side[] = [];
  /** conmon's program; undefined where there is none. */
  conmon: string | undefined;
  /** Part of the sockets' names; no daemon is there. */
  readonly daemonAddress = join(this.dir, "daemon.sock");
  #events: EventService | undefined;
  #leaveCpuGroup: () => void = () => undefined;
  readonly #exitWaiters = new Map<string, (atNs: number) => void>();
  readonly #shims = new Set<BenchShim>();
  /** The folders of the containerds that the stock shims belong to. */
  containerdBins: Readonly<Partial<Record<StockName, string>>> = {};
  readonly #daemons: BenchDaemon[] = [];
  readonly #helpers: LineProgram[] = [];
  readonly #conmons = new Set<ConmonContainer>();
  #count = 0;

  async open({ moor, older, newer, conmon, containerdBins }: Cast): Promise<void> {
    this.#leaveCpuGroup = enterCpuGroup(`${this.namespace}-cpu`);
    await compileHelpers(join(this.dir, "helpers"));
    this.sides = [
      await copySide("moor", moor, this.dir),
      await copySide("older", older, this.dir),
      ...(newer === undefined ? [] : [await copySide("newer", newer, this.dir)]),
    ];
    this.containerdBins = containerdBins;
    if (conmon !== undefined) this.conmon = copyProgram(conmon, join(this.dir, "conmon"));
    await makeRootfs(this.rootfs);
    copyFileSync(this.programs.inside, join(this.rootfs, "bin/inside"));
    this.#events = await EventService.open(this.programs.arrivals, `${this.daemonAddress}.ttrpc`, (event, atNs) => {
      if (event.topic === "/tasks/exit") this.#exitWaiters.get(event.processId)?.(atNs);
    });
    execFileSync("sync");
  }

  newId(side: Side): string {
    return `${side.name}-${this.#count++}-${this.tag}`;
  }

  /** A shim in a bundle of its own, whose container shall run `args`; nothing runs yet. */
  shim(side: Side, args: readonly string[]): BenchShim {
    const shim = new BenchShim(this, side, this.newId(side), args);
    this.#shims.add(shim);
    return shim;
  }

  /** A shim with one container, which runs and waits. */
  async idleShim(side: Side): Promise<BenchShim> {
    const shim = this.shim(side, ["/bin/inside", "idle"]);
    await shim.start();
    await shim.run();
    return shim;
  }

  /** An idle shim of each side. */
  async idleShims(): Promise<Map<Side, BenchShim>> {
    const shims = new Map<Side, BenchShim>();
    for (const side of this.sides) shims.set(side, await this.idleShim(side));
    return shims;
  }

  /** It has ended and its bundle is gone. */
  forget(shim: BenchShim): void {
    this.#shims.delete(shim);
  }

  /** A reader that throws away what comes through FIFOs, until the stage closes. */
  async drainAll(fifos: readonly string[]): Promise<void> {
    this.#helpers.push(await LineProgram.ready([this.programs.drain, "all", ...fifos], () => undefined));
  }

  /** A connection to a shim on which Wait's answers are stamped; it ends with the stage. */
  openWaiter(socketPath: string, service: string): Waiter {
    const waiter = new Waiter(this.programs.arrivals, socketPath, service);
    this.#helpers.push(waiter.program);
    return waiter;
  }

  /** A containerd runs, until the stage closes at the latest. */
  addDaemon(daemon: BenchDaemon): void {
    this.#daemons.push(daemon);
  }

  /** A container below conmon lives. */
  addConmon(container: ConmonContainer): void {
    this.#conmons.add(container);
  }

  /** It is gone. */
  forgetConmon(container: ConmonContainer): void {
    this.#conmons.delete(container);
  }

  /**
   * When (nanoseconds of CLOCK_MONOTONIC) the exit event of this process arrives. To be called before it can have ended.
   */
  exitEvent(processId: string): Promise<number> {
    const arrived = new Promise<number>((resolve) => this.#exitWaiters.set(processId, resolve));
    const seen = within(`the exit event of ${processId}`, exitWithinMs, arrived);
    return seen.finally(() => this.#exitWaiters.delete(processId));
  }

  /** Ends the containers and shims that live. Never throws. */
  async clear(): Promise<void> {
    for (const shim of this.#shims) await shim.destroy();
    for (const container of this.#conmons) await container.end().catch(() => undefined);
    for (const daemon of this.#daemons) await daemon.end();
  }

  /** Ends what lives and removes everything. Never throws; returns what could not be removed. */
  async close(): Promise<string[]> {
    await this.clear();
    await this.#events?.close();
    for (const helper of this.#helpers) await helper.end();
    const left: string[] = [];
    try {
      this.#leaveCpuGroup();
    } catch (thrown) {
      left.push(`the cpu cgroup: ${String(thrown)}`);
    }
    const folders = [join(runcRoot, this.namespace), ...this.#cgroups()];
    for (const folder of folders) {
      if (!existsSync(folder)) continue;
      try {
        rmdirSync(folder);
      } catch (thrown) {
        left.push(`${folder}: ${String(thrown)}`);
      }
    }
    for (const dir of [this.dir, this.bundlesDir]) rmSync(dir, { recursive: true, force: true });
    return left;
  }

  /** Those of the containers, and those that the shims were started in. */
  #cgroups(): string[] {
    if (!existsSync(cgroupRoot)) return [];
    const parents = ["", ...readdirSync(cgroupRoot)].map((controller) => join(cgroupRoot, controller));
    return parents.flatMap((parent) => {
      if (!statSync(parent).isDirectory()) return [];
      const names = readdirSync(parent).filter((name) => name.startsWith(this.namespace));
      return names.map((name) => join(parent, name));
    });
  }
}
