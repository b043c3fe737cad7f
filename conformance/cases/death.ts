// The shim is killed: what the `delete` action must clean up and what it must answer.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DeleteResponse } from "../../src/api/task.ts";
import { findLeaks } from "../../test/harness/leaks.ts";
import { isAlive } from "../../test/harness/processes.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, demand, same, shorten } from "../case.ts";
import type { Ground } from "../ground.ts";
import type { Shim } from "../shim.ts";
import { bindOf, mountsBelow } from "./life.ts";

/** Kills the shim and runs `delete`. */
async function killAndDelete(shim: Shim): Promise<DeleteResponse> {
  await shim.kill();
  shim.isEnded();
  return await deleteAnswer(shim);
}

async function deleteAnswer(shim: Shim): Promise<DeleteResponse> {
  const { status, stdoutBytes, stderr } = await shim.deleteAction();
  demand(status === 0, () => `the delete action exits ${status}: "${shorten(lastLine(stderr))}"`);
  return DeleteResponse.decode(stdoutBytes);
}

/** The line that says why; those before it may be the shim's log. */
function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

/** What `delete` must have removed, but for the socket, which is another case's. */
async function demandGone(ground: Ground, pids: readonly number[]): Promise<void> {
  const left = (): string[] => findLeaks(ground).filter((leak) => !leak.startsWith("socket"));
  await until("the processes to be gone", 5_000, () => pids.every((pid) => !isAlive(pid)));
  await until(
    "everything to be gone",
    3_000,
    () => left().length === 0,
    () => left().join("; "),
  ).catch(() => undefined);
  demand(left().length === 0, () => `after delete there is left: ${shorten(left().join("; "))}`);
}

export const deathCases: readonly Case[] = [
  {
    id: "death.running",
    title: "Killed with a running container",
    demand: "`delete` ends all processes of the container and removes its cgroups and the runtime's record.",
    why: "Processes without a shim hold ports, memory and locks.",
    source: "reports containerd#768, #2078; containerd runtime/v2/binary.go: Delete",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "forks", "2"]);
      const init = await shim.runInit({ output: "text" });
      await init.out.untilText(/ready/);
      await shim.exec(["/bin/sleep", "1000"]);
      const { processes } = await shim.call("Pids");
      await killAndDelete(shim);
      shim.forget();
      await demandGone(
        ground,
        processes.map(({ pid }) => pid),
      );
    },
  },
  {
    id: "death.answer",
    title: "What delete answers then",
    demand: "Standard output is a DeleteResponse with status 137 and a time, within 5 s.",
    why: "The daemon publishes this exit in the shim's name.",
    source: "containerd runtime/v2/shim.go: cleanupAfterDeadShim; shim.Cleanup timeout 5 s",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await shim.kill();
      shim.isEnded();
      const began = performance.now();
      const answer = await deleteAnswer(shim);
      const ms = Math.round(performance.now() - began);
      same("the status", answer.exitStatus, 137);
      demand((answer.exitedAt?.seconds ?? 0n) > 1_600_000_000n, "it tells no time");
      demand(ms < 5_000, `delete took ${ms} ms`);
    },
  },
  {
    id: "death.known-status",
    title: "A status that was known",
    demand: "When the container had exited before the shim was killed, `delete` answers that status and not 137.",
    why: "A job that succeeded is reported as failed and run again.",
    source: "report containerd#8381",
    async run(ground) {
      const shim = await ground.run(["/bin/sh", "-c", "exit 42"]);
      await shim.call("Wait");
      same("the status", (await killAndDelete(shim)).exitStatus, 42);
    },
  },
  {
    id: "death.created",
    title: "Killed between Create and Start",
    demand: "`delete` removes the created init and all else.",
    why: "Nobody else will.",
    source: "report containerd#2078",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"]);
      const { pid } = await shim.create();
      await killAndDelete(shim);
      await demandGone(ground, [pid]);
    },
  },
  {
    id: "death.before-create",
    title: "Killed before Create",
    demand: "`delete` of a bundle in which nothing was created succeeds.",
    why: "The daemon calls it after each start that failed, and keeps the bundle when it fails.",
    source: "containerd runtime/v2/manager.go: cleanup after a failed start",
    async run(ground) {
      await killAndDelete(await ground.start(["/bin/true"]));
      await demandGone(ground, []);
    },
  },
  {
    id: "death.paused",
    title: "Killed with a paused container",
    demand: "`delete` ends it.",
    why: "Frozen processes (cgroup version 1) do not even die of SIGKILL until they are thawed.",
    source: "kernel Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const { pid } = await shim.call("State");
      await shim.call("Pause");
      await killAndDelete(shim);
      await demandGone(ground, [pid]);
    },
  },
  {
    id: "death.mounts",
    title: "Mounts of a killed shim's container",
    demand: "`delete` unmounts the bundle's rootfs.",
    why: "Snapshots that stay mounted cannot be removed.",
    source: "report containerd#768",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"], (spec) => {
        spec.root.path = "rootfs";
      });
      await shim.create({}, { rootfs: [bindOf(ground)] });
      await shim.call("Start");
      await killAndDelete(shim);
      same("the mounts after delete", mountsBelow(shim.bundle.dir), []);
      demand(existsSync(join(ground.rootfs, "bin/busybox")), "the container's files are gone");
    },
  },
  {
    id: "death.socket",
    title: "The socket of a killed shim",
    demand: "`delete` removes the socket that nobody answers.",
    why: "They pile up, one for each shim that was ever killed.",
    source: "reports containerd#10192, #5173, #11292",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await killAndDelete(shim);
      demand(!existsSync(shim.answer.socketPath), "the socket is left");
    },
  },
  {
    id: "death.delete-twice",
    title: "delete again",
    demand: "A second `delete` succeeds too.",
    why: "The daemon repeats it after a restart.",
    source: "containerd runtime/v2/manager.go: cleanUpOrphanedShims",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await killAndDelete(shim);
      await deleteAnswer(shim);
    },
  },
  {
    id: "death.delete-beside-a-live-shim",
    title: "delete of one of a pod's containers",
    demand:
      "`delete` of a member that is gone already leaves the pod's shim, its socket and the other container as they were.",
    why: "containerd 1.6 calls it after each Delete of a member.",
    source: "containerd 1.6 runtime/v2/shim.go: Delete calls the binary always",
    async run(ground) {
      const inPod = ground.pod();
      const first = await ground.run(["/bin/sleep", "1000"], inPod);
      const second = await first.join(["/bin/true"], inPod);
      await second.create();
      await second.call("Start");
      await second.call("Wait");
      await second.call("Delete");
      await deleteAnswer(second);
      demand(existsSync(first.answer.socketPath), "the pod's socket is gone");
      demand(isAlive((await first.call("State")).pid), "the other container is gone");
      await (await ground.start(["/bin/true"], inPod)).call("Connect");
    },
  },
  {
    id: "death.temporary-files",
    title: "No temporary files",
    demand: "Neither a life in good order nor a killed shim and `delete` leave files in TMPDIR.",
    why: "They pile up until the disk or its inodes are used up.",
    source: "report containerd#12344; robustness",
    async run(ground) {
      const good = await ground.start(["/bin/true"], (spec) => {
        spec.process.terminal = true;
      });
      await good.runInit({ terminal: true, output: "text" });
      await good.call("Wait");
      await good.end();
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await killAndDelete(shim);
      same("the files in TMPDIR", readdirSync(join(ground.dir, "tmp")), []);
    },
  },
];
