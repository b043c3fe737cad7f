// What the cgroup says and does: metrics against the cgroup's own files, update, pids in sub-cgroups, out of memory.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Metrics } from "../src/api/cgroups-v1.ts";
import { TestContainer } from "./harness/container.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene();
const CGROUP_ROOT = "/sys/fs/cgroup";
const MIB = 1 << 20;
const RESOURCES_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

/** The container's cgroup in each v1 hierarchy and, where mounted beside them, the v2 one. */
function cgroupDirs(id: string): string[] {
  return readdirSync(CGROUP_ROOT)
    .map((controller) => join(CGROUP_ROOT, controller, scene.namespace, id))
    .filter((dir) => existsSync(dir));
}

function cgroupNumber(id: string, controller: string, file: string): bigint {
  return BigInt(readFileSync(join(CGROUP_ROOT, controller, scene.namespace, id, file), "utf8").trim());
}

async function metricsOf(id: string): Promise<Metrics> {
  const { metrics } = await scene.api.metrics(id);
  const data = metrics.find((metric) => metric.id === id)?.data;
  assert.equal(data?.typeUrl, "io.containerd.cgroups.v1.Metrics");
  return Metrics.decode(data.value);
}

const onV1 = existsSync(join(CGROUP_ROOT, "memory"));
const skip = onV1 ? false : "this machine has no cgroup v1 hierarchies mounted";

test("metrics: say what the cgroup's files say", { skip }, async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/payload", "memory", "16"],
    changeSpec: (spec) => {
      spec.linux.resources["memory"] = { limit: 64 * MIB };
      spec.linux.resources["pids"] = { limit: 77 };
    },
  });
  await container.init.out.untilText(/ready/);
  const metrics = await metricsOf(container.id);
  assert.equal(metrics.pids?.current, 1n);
  assert.equal(metrics.pids?.limit, 77n);
  assert.equal(metrics.memory?.usage?.limit, BigInt(64 * MIB));
  const usage = metrics.memory?.usage?.usage ?? 0n;
  assert.ok(usage > BigInt(16 * MIB) && usage < BigInt(32 * MIB), `memory usage ${usage}`);
  assert.ok((metrics.memory?.rss ?? 0n) >= BigInt(16 * MIB), "rss");
  const total = metrics.cpu?.usage?.total ?? 0n;
  assert.ok(total > 0n && total <= cgroupNumber(container.id, "cpuacct", "cpuacct.usage"), `cpu ${total}`);
  assert.equal(metrics.cpu?.usage?.perCpu.length, readFileSync("/proc/stat", "utf8").match(/^cpu\d+/gm)?.length);
  await container.remove();
});

test("metrics: ctr shows them", { skip }, async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  // Start answers when init may go on; until it has executed the program, the threads of runc in it are counted.
  const shown = await until("one task in the container", 10_000, async () => {
    const text = await scene.ctr.ok(["tasks", "metrics", container.id]);
    return /pids\.current\s+1\b/.test(text) ? text : undefined;
  });
  assert.match(shown, /memory\.usage_in_bytes\s+\d+/);
  assert.match(shown, /cpuacct\.usage\s+\d+/);
  await container.remove();
});

test("update: new limits stand in the cgroup and in the metrics", { skip }, async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/sleep", "1000"],
    output: "null",
    changeSpec: (spec) => {
      spec.linux.resources["memory"] = { limit: 64 * MIB };
    },
  });
  const resources = { memory: { limit: 32 * MIB }, pids: { limit: 55 }, cpu: { shares: 512 } };
  await scene.api.update({
    containerId: container.id,
    resources: { typeUrl: RESOURCES_TYPE, value: new TextEncoder().encode(JSON.stringify(resources)) },
    annotations: { "kept.by": "nobody" },
  });
  assert.equal(cgroupNumber(container.id, "memory", "memory.limit_in_bytes"), BigInt(32 * MIB));
  assert.equal(cgroupNumber(container.id, "pids", "pids.max"), 55n);
  assert.equal(cgroupNumber(container.id, "cpu", "cpu.shares"), 512n);
  assert.equal((await metricsOf(container.id)).memory?.usage?.limit, BigInt(32 * MIB));
  await container.remove();
});

test("update: resources that are no JSON are an error, and the container goes on", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const resources = { typeUrl: RESOURCES_TYPE, value: new TextEncoder().encode("{") };
  await assert.rejects(scene.api.update({ containerId: container.id, resources, annotations: {} }));
  assert.equal((await container.init.state()).status, "RUNNING");
  await container.remove();
});

test("pids: every process, execs with their ids, also those in sub-cgroups", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/payload", "forks", "3"] });
  await container.init.out.untilText(/ready/);
  const exec = await container.exec(["/bin/sleep", "1000"], { output: "null" });
  const before = await scene.api.pids(container.id);
  assert.equal(before.processes.length, 5);
  const withInfo = before.processes.filter(({ info }) => info !== undefined);
  assert.deepEqual(
    withInfo.map(({ pid, info }) => [pid, info?.typeUrl]),
    [[exec.pid, "containerd.runc.v1.ProcessDetails"]],
  );
  // Everything but init goes down a level, as a systemd or a Docker in the container would do.
  const subs = cgroupDirs(container.id).map((dir) => join(dir, "sub"));
  for (const sub of subs) {
    mkdirSync(sub);
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (existsSync(join(sub, file))) writeFileSync(join(sub, file), readFileSync(join(sub, "..", file)));
    }
    for (const { pid } of before.processes) writeFileSync(join(sub, "cgroup.procs"), String(pid));
  }
  const after = await scene.api.pids(container.id);
  const sorted = (list: { pid: number }[]): number[] => list.map(({ pid }) => pid).sort((a, b) => a - b);
  assert.deepEqual(sorted(after.processes), sorted(before.processes));
  await exec.kill(9);
  await exec.wait();
  await exec.delete();
  await container.init.kill(9, true);
  await container.init.wait();
  for (const sub of subs) if (existsSync(sub)) rmdirSync(sub);
  await container.delete();
});

test("oom: a container that asks for too much is announced and ends by SIGKILL", { skip }, async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/payload", "memory", "64"],
    changeSpec: (spec) => {
      spec.linux.resources["memory"] = { limit: 8 * MIB, swap: 8 * MIB };
    },
  });
  assert.equal((await container.init.wait()).status, 137);
  await scene.events.untilEvent(container.id, "oom");
  await container.delete();
});

test("oom: of one exec leaves the container running", { skip }, async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/sleep", "1000"],
    output: "null",
    changeSpec: (spec) => {
      spec.linux.resources["memory"] = { limit: 8 * MIB, swap: 8 * MIB };
    },
  });
  const exec = await container.exec(["/bin/payload", "memory", "64"], { output: "null" });
  assert.equal((await exec.wait()).status, 137);
  await scene.events.untilEvent(container.id, "oom");
  assert.equal((await container.init.state()).status, "RUNNING");
  await exec.delete();
  await container.remove();
});

test("cgroups: a container's are gone after Delete", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/true"], output: "null" });
  await container.end();
  await until("the cgroups to be gone", 2_000, () => cgroupDirs(container.id).length === 0);
});
