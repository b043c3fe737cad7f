// Delete and Shutdown: what they answer, what they refuse, and what is gone after them.

import { existsSync, statSync } from "node:fs";
import { Status } from "../../src/api/process.ts";
import { isAlive } from "../../test/harness/processes.ts";
import { StatusError } from "../../test/harness/raw-ttrpc.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, Code, demand, refused, same } from "../case.ts";

export const deleteCases: readonly Case[] = [
  {
    id: "delete.running",
    title: "Delete of a running container",
    demand: "FailedPrecondition, and it runs on.",
    why: "A container without a record cannot be ended any more.",
    source: "containerd runc shim: init_state.go, runningState",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await refused("Delete of a running container", shim.call("Delete"), Code.FAILED_PRECONDITION);
      same("State of it", (await shim.call("State")).status, Status.RUNNING);
    },
  },
  {
    id: "delete.created",
    title: "Delete before Start",
    demand:
      "Delete of a created container ends and removes it, or is refused with FailedPrecondition and a Kill makes it possible.",
    why: "A pod that is deleted while it starts.",
    source: "containerd runc shim: init_state.go, createdState",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"]);
      const { pid } = await shim.create();
      const first = await shim.call("Delete").catch((cause: unknown) => cause);
      if (first instanceof StatusError) {
        same("the code of the refusal", first.code, Code.FAILED_PRECONDITION);
        await shim.call("Kill", { signal: 9 });
        await shim.call("Wait");
        await shim.call("Delete");
      }
      await until("init to be gone", 5_000, () => !isAlive(pid));
      await refused("State after Delete", shim.call("State"), Code.NOT_FOUND);
    },
  },
  {
    id: "delete.twice",
    title: "Delete again",
    demand: "A second Delete is NotFound.",
    why: "Daemons repeat it after a timeout and take NotFound for done.",
    source: "containerd client: task.Delete ignores NotFound",
    async run(ground) {
      const shim = await ground.run(["/bin/true"]);
      await shim.call("Wait");
      await shim.call("Delete");
      await refused("a second Delete", shim.call("Delete"), Code.NOT_FOUND);
    },
  },
  {
    id: "delete.at-once",
    title: "Deletes at once",
    demand: "Of six Deletes at once each succeeds with the same status or is NotFound, and TaskDelete is told once.",
    why: "Daemon and garbage collector meet.",
    source: "api/runtime/task/v2/shim.proto",
    async run(ground) {
      const shim = await ground.run(["/bin/sh", "-c", "exit 6"]);
      await shim.call("Wait");
      const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => shim.call("Delete")));
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled") same("the status of a Delete", outcome.value.exitStatus, 6);
        else same("the code of a refused Delete", (outcome.reason as StatusError).code, Code.NOT_FOUND);
      }
      demand(
        outcomes.some(({ status }) => status === "fulfilled"),
        "none of them succeeds",
      );
      await ground.untilEvent(shim.id, "delete");
      const other = await ground.run(["/bin/true"]);
      await other.call("Wait");
      await ground.untilEvent(other.id, "exit");
      const told = ground.topicsOf(shim.id).filter((topic) => topic === "delete");
      same("the number of TaskDelete", told.length, 1);
    },
  },
  {
    id: "delete.shutdown-with-containers",
    title: "Shutdown with a container in the shim",
    demand: "It is a success that does nothing, or a refusal: shim and container live on.",
    why: "The daemon sends it when one of a pod's containers is deleted.",
    source: "containerd runc shim: Shutdown returns when containers are left",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const { pid } = await shim.call("State");
      await shim.call("Shutdown", { now: true }).catch(() => undefined);
      same("State after Shutdown", (await shim.call("State")).status, Status.RUNNING);
      demand(isAlive(pid), "the container is gone");
    },
  },
  {
    id: "delete.shutdown",
    title: "Shutdown of an empty shim",
    demand: "After the last Delete, Shutdown ends the process within 3 s and removes the socket.",
    why: "Shims and sockets that stay pile up.",
    source: "reports containerd#12344, #10192, #5173; containerd gives Shutdown 3 s",
    async run(ground) {
      const shim = await ground.run(["/bin/true"]);
      const pid = await shim.pid();
      await shim.call("Wait");
      await shim.call("Delete");
      await shim.call("Shutdown").catch(() => undefined);
      await until("the shim to end", 3_000, () => !isAlive(pid));
      const { socketPath } = shim.answer;
      demand(!existsSync(socketPath), "the socket is left");
    },
  },
  {
    id: "delete.shutdown-before-create",
    title: "Shutdown before any Create",
    demand: "A shim in which nothing was created goes when it is told.",
    why: "A Create that failed leaves one.",
    source: "report containerd#6860",
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const pid = await shim.pid();
      await shim.call("Shutdown").catch(() => undefined);
      await until("the shim to end", 3_000, () => !isAlive(pid));
    },
  },
  {
    id: "delete.abandoned",
    title: "A shim that nobody comes back to",
    demand:
      "A shim without a container whose caller is gone leaves by itself, after 30 s at the earliest and 100 s at the latest.",
    why: "The daemon died between start and Create: an empty shim lived on for ever.",
    source: "report containerd#6860",
    isSlow: true,
    limitMs: 120_000,
    async run(ground) {
      const shim = await ground.start(["/bin/true"]);
      const pid = await shim.pid();
      shim.client.close();
      const began = performance.now();
      await until("the abandoned shim to leave", 100_000, () => !isAlive(pid));
      demand(performance.now() - began > 30_000, "it leaves so soon that a slow daemon could not have come back");
      demand(statSync(shim.answer.socketPath, { throwIfNoEntry: false }) === undefined, "the socket is left");
    },
  },
  {
    id: "delete.sigterm",
    title: "SIGTERM to a shim with a container",
    demand: "The container lives on, and its exit is still told.",
    why: "A stray SIGTERM (a unit that is stopped, a script) force-deletes every container of a pod otherwise.",
    source: "reports containerd#5502, moby#41831",
    async run(ground) {
      const shim = await ground.run(["/bin/sh", "-c", "trap 'exit 9' USR1; while :; do sleep 0.02; done"]);
      const { pid } = await shim.call("State");
      const shimPid = await shim.pid();
      process.kill(shimPid, "SIGTERM");
      // Long enough for one that leaves.
      for (let i = 0; i < 20; i++) await shim.call("State", {}, { deadlineMs: 3_000 }).catch(() => undefined);
      demand(isAlive(shimPid), "the shim ends at once, and containerd then ends its containers");
      demand(isAlive(pid), "the container is gone at once");
      await shim.call("Kill", { signal: 10 });
      const exit = await ground.untilEvent(shim.id, "exit");
      same("the status that is told", exit.fields["exitStatus"], 9);
    },
  },
];
