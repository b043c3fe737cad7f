// Nothing may be left: no process, mount, cgroup, socket, FIFO, bundle or runtime state of a scene. Everything a scene
// makes carries the scene's tag in its name, path, arguments, environment or cgroup, so that others may use the machine
// at the same time.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { runOk } from "./command.ts";
import { meantDifference } from "./difference.ts";
import { markedProcesses } from "./processes.ts";
import type { SceneNames } from "./scene-names.ts";
import { until } from "./until.ts";

const SOCKET_DIR = "/run/containerd/s";
const FIFO_DIR = "/run/containerd/fifo";
const RUNC_ROOT = "/run/containerd/runc";
const CGROUP_ROOT = "/sys/fs/cgroup";
/** How long the daemon and the shims may take to clean up after the last call. */
const SETTLE_MS = 5_000;
const EMPTY_FOR_MS = 2_000;

/** Whose leaks are looked for: a scene, or another stage that makes containers under a tag. */
export interface LeakScope extends SceneNames {
  /** Containers and groups. */
  readonly ids: readonly string[];
  readonly dir: string;
  readonly fifoDir: string;
  /** Of a daemon that does not run only the address matters. */
  readonly daemon: {
    readonly isRunning: boolean;
    readonly pid: number;
    readonly address: string;
    readonly stateDir: string;
    readonly rootDir: string;
  };
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

/** The path of the socket that the shim of container or group `id` binds: the stock shim's and containerd's rule. */
export function shimSocketPath(daemonAddress: string, namespace: string, id: string): string {
  return join(
    SOCKET_DIR,
    createHash("sha256")
      .update(join(daemonAddress, namespace, id))
      .digest("hex"),
  );
}

/**
 * To be called once the shim of container or group `id` has been killed and cleaned up: Moor must have removed its
 * socket; the stock shim leaves it, and the leak check shall not stumble over that again.
 */
export async function expectNoStaleSocket(t: TestContext, scene: LeakScope, id: string): Promise<void> {
  const path = shimSocketPath(scene.daemon.address, scene.namespace, id);
  if (meantDifference(t, "no-socket-of-a-killed-shim")) {
    await until(`the socket of ${id} to be gone`, SETTLE_MS, () => !existsSync(path));
  } else rmSync(path, { force: true });
}

/** Where cgroups begin: the folder itself (version 2), and those in it (version 1). */
function hierarchies(): string[] {
  return [CGROUP_ROOT, ...list(CGROUP_ROOT).map((name) => join(CGROUP_ROOT, name))];
}

/** Every cgroup of the scene, all hierarchies, whether named after its namespace or holding its tag further down. */
export function sceneCgroups(namespace: string): string[] {
  const found: string[] = [];
  const walk = (dir: string): void => {
    for (const name of list(dir)) {
      const path = join(dir, name);
      // A cgroup may go while one looks.
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
      found.push(path);
      walk(path);
    }
  };
  for (const top of hierarchies()) {
    const dir = join(top, namespace);
    if (existsSync(dir)) walk(dir);
  }
  return found;
}

/** What of the scene's containers is there now, one line each; empty when everything is gone. */
export function findLeaks(scene: LeakScope): string[] {
  const { tag, namespace, daemon } = scene;
  const daemonPid = daemon.isRunning ? daemon.pid : 0;
  const leaks: string[] = [];
  for (const process of markedProcesses(tag)) {
    // What init has not got round to reaping is gone as far as a shim can see to it.
    if (process.state === "Z" && process.ppid === 1) continue;
    if (process.pid !== daemonPid) leaks.push(`process ${process.pid} ${process.state} ${process.argv.join(" ")}`);
  }
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    if (line.includes(tag)) leaks.push(`mount ${line}`);
  }
  for (const dir of sceneCgroups(namespace)) leaks.push(`cgroup ${dir}`);
  const sockets = new Set(list(SOCKET_DIR));
  for (const id of scene.ids) {
    const path = shimSocketPath(daemon.address, namespace, id);
    if (sockets.has(path.slice(SOCKET_DIR.length + 1))) leaks.push(`socket of ${id}: ${path}`);
  }
  for (const dir of list(FIFO_DIR)) {
    for (const name of list(join(FIFO_DIR, dir))) {
      if (name.includes(tag)) leaks.push(`FIFO ${join(FIFO_DIR, dir, name)}`);
    }
  }
  for (const id of list(join(RUNC_ROOT, namespace))) {
    // crun keeps an empty folder there, for all containers together.
    if (id !== ".empty-directory") leaks.push(`runtime state of ${id}`);
  }
  for (const base of [daemon.stateDir, daemon.rootDir]) {
    const bundles = join(base, "io.containerd.runtime.v2.task", namespace);
    // containerd itself renames a bundle before it removes it, and passes such a one over when it was killed in between.
    const left = list(bundles).filter((id) => !id.startsWith("."));
    for (const id of left) leaks.push(`bundle ${join(bundles, id)}`);
  }
  for (const name of list(join(scene.dir, "tmp"))) {
    // containerd 1.6 itself leaves the folder into which it unpacks a checkpoint.
    if (!name.startsWith("ctrd-checkpoint")) leaks.push(`temporary file ${name}`);
  }
  for (const name of list(scene.fifoDir)) leaks.push(`FIFO of the client ${name}`);
  return leaks;
}

/** @throws Error naming what is still there after a bounded wait. */
export async function assertNothingLeft(scene: LeakScope): Promise<void> {
  await until(
    "everything of the tests to be gone",
    SETTLE_MS,
    () => findLeaks(scene).length === 0,
    () => `left over:\n${findLeaks(scene).join("\n")}`,
  );
}

/** Ends and removes whatever is left, so that a failed test does not disturb the machine. Called once leaks are told. */
export async function clearAway(scene: LeakScope): Promise<void> {
  const killed = (): boolean => {
    const left = markedProcesses(scene.tag).filter((info) => info.state !== "Z");
    for (const info of left) {
      try {
        process.kill(info.pid, "SIGKILL");
      } catch {
        // It ended by itself meanwhile.
      }
    }
    return left.length === 0;
  };
  for (const top of hierarchies()) thawAll(join(top, scene.namespace));
  await until("the scene's processes to end", SETTLE_MS, killed).catch(() => undefined);
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  for (const line of mounts.filter((text) => text.includes(scene.tag)).reverse()) {
    const target = line.split(" ")[4];
    if (target !== undefined) await runOk(["umount", "-l", target]).catch(() => undefined);
  }
  for (const dir of sceneCgroups(scene.namespace).reverse()) removeFolder(dir);
  for (const top of hierarchies()) removeFolder(join(top, scene.namespace));
  for (const id of scene.ids) rmSync(shimSocketPath(scene.daemon.address, scene.namespace, id), { force: true });
  rmSync(join(RUNC_ROOT, scene.namespace), { recursive: true, force: true });
  removeCtrFifos(scene);
  removeEmptyFifoFolders();
}

/** Removes the FIFOs of ctr's that are left when it ran detached and something else deleted the process. */
export function removeCtrFifos(scene: LeakScope): void {
  for (const dir of list(FIFO_DIR)) {
    for (const name of list(join(FIFO_DIR, dir))) {
      if (name.includes(scene.tag)) rmSync(join(FIFO_DIR, dir, name), { force: true });
    }
  }
}

/** A ctr that is killed leaves its FIFO folder; those that have been empty for a while are nobody's. */
function removeEmptyFifoFolders(): void {
  for (const name of list(FIFO_DIR)) {
    const dir = join(FIFO_DIR, name);
    const changedMs = statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - changedMs > EMPTY_FOR_MS && list(dir).length === 0) removeFolder(dir);
  }
}

function thawAll(dir: string): void {
  // A process in a frozen cgroup (v1) does not even die of SIGKILL.
  for (const name of list(dir)) {
    const state = join(dir, name, "freezer.state");
    if (existsSync(state)) writeQuietly(state, "THAWED");
    const frozen = join(dir, name, "cgroup.freeze");
    if (existsSync(frozen)) writeQuietly(frozen, "0");
  }
}

function writeQuietly(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // The cgroup went away meanwhile.
  }
}

function removeFolder(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // Not there, or something is still in it: the leak check has said so already.
  }
}
