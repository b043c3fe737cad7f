// Pause, Update and Stats of a container that runs.

import { readFileSync } from "node:fs";
import { Metrics as MetricsV1 } from "../../src/api/cgroups-v1.ts";
import { Metrics as MetricsV2 } from "../../src/api/cgroups-v2.ts";
import { Status } from "../../src/api/process.ts";
import { until } from "../../test/harness/until.ts";
import { type Case, Code, demand, refused, same } from "../case.ts";
import { demandServes } from "../shim.ts";

const mib = 1 << 20;

function json(value: unknown): { typeUrl: string; value: Uint8Array } {
  const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
  return { typeUrl, value: new TextEncoder().encode(JSON.stringify(value)) };
}

/** The memory limit of a process's cgroup, either version. */
function memoryLimitOf(pid: number): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
  const v1 = lines.find((line) => line.split(":")[1]?.split(",").includes("memory") === true);
  const path = (v1 ?? lines.find((line) => line.startsWith("0::")) ?? "").split(":")[2] ?? "";
  const file = v1 === undefined ? `${path}/memory.max` : `/memory${path}/memory.limit_in_bytes`;
  return readFileSync(`/sys/fs/cgroup${file}`, "utf8").trim();
}

export const controlCases: readonly Case[] = [
  {
    id: "control.pause",
    title: "Pause and Resume",
    demand: "A paused container does nothing, State says paused, of its execs too; a resumed one goes on.",
    why: "`docker pause`, and snapshots of a container at rest.",
    source: "api/runtime/task/v2/shim.proto; cgroup freezer",
    async run(ground) {
      const shim = await ground.start(["/bin/sh", "-c", "while :; do echo tick; sleep 0.01; done"]);
      const init = await shim.runInit({ output: "text" });
      const exec = await shim.exec(["/bin/sleep", "1000"]);
      await init.out.untilText(/tick/);
      await shim.call("Pause");
      same("State of the container", (await init.state()).status, Status.PAUSED);
      same("State of its exec", (await exec.state()).status, Status.PAUSED);
      // What was on its way when it froze.
      await shim.call("Pids");
      let count = init.out.count;
      await until("output to stand still", 3_000, async () => {
        const before = count;
        for (let i = 0; i < 20; i++) await shim.call("State");
        count = init.out.count;
        return count === before;
      });
      await shim.call("Resume");
      same("State after Resume", (await init.state()).status, Status.RUNNING);
      await until("output to go on", 3_000, () => init.out.count > count);
    },
  },
  {
    id: "control.pause-refused",
    title: "Pause and Resume in the wrong state",
    demand: "Pause before Start, Pause twice, and Resume of what runs are refused with FailedPrecondition.",
    why: 'Clients can tell "not now" from "it failed".',
    source: "gRPC status codes; containerd runc shim: init_state.go",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"]);
      await shim.create();
      await refused("Pause before Start", shim.call("Pause"), Code.FAILED_PRECONDITION);
      await shim.call("Start");
      await refused("Resume of a running container", shim.call("Resume"), Code.FAILED_PRECONDITION);
      await shim.call("Pause");
      await refused("a second Pause", shim.call("Pause"), Code.FAILED_PRECONDITION);
    },
  },
  {
    id: "control.update",
    title: "Update changes a limit",
    demand: "Update with a new memory limit changes the container's cgroup.",
    why: "In-place resize of pods, `docker update`.",
    source: "api/runtime/task/v2/shim.proto; OCI runtime spec, LinuxResources",
    async run(ground) {
      const shim = await ground.start(["/bin/sleep", "1000"], (spec) => {
        spec.linux.resources["memory"] = { limit: 64 * mib, swap: 64 * mib };
      });
      const { pid } = await shim.create();
      await shim.call("Start");
      same("the memory limit at first", memoryLimitOf(pid), String(64 * mib));
      await shim.call("Update", { resources: json({ memory: { limit: 32 * mib, swap: 32 * mib } }) });
      same("the memory limit after Update", memoryLimitOf(pid), String(32 * mib));
    },
  },
  {
    id: "control.update-annotations",
    title: "Update with annotations",
    demand: "Annotations beside the resources do not make Update fail.",
    why: "The kubelet sends them always.",
    source: "containerd CRI plugin: UpdateContainerResources",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await shim.call("Update", { resources: json({ cpu: { shares: 512 } }), annotations: { "example.org/x": "y" } });
    },
  },
  {
    id: "control.update-of-nothing",
    title: "Update without or with bad resources",
    demand: "It is refused with InvalidArgument, and the shim serves on.",
    why: "A request without a field must not cost every container of a pod.",
    source: "gRPC status codes; Go's nil dereference in the runc shim",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      const fault = await shim.call("Update", {}).catch((cause: unknown) => cause);
      await demandServes(shim, "an Update without resources");
      demand(fault instanceof Error, "Update without resources is accepted");
      const text = { typeUrl: "x", value: new TextEncoder().encode("{") };
      const cut = await refused("Update with cut JSON", shim.call("Update", { resources: text }));
      for (const each of [fault, cut]) {
        const { code } = each as { code?: number };
        same("the code of the refusal", code, Code.INVALID_ARGUMENT);
      }
    },
  },
  {
    id: "control.stats",
    title: "The shape of Stats",
    demand:
      "Stats is an Any of io.containerd.cgroups.v1.Metrics or v2.Metrics with memory use and number of processes.",
    why: "kubelet's eviction and `kubectl top` read it.",
    source: "containerd/cgroups stats; CRI plugin: toContainerStats",
    async run(ground) {
      const shim = await ground.start(["/bin/payload", "memory", "4"]);
      const init = await shim.runInit({ output: "text" });
      await init.out.untilText(/ready/);
      const { stats } = await shim.call("Stats");
      const type = stats?.typeUrl.replace(/^.*\//, "");
      const value = stats?.value ?? new Uint8Array();
      let memory: bigint | undefined;
      let pids: bigint | undefined;
      if (type === "io.containerd.cgroups.v1.Metrics") {
        const metrics = MetricsV1.decode(value);
        memory = metrics.memory?.usage?.usage;
        pids = metrics.pids?.current;
      } else if (type === "io.containerd.cgroups.v2.Metrics") {
        const metrics = MetricsV2.decode(value);
        memory = metrics.memory?.usage;
        pids = metrics.pids?.current;
      } else demand(false, `the type of Stats is ${type}`);
      demand(Number(memory ?? 0) >= 4 * mib, `the memory in Stats is ${memory}, of a process that holds 4 MiB`);
      same("the number of processes in Stats", Number(pids ?? 0), 1);
    },
  },
  {
    id: "control.pids-during-pause",
    title: "A paused container can be asked",
    demand: "State, Pids, Stats and Connect of a paused container answer within 2 s.",
    why: "Monitoring goes on over paused containers.",
    source: "report containerd#2438",
    async run(ground) {
      const shim = await ground.run(["/bin/sleep", "1000"]);
      await shim.call("Pause");
      for (const method of ["State", "Pids", "Stats", "Connect"] as const) {
        await shim.call(method, {}, { deadlineMs: 2_000 });
      }
      await shim.call("Resume");
    },
  },
];
