// What the bench needs around the shims, and the end of all of it: a folder, a root file system, a stand-in for the daemon's
// event service, and the list of shims that live. Whatever it started is ended by pid and removed, also after a failure.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EventSink } from "../test/harness/event-sink.ts";
import { findInPath, repositoryDir } from "../test/harness/repository.ts";
import { makeRootfs } from "../test/harness/rootfs.ts";
import type { SceneNames } from "../test/harness/scene-names.ts";
import { within } from "../test/harness/until.ts";
import { BenchShim } from "./bench-shim.ts";
import { copySide, type Side } from "./side.ts";

const runcRoot = "/run/containerd/runc";
const cgroupRoot = "/sys/fs/cgroup";
const exitWithinMs = 20_000;

export class Stage implements SceneNames {
  readonly tag = randomBytes(4).toString("hex");
  readonly namespace = `moor-bench-${this.tag}`;
  readonly dir = mkdtempSync(join(tmpdir(), `moor-bench-${this.tag}-`));
  readonly rootfs = join(this.dir, "rootfs");
  readonly stopwatch = join(repositoryDir(), "build/bench/stopwatch");
  readonly sides: readonly Side[];
  /** Part of the sockets' names; no daemon is there. */
  readonly daemonAddress = join(this.dir, "daemon.sock");
  readonly #sink = new EventSink(`${this.daemonAddress}.ttrpc`);
  readonly #exitWaiters = new Map<string, (atMs: number) => void>();
  readonly #shims = new Set<BenchShim>();
  #count = 0;

  /** @param stock path of the stock shim; looked up in PATH by default. */
  constructor(stock = findInPath("containerd-shim-runc-v2")) {
    const moor = process.env["MOOR_TEST_SHIM"] ?? join(repositoryDir(), "build/containerd-shim-moor-v2");
    if (!existsSync(moor)) throw new Error(`${moor} is missing: run make build first`);
    if (stock === undefined) throw new Error("containerd-shim-runc-v2 is not in PATH: install containerd");
    this.sides = [copySide("moor", moor, this.dir), copySide("stock", stock, this.dir)];
  }

  async open(): Promise<void> {
    await makeRootfs(this.rootfs);
    this.#sink.onForward = ({ topic, processId }) => {
      if (topic === "/tasks/exit") this.#exitWaiters.get(processId)?.(performance.now());
    };
    await this.#sink.open();
    execFileSync("sync");
  }

  /** A shim in a bundle of its own, whose container shall run `args`; nothing runs yet. */
  shim(side: Side, args: readonly string[]): BenchShim {
    const shim = new BenchShim(this, side, `${side.name}-${this.#count++}-${this.tag}`, args);
    this.#shims.add(shim);
    return shim;
  }

  /** It has ended and its bundle is gone. */
  forget(shim: BenchShim): void {
    this.#shims.delete(shim);
  }

  /** When (performance.now()) the exit event of this process arrives. To be called before it can have ended. */
  exitEvent(processId: string): Promise<number> {
    const arrived = new Promise<number>((resolve) => this.#exitWaiters.set(processId, resolve));
    const seen = within(`the exit event of ${processId}`, exitWithinMs, arrived);
    return seen.finally(() => this.#exitWaiters.delete(processId));
  }

  /** Both sides, once in this order and once in the other, so that a drift of the machine's hits both alike. */
  turn(round: number): readonly Side[] {
    return round % 2 === 0 ? this.sides : [...this.sides].reverse();
  }

  /** Ends what lives and removes everything. Never throws; returns what could not be removed. */
  async close(): Promise<string[]> {
    for (const shim of this.#shims) await shim.destroy();
    await this.#sink.close();
    const left: string[] = [];
    const folders = [join(runcRoot, this.namespace), ...this.#cgroups()];
    for (const folder of folders) {
      if (!existsSync(folder)) continue;
      try {
        rmdirSync(folder);
      } catch (thrown) {
        left.push(`${folder}: ${String(thrown)}`);
      }
    }
    rmSync(this.dir, { recursive: true, force: true });
    return left;
  }

  #cgroups(): string[] {
    if (!existsSync(cgroupRoot)) return [];
    return ["", ...readdirSync(cgroupRoot)].map((controller) => join(cgroupRoot, controller, this.namespace));
  }
}
