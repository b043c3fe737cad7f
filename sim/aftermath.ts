// What comes after a shim that was killed: the daemon calls `delete` for each container, which runs here as a process of
// its own on the same simulated machine, and is held to its answer and to leaving nothing.

import { DeleteResponse } from "../src/api/task.ts";
import { deleteContainer } from "../src/shim/delete.ts";
import type { Sys } from "../src/sys/sys.d.ts";
import { Description, runtimeRoot } from "./files.ts";
import type { Kernel } from "./kernel.ts";
import type { Observer, Told } from "./observer.ts";
import type { FakeRuntime } from "./runtime.ts";
import { socketPath } from "./shim.ts";

/** What a daemon gives it. */
const withinMs = 5_000;
/** Of a container whose end nobody knows. */
const unknownStatus = 137;

export interface DeleteRun {
  readonly kernel: Kernel;
  readonly id: string;
  readonly bundle: string;
  /** The exit that was told, and is to be answered; undefined: anything may be. */
  readonly told: Told | undefined;
  readonly observer: Observer;
  readonly note: ((text: string) => void) | undefined;
  readonly broken: (text: string) => void;
}

/** Runs `delete` from its start to its exit. */
export async function runDelete({ kernel, id, bundle, told, observer, note, broken }: DeleteRun): Promise<void> {
  kernel.fds.set(2, new Description("device", "standard error").share());
  const sys: Sys = { ...kernel.sys, args: [], environ: [] };
  const args = { action: "delete", namespace: "sim", id, address: "/run/daemon.sock", bundle } as const;
  const startedMs = kernel.timeline.nowMs;
  const answer = DeleteResponse.decode(await deleteContainer(sys, { ...args, publishBinary: "", debug: false }));
  const tookMs = kernel.timeline.nowMs - startedMs;
  kernel.endProcess();
  const { exitStatus, exitedAt, pid } = answer;
  const at = `${exitedAt?.seconds}.${exitedAt?.nanos}`;
  note?.(`delete ${id}: status ${exitStatus}, pid ${pid}`);
  if (tookMs > withinMs) broken(`delete ${id} took ${Math.round(tookMs)} ms`);
  if (told !== undefined && (told.status !== exitStatus || told.pid !== pid || told.at !== at))
    broken(
      `delete ${id} answers ${exitStatus}, pid ${pid}, ${at}; told was ${told.status}, pid ${told.pid}, ${told.at}`,
    );
  // It may have been seen and recorded, and not told.
  if (told === undefined && exitStatus !== unknownStatus && !observer.statusesOf(id, pid).includes(exitStatus))
    broken(`delete ${id} answers ${exitStatus}, pid ${pid}, and no process ended so`);
}

/**
 * What should be gone after `delete`.
 * @param runtime undefined when it was of no use: then what it has written down is its own.
 */
export function examineRemains(kernel: Kernel, runtime: FakeRuntime | undefined, id: string, bundle: string): string[] {
  const { files, mounts, processes } = kernel;
  const left: string[] = [];
  if (runtime?.containers.has(id) === true) left.push(`the runtime has ${id}`);
  for (const { what } of processes.livingIn(id)) left.push(`process ${what}`);
  for (const path of files.paths()) {
    if (path.startsWith("/sys/fs/cgroup/") && path.endsWith(`/${id}`)) left.push(path);
    if (runtime !== undefined && path === `${runtimeRoot}/${id}`) left.push(path);
  }
  // Else its Create has not come so far, and `delete` looks where `start` would have put it.
  if (files.get(`${bundle}/address`) !== undefined && files.get(socketPath) !== undefined) left.push(socketPath);
  for (const point of mounts.points) if (point.startsWith(`${bundle}/`)) left.push(`mount at ${point}`);
  return left;
}
