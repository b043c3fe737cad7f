// Kill: whom it reaches, and the codes by which clients decide whether to wait, to retry or to give up.

import { Status } from "../../src/api/process.ts";
import { isAlive } from "../../test/harness/processes.ts";
import { until } from "../../test/harness/until.ts";
import { Code, type Case, demand, refused, same } from "../case.ts";

export const killCases: readonly Case[] = [
  {
    id: "kill.one",
    title: "A signal reaches the process it names",
    demand: "Signals 1, 10, 36 and 64 reach the exec or init they are sent to and no other process.",
    why: "A reload or dump signal to one process must not end another.",
    source: "api/runtime/task/v2/shim.proto, KillRequest",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "signals"]);
      const init = await shim.runInit({ output: "text" });
      await init.out.untilText(/ready/);
      const exec = await shim.exec(["/bin/payload", "signals"], { output: "text" });
      await exec.out.untilText(/ready/);
      for (const signal of [1, 10, 36, 64]) {
        await exec.kill(signal);
        await exec.out.untilText(new RegExp(`signal ${signal}\n`), 3_000);
      }
      same("what init saw", init.out.text(), "ready\n");
      await init.kill(12);
      await init.out.untilText(/signal 12\n/, 3_000);
      await exec.kill(15);
      same("the exec's status", (await exec.wait()).exitStatus, 15);
    },
  },
  {
    id: "kill.exited",
    title: "Kill of what has exited",
    demand: "NotFound, at once, for an exec and an init that have exited, and after Delete; Wait answers.",
    why: "Clients stop on NotFound; on any other code daemons tried for ever.",
    source: "report containerd#4016; moby and CRI test for NotFound",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.exec(["/bin/true"]);
      await exec.wait();
      await refused("Kill of an exited exec", exec.kill(9), Code.NOT_FOUND);
      await exec.delete();
      await refused("Kill of a deleted exec", exec.kill(9), Code.NOT_FOUND);
      await shim.call("Kill", { signal: 9 });
      await shim.call("Wait");
      await refused("Kill of an exited container", shim.call("Kill", { signal: 9 }), Code.NOT_FOUND);
      same("Wait after it", (await shim.call("Wait", {}, { deadlineMs: 1_000 })).exitStatus, 137);
      await shim.call("Delete");
      await refused("Kill of a deleted container", shim.call("Kill", { signal: 9 }), Code.NOT_FOUND);
    },
  },
  {
    id: "kill.unknown",
    title: "Kill of what was never there",
    demand: "NotFound for an unknown container and an unknown exec.",
    why: "The same.",
    source: "containerd errdefs; api/runtime/task/v2/shim.proto",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await refused("Kill of an unknown container", shim.call("Kill", { id: "nobody", signal: 9 }), Code.NOT_FOUND);
      await refused("Kill of an unknown exec", shim.call("Kill", { execId: "none", signal: 9 }), Code.NOT_FOUND);
    },
  },
  {
    id: "kill.exec-not-started",
    title: "Kill of an exec that was not started",
    demand: "FailedPrecondition, and the exec can still be started.",
    why: "On NotFound clients of 1.6 wait for an exit that never comes.",
    source: "containerd runc shim: exec_state.go, createdState",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.addExec(["/bin/sh", "-c", "exit 2"]);
      await refused("Kill of an exec that was not started", exec.kill(9), Code.FAILED_PRECONDITION);
      await exec.start();
      same("its status", (await exec.wait()).exitStatus, 2);
    },
  },
  {
    id: "kill.created",
    title: "Kill before Start",
    demand: "SIGKILL ends a created init; Wait answers 137, the exit is told, Delete works.",
    why: "A pod may be deleted while it starts.",
    source: "containerd runc shim: init_state.go, createdState",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"]);
      await shim.create();
      await shim.call("Kill", { signal: 9 });
      same("the status", (await shim.call("Wait")).exitStatus, 137);
      await ground.untilEvent(shim.id, "exit");
      same("the status of Delete", (await shim.call("Delete")).exitStatus, 137);
    },
  },
  {
    id: "kill.paused",
    title: "SIGKILL of a paused container",
    demand: "SIGKILL ends a paused container.",
    why: "With cgroup version 1 a frozen process does not die until it is thawed; a stuck pod.",
    source: "runc kill thaws; kernel Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await shim.call("Pause");
      await shim.call("Kill", { signal: 9 });
      same("the status", (await shim.call("Wait", {}, { deadlineMs: 5_000 })).exitStatus, 137);
      await shim.call("Delete");
    },
  },
  {
    id: "kill.all",
    title: "Kill of all processes",
    demand: "`all` reaches init, its children and the execs; each exec's exit is told.",
    why: "A container in the host's pid namespace lives on in its children otherwise.",
    source: "api/runtime/task/v2/shim.proto, KillRequest.all",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "forks", "3"], (spec) => {
        spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
      });
      const init = await shim.runInit({ output: "text" });
      await init.out.untilText(/ready/);
      const exec = await shim.exec(["/bin/sleep", "1000"]);
      const { processes } = await shim.call("Pids");
      same("the number of processes", processes.length, 5);
      await init.kill(9, true);
      same("the status of init", (await init.wait()).exitStatus, 137);
      same("the status of the exec", (await exec.wait()).exitStatus, 137);
      await until("all processes to be gone", 5_000, () => processes.every(({ pid }) => !isAlive(pid)));
    },
  },
  {
    id: "kill.all-of-an-exec",
    title: "`all` with an exec's id",
    demand: "It concerns that exec; the container runs on.",
    why: "The CRI plugin and nerdctl send it for execs.",
    source: "containerd runc shim: exec.go ignores all",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.exec(["/bin/sleep", "1000"]);
      await exec.kill(9, true);
      same("the exec's status", (await exec.wait()).exitStatus, 137);
      same("State of the container", (await shim.call("State")).status, Status.RUNNING);
    },
  },
  {
    id: "kill.rest-of-a-shared-pid-namespace",
    title: "The rest of a container whose init has gone",
    demand: "In a container without a pid namespace of its own, what is left is killed when init exits.",
    why: "Otherwise processes without a container live on, out of anyone's sight.",
    source: "containerd runc shim: ShouldKillAllOnExit",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "forks", "3"], (spec) => {
        spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
      });
      const init = await shim.runInit({ output: "text" });
      await init.out.untilText(/ready/);
      const { processes } = await shim.call("Pids");
      await init.kill(9);
      same("the status of init", (await init.wait()).exitStatus, 137);
      await until("its children to be gone", 5_000, () => processes.every(({ pid }) => !isAlive(pid)));
    },
  },
  {
    id: "kill.signal-0",
    title: "Signal 0",
    demand: "Signal 0 to a running process succeeds and does nothing.",
    why: "Clients ask by it whether a process lives.",
    source: "kill(2)",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await shim.call("Kill", { signal: 0 });
      same("State after it", (await shim.call("State")).status, Status.RUNNING);
    },
  },
  {
    id: "kill.out-of-range",
    title: "A signal that is none",
    demand: "Signal 65 or 100000 is refused with InvalidArgument, and the container runs on.",
    why: "A client's error must not look like a container's.",
    source: "signal(7); gRPC status codes",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      for (const signal of [65, 100_000]) {
        await refused(`Kill with signal ${signal}`, shim.call("Kill", { signal }), Code.INVALID_ARGUMENT);
      }
      demand((await shim.call("State")).status === Status.RUNNING, "the container does not run any more");
    },
  },
];
