// Exit statuses: exact, told to everyone who waits, and the words by which 126 and 127 are made.

import { Status } from "../../src/api/process.ts";
import { callTask } from "../../test/harness/direct-shim.ts";
import { childrenOf } from "../../test/harness/processes.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, Code, demand, faultOf, refused, same, shorten } from "../case.ts";
import type { Ground } from "../ground.ts";
import type { Shim } from "../shim.ts";

/** The error of a container or exec whose command cannot be run. */
async function errorOfCommand(ground: Ground, command: string): Promise<string> {
  const shim = await ground.start([command]);
  const fault = await faultOf(`a container with the command ${command}`, createAndStart(shim));
  return fault.message;
}

async function createAndStart(shim: Shim): Promise<void> {
  await shim.create();
  await shim.call("Start");
}

export const exitCases: readonly Case[] = [
  {
    id: "exit.codes",
    title: "Exit codes",
    demand: "Codes 0, 1, 42, 125, 126, 127, 128 and 255 of execs, and one of init, arrive as they are.",
    why: "A job's success is its exit code.",
    source: "api/runtime/task/v2/shim.proto, WaitResponse",
    async run(ground) {
      const shim = await ground.run(["/bin/sh", "-c", "trap 'exit 77' TERM; while :; do sleep 0.02; done"]);
      for (const code of [0, 1, 42, 125, 126, 127, 128, 255]) {
        const exec = await shim.exec(["/bin/payload", "pattern", "0", String(code)]);
        same(`the status of an exec that exits ${code}`, (await exec.wait()).exitStatus, code);
        same("the status of its Delete", (await exec.delete()).exitStatus, code);
      }
      await shim.call("Kill", { signal: 15 });
      same("the status of an init that exits 77", (await shim.call("Wait")).exitStatus, 77);
    },
  },
  {
    id: "exit.signals",
    title: "Ended by a signal",
    demand: "A process that signal N ends has the status 128 + N.",
    why: "The convention of shells, docker and Kubernetes.",
    source: "containerd go-runc and sys/reaper: exitSignalOffset 128",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      for (const signal of [1, 6, 9, 11, 15, 34, 64]) {
        const exec = await shim.exec(["/bin/payload", "signal", String(signal)]);
        same(`the status after signal ${signal}`, (await exec.wait()).exitStatus, 128 + signal);
        await exec.delete();
      }
    },
  },
  {
    id: "exit.at-once",
    title: "Processes that exit at once",
    demand:
      "20 execs that end before Start is answered each have their own status, and each a start before its exit in the events.",
    why: "The exit may be seen before its pid is known; such exits were lost or given to another process.",
    source: "containerd runc shim's preventive locking in task/service.go; report containerd#10589",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const codes = Array.from({ length: 20 }, (_, i) => i + 1);
      const run = async (code: number): Promise<void> => {
        const exec = await shim.exec(["/bin/payload", "pattern", "0", String(code)]);
        same(`the status of an exec that exits ${code}`, (await exec.wait()).exitStatus, code);
        await ground.untilEvent(shim.id, "exit", exec.execId);
        const topics = ground.sink.events
          .filter(({ processId }) => processId === exec.execId)
          .map(({ topic }) => topic.replace("/tasks/", ""));
        same(`the events of ${exec.execId}`, topics, ["exec-added", "exec-started", "exit"]);
        await exec.delete();
      };
      const queue = [...codes];
      const worker = async (): Promise<void> => {
        for (let code = queue.shift(); code !== undefined; code = queue.shift()) await run(code);
      };
      await Promise.all([worker(), worker(), worker(), worker()]);
    },
  },
  {
    id: "exit.wait-after",
    title: "Wait after the exit",
    demand: "Wait of a process that has exited is answered at once with the same answer, as often as it is asked.",
    why: "A daemon that comes back asks again.",
    source: "api/runtime/task/v2/shim.proto",
    async run(ground) {
      const shim = await ground.run(["/bin/sh", "-c", "exit 8"]);
      const first = await shim.call("Wait");
      for (let i = 0; i < 3; i++) same("a later Wait", await shim.call("Wait", {}, { deadlineMs: 1_000 }), first);
    },
  },
  {
    id: "exit.many-waits",
    title: "Many who wait",
    demand: "60 Waits over 20 connections are all answered; connections that are cut meanwhile disturb none.",
    why: "CRI, docker and monitoring wait for the same container, and repeat it.",
    source: "containerd CRI plugin: Wait is called concurrently and again after reconnects",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const clients = await Promise.all(Array.from({ length: 20 }, () => shim.reconnect()));
      const wait = (client: (typeof clients)[number]) =>
        callTask(client, "Wait", { id: shim.id }, shim.service, 15_000);
      const lost = clients.splice(0, 5);
      const forgotten = Promise.allSettled(lost.map(wait));
      const waits = [1, 2, 3, 4].flatMap(() => clients.map(wait));
      await shim.call("State");
      for (const client of lost) client.close();
      await forgotten;
      await shim.call("Kill", { signal: 9 });
      for (const { exitStatus } of await Promise.all(waits)) same("the status of a Wait", exitStatus, 137);
    },
  },
  {
    id: "exit.command-not-found",
    title: "A command that is not there (127)",
    demand:
      'Create or Start fails, and the error holds the runtime\'s words "executable file not found" or "no such file or directory".',
    why: "Docker makes the exit code 127 of these words.",
    source: "moby daemon/errors.go: translateContainerdStartErr",
    async run(ground) {
      const text = await errorOfCommand(ground, "no-such-command");
      demand(
        /executable file not found|no such file or directory/i.test(text),
        () => `the error is "${shorten(text)}"`,
      );
    },
  },
  {
    id: "exit.command-not-executable",
    title: "A command that cannot be executed (126)",
    demand:
      'Create or Start fails, and the error holds the runtime\'s words: "permission denied" of runc, "not executable" of crun.',
    why: "Docker makes the exit code 126 of runc's words.",
    source: "moby daemon/errors.go: translateContainerdStartErr",
    async run(ground) {
      const text = await errorOfCommand(ground, "/etc/passwd");
      demand(/permission denied|not executable/i.test(text), () => `the error is "${shorten(text)}"`);
    },
  },
  {
    id: "exit.exec-command-not-found",
    title: "An exec whose command is not there",
    demand:
      "Its Start fails with the runtime's words; no exec-started and no exit is told; Wait does not hang; Delete works; the container runs on.",
    why: "Probes with a wrong command are common; a Wait that hangs holds the kubelet's exec.",
    source: "containerd runc shim: exec start error; CRI execInContainer",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const exec = await shim.addExec(["no-such-command"]);
      const { message } = await faultOf("Start of an exec without command", exec.start());
      demand(/not found|no such file/i.test(message), () => `the error is "${shorten(message)}"`);
      await exec.wait(3_000).catch((cause: unknown) => {
        demand(!String(cause).includes("in vain"), "Wait of an exec whose Start failed hangs");
      });
      await exec.delete();
      await refused("State of the deleted exec", exec.state(), Code.NOT_FOUND);
      const topics = ground.topicsOf(shim.id);
      demand(!topics.includes("exec-started"), "exec-started is told of an exec that never ran");
      same("State of the container", (await shim.call("State")).status, Status.RUNNING);
    },
  },
  {
    id: "exit.not-init-of-another",
    title: "Orphans do not count as exits",
    demand:
      "Processes that the container leaves to the shim (host's pid namespace) are reaped and told to nobody as an exit.",
    why: "A zombie for each orphan fills the pid table; a strange exit confuses the daemon.",
    source: "prctl(2), PR_SET_CHILD_SUBREAPER: orphans become the shim's children",
    async run(ground) {
      const shim = await ground.start(
        ["/bin/sh", "-c", "(sleep 0.1 & exec true); (sleep 0.1 & exec true); echo up; exec sleep 1000"],
        (spec) => {
          spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
        },
      );
      const init = await shim.runInit({ output: "text" });
      await init.out.untilText(/up/);
      const exec = await shim.exec(["/bin/sh", "-c", "sleep 0.2 & exec sleep 0.1"]);
      await exec.wait();
      await exec.delete();
      await noZombies(await shim.pid());
      const exits = ground.sink.events.filter(({ topic }) => topic === "/tasks/exit");
      same(
        "the processes whose exit is told",
        exits.map(({ processId }) => processId),
        [exec.execId],
      );
    },
  },
];

async function noZombies(shimPid: number): Promise<void> {
  await until("the orphans to be reaped", 5_000, () => {
    const children = childrenOf(shimPid);
    return children.length <= 1 && children.every(({ state }) => state !== "Z");
  });
}
