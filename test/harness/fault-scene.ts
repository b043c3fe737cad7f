// What the fault tests share: a stage without a daemon but with somebody who takes the events, what is left of one
// container on the machine, and the small requests that their containers are made with.

import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DeleteResponse } from "../../src/api/task.ts";
import { type ActionOptions, type DirectShim, shimAction } from "./direct-shim.ts";
import { EventSink } from "./event-sink.ts";
import { FifoReader, makeFifo, type Reading } from "./fifo.ts";
import { sceneCgroups } from "./leaks.ts";
import { type OciSpec, ociProcess } from "./oci-spec.ts";
import { markedProcesses } from "./processes.ts";
import { type Scene, useScene } from "./scene.ts";
import { until } from "./until.ts";

const PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";

export interface FaultScene {
  readonly scene: Scene;
  /** Usable inside tests only. */
  readonly sink: () => EventSink;
}

/** The scene of a test file, with a sink for events in the place of the daemon's. */
export function useFaultScene(): FaultScene {
  let sink: EventSink | undefined;
  const scene = useScene({
    withoutDaemon: true,
    prepare: async (opened) => {
      const opening = new EventSink(`${opened.daemon.address}.ttrpc`);
      opened.onClose(() => void opening.close());
      await opening.open();
      sink = opening;
    },
  });
  const opened = (): EventSink => {
    if (sink === undefined) throw new Error("the scene is not open yet");
    return sink;
  };
  return { scene, sink: opened };
}

/** The spec of an exec that runs this. */
export function execSpec(...args: string[]): { typeUrl: string; value: Uint8Array } {
  return { typeUrl: PROCESS_TYPE, value: new TextEncoder().encode(JSON.stringify(ociProcess(args))) };
}

/** Has the container's root file system where the shim mounts it. */
export function ownRootfs(spec: OciSpec): void {
  spec.root.path = "rootfs";
}

/** What Create needs for that. */
export function withMount(scene: Scene) {
  return { rootfs: [{ type: "bind", source: scene.rootfs, target: "", options: ["rbind", "rw"] }] };
}

/** What is left of one container on the machine, in words; "" when nothing is. */
export function leftOf(scene: Scene, shim: Pick<DirectShim, "id" | "socketPath">): string {
  // An orphan that has ended is for the machine's own init to reap, which takes its time on some.
  const processes = markedProcesses(shim.id).filter(({ state, ppid }) => state !== "Z" || ppid !== 1);
  const left = processes.map(({ pid, argv }) => `process ${pid} ${argv.join(" ")}`);
  left.push(...sceneCgroups(scene.namespace).filter((dir) => dir.includes(shim.id)));
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  left.push(...mounts.filter((line) => line.includes(shim.id)));
  const state = `/run/containerd/runc/${scene.namespace}/${shim.id}`;
  for (const path of [shim.socketPath, state]) if (existsSync(path)) left.push(path);
  return left.join("\n");
}

/** Waits until nothing is left of the container. @throws Error saying what is. */
export async function nothingIsLeft(scene: Scene, shim: Pick<DirectShim, "id" | "socketPath">): Promise<void> {
  await until(
    "all of it to be gone",
    5_000,
    () => leftOf(scene, shim) === "",
    () => leftOf(scene, shim),
  );
}

export async function onlyTheShimIsLeft(scene: Scene, shim: DirectShim): Promise<void> {
  const shimsOwn = [shim.socketPath, `process ${await shim.shimPid()} `];
  const others = (): string[] =>
    leftOf(scene, shim)
      .split("\n")
      .filter((line) => line !== "" && !shimsOwn.some((own) => line.startsWith(own)));
  await until(
    "what was half made to be gone",
    5_000,
    () => others().length === 0,
    () => others().join("\n"),
  );
}

/** Runs the action `delete` as the daemon does when a shim has died. */
export async function deleteRemains(
  scene: Scene,
  { bundle }: Pick<DirectShim, "bundle">,
  options: ActionOptions = {},
): Promise<DeleteResponse> {
  const result = await shimAction(scene, bundle, ["-bundle", bundle.dir, "delete"], options);
  assert.equal(result.status, 0, result.stderr);
  return DeleteResponse.decode(result.stdoutBytes);
}

/** A FIFO of the client's and its reader. */
export function fifoReader(
  scene: Scene,
  name: string,
  keep: boolean,
  reading: Reading = "quick",
): { path: string; fifo: FifoReader; remove: () => void } {
  const path = join(scene.fifoDir, name);
  makeFifo(path);
  const fifo = new FifoReader(path, keep, reading);
  const remove = (): void => {
    fifo.close();
    rmSync(path, { force: true });
  };
  scene.onClose(remove);
  return { path, fifo, remove };
}
