// Execs: their life beside their container's, many at once, ids, and the end of their container.

import { Status } from "../../src/api/process.ts";
import { ociProcess } from "../../test/harness/oci-spec.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, Code, demand, refused, same, Shortfall } from "../case.ts";
import { processSpec } from "../shim.ts";

export const execCases: readonly Case[] = [
  {
    id: "exec.life",
    title: "An exec's life",
    demand:
      "Exec, Start, State, Wait and Delete of an exec answer with its own id, pid, streams and status; then it is NotFound, and the container runs on.",
    why: "Probes and `kubectl exec`.",
    source: "api/runtime/task/v2/shim.proto",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.addExec(["/bin/sh", "-c", "read x; exit 7"], { stdin: true, output: "text" });
      same("the status before Start", (await exec.state()).status, Status.CREATED);
      await exec.start();
      const { pid, status, stdout } = await exec.state();
      const wanted = { pid: exec.pid, status: Status.RUNNING, stdout: exec.request.stdout };
      same("State of the running exec", { pid, status, stdout }, wanted);
      await exec.stdin.open();
      await exec.stdin.write("line\n");
      same("the status of Wait", (await exec.wait()).exitStatus, 7);
      const stopped = await exec.state();
      same("State after the exit", [stopped.status, stopped.exitStatus], [Status.STOPPED, 7]);
      const deleted = await exec.delete();
      same("Delete", [deleted.pid, deleted.exitStatus], [exec.pid, 7]);
      await refused("State of a deleted exec", exec.state(), Code.NOT_FOUND);
      same("State of the container", (await shim.call("State")).status, Status.RUNNING);
    },
  },
  {
    id: "exec.a-hundred-at-once",
    title: "100 execs at once",
    demand:
      "100 execs that are added, started, read, awaited and deleted concurrently each have their own status and output; State answers within 5 s throughout.",
    why: "Dozens of health checks at once hung shims for good.",
    source: "reports containerd#2709, moby#41093, containerd#4509",
    limitMs: 60_000,
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      let isOver = false;
      let ended = 0;
      const asking = (async (): Promise<void> => {
        while (!isOver) await shim.call("State", {}, { deadlineMs: 5_000 });
      })();
      asking.catch(() => undefined);
      const execs = Array.from({ length: 100 }, async (_, i) => {
        const exec = await shim.addExec(["/bin/sh", "-c", `echo number ${i}; exit ${i}`], { output: "text" });
        exec.pid = (await shim.call("Start", { execId: exec.execId }, { deadlineMs: 60_000 })).pid;
        same(`the status of exec ${i}`, (await exec.wait(60_000)).exitStatus, i);
        same(`the output of exec ${i}`, await exec.out.allText(), `number ${i}\n`);
        await exec.delete();
        ended++;
      });
      const all = Promise.all(execs);
      all.catch(() => undefined);
      await Promise.race([all, until("100 execs to end", 45_000, () => ended === 100)]).catch((cause: unknown) => {
        throw new Shortfall(`of 100 execs ${ended} have come to their end: ${(cause as Error).message}`);
      });
      isOver = true;
      await asking;
      same("the processes that are left", (await shim.call("Pids")).processes.length, 1);
    },
  },
  {
    id: "exec.spec",
    title: "The process that was asked for",
    demand: "Arguments, environment, folder and user of the exec's spec are the process's.",
    why: "The spec is the client's only word on it.",
    source: "OCI runtime spec, config.md#process",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const script = 'echo "$WORD $(pwd) $(id -u):$(id -g) $0 $1"';
      const exec = await shim.addExec(["/bin/sh", "-c", script, "zero", "one two"], { output: "text" }, (process) => {
        process.env.push("WORD=given");
        process.cwd = "/tmp";
        process.user = { uid: 7, gid: 8 };
      });
      await exec.start();
      same("what the process is", await exec.out.allText(5_000), "given /tmp 7:8 zero one two\n");
    },
  },
  {
    id: "exec.same-id",
    title: "An id that is taken",
    demand: "An exec with the id of one that is there is AlreadyExists, and the first one is as it was.",
    why: "Two processes of one name cannot be told apart.",
    source: "containerd errdefs; runc shim: Container.Exec",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.exec(["/bin/sleep", "1000"]);
      const spec = { typeUrl: "", value: new TextEncoder().encode("{}") };
      await refused("a second Exec of an id", shim.call("Exec", { execId: exec.execId, spec }), Code.ALREADY_EXISTS);
      same("State of the first", (await exec.state()).status, Status.RUNNING);
    },
  },
  {
    id: "exec.id-again",
    title: "An id that was deleted",
    demand: "After Delete the same id can be used again, and its Wait tells the new exit.",
    why: "Clients with fixed ids; records of the old one must not answer.",
    source: "api/runtime/task/v2/shim.proto",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      for (const code of [3, 4]) {
        const spec = processSpec(ociProcess(["/bin/sh", "-c", `exit ${code}`]));
        await shim.call("Exec", { execId: "again", spec });
        await shim.call("Start", { execId: "again" });
        same("the status", (await shim.call("Wait", { execId: "again" })).exitStatus, code);
        await shim.call("Delete", { execId: "again" });
      }
    },
  },
  {
    id: "exec.never-started",
    title: "An exec that is never started",
    demand: "It can be deleted; no exit is told of it.",
    why: "Clients that die between Exec and Start.",
    source: "containerd runc shim: exec_state.go",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.addExec(["/bin/true"]);
      await exec.delete();
      await refused("State of it", exec.state(), Code.NOT_FOUND);
      const other = await shim.exec(["/bin/true"]);
      await other.wait();
      await ground.untilEvent(shim.id, "exit", other.execId);
      const exits = ground.sink.events.filter(({ topic }) => topic === "/tasks/exit");
      same("the exits that are told", exits.length, 1);
    },
  },
  {
    id: "exec.delete-while-running",
    title: "Delete of a running exec",
    demand: "FailedPrecondition, and it runs on.",
    why: "A process without a record cannot be ended any more.",
    source: "containerd runc shim: exec_state.go, runningState",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.exec(["/bin/sleep", "1000"]);
      await refused("Delete of a running exec", exec.delete(), Code.FAILED_PRECONDITION);
      same("State of it", (await exec.state()).status, Status.RUNNING);
    },
  },
  {
    id: "exec.ends-with-its-container",
    title: "Wait of an exec whose container ends",
    demand: "When init is killed, Wait of its execs answers within 5 s (137).",
    why: "Whoever waits for an exec hangs otherwise.",
    source: "reports containerd#9719, #10589",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const execs = await Promise.all([1, 2, 3].map(() => shim.exec(["/bin/sleep", "1000"])));
      const waits = execs.map((exec) => exec.wait(5_000));
      await shim.call("Kill", { signal: 9 });
      for (const { exitStatus } of await Promise.all(waits)) same("the status of an exec", exitStatus, 137);
    },
  },
  {
    id: "exec.into-the-stopped",
    title: "Exec into a stopped container",
    demand: "Exec or its Start is refused; with FailedPrecondition or NotFound.",
    why: "Probes race with the container's end; an Unknown error is retried and alarmed.",
    source: "gRPC status codes; containerd errdefs",
    async run(ground) {
      const shim = await ground.run(["/bin/true"]);
      await shim.call("Wait");
      const attempt = (async (): Promise<void> => {
        const exec = await shim.addExec(["/bin/true"]);
        await exec.start();
      })();
      await refused("an exec into a stopped container", attempt, Code.FAILED_PRECONDITION, Code.NOT_FOUND);
      demand((await shim.call("State")).status === Status.STOPPED, "State changed");
    },
  },
];
