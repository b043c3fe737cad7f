// The moor command beside containerd: its containers are listed with what the daemon knows of them, can be looked at
// and signalled, also while the daemon is dead, and are the daemon's to remove.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { onlyMoor } from "./harness/difference.ts";
import { shimSocketPath } from "./harness/leaks.ts";
import { useMoor } from "./harness/moor-command.ts";
import { testsMoor } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene();
const moor = useMoor(scene);

test("moor ps: shows containerd's containers, whatever becomes of containerd", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const line = await moor.line(container.id);
  assert.deepEqual([line?.daemon, line?.status, line?.namespace], ["known", "running", scene.namespace]);
  assert.equal(line?.shim, testsMoor ? "moor" : "runc");
  assert.equal(line.connections, 1);
  const exec = await container.exec(["/bin/sleep", "1000"], { output: "null" });
  assert.deepEqual((await moor.line(container.id))?.execs, [exec.execId]);
  await exec.kill(9);
  await exec.wait();
  await exec.delete();
  await scene.daemon.kill9();
  const orphaned = await moor.line(container.id);
  assert.deepEqual([orphaned?.daemon, orphaned?.status, orphaned?.shimPid], ["down", "running", line.shimPid]);
  assert.equal(orphaned?.connections, 0);
  assert.match(await moor.ok("ps"), /down, not connected\n/);
  await scene.daemon.start();
  assert.equal((await moor.line(container.id))?.daemon, "known");
  const refused = await moor.run(["rm", "-f", container.id]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /is containerd's: remove it with containerd's own client/);
  await moor.ok("kill", container.id, "KILL");
  assert.equal((await moor.run(["wait", container.id])).status, 137);
  await container.remove();
});

test("moor: a container of the stock shim is listed, held, let go and measured like any other", async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/sleep", "1000"],
    output: "null",
    runtime: "io.containerd.runc.v2",
  });
  const { id } = container;
  const line = await moor.line(id);
  assert.deepEqual([line?.shim, line?.status, line?.daemon, line?.execs], ["runc", "running", "known", []]);
  assert.match(line?.shimVersion ?? "", /^\d+\.\d+/);
  await scene.daemon.kill9();
  await moor.ok("pause", id);
  assert.equal((await moor.line(id))?.status, "paused");
  await moor.ok("resume", id);
  const stats = JSON.parse(await moor.ok("stats", "--interval", "10ms", "--format", "json", id)) as { pids: number };
  assert.equal(stats.pids, 1);
  const top = JSON.parse(await moor.ok("top", "--interval", "10ms", "--format", "json", id)) as { command: string };
  assert.equal(top.command, "/bin/sleep 1000");
  process.kill(line?.shimPid ?? 0, "SIGKILL");
  await until("the shim to be gone", 10_000, async () => (await moor.line(id))?.status === "orphaned");
  process.kill(container.init.pid, "SIGKILL");
  await scene.daemon.start();
  await container.delete().catch(() => scene.api.deleteContainer(id));
  rmSync(shimSocketPath(scene.daemon.address, scene.namespace, id), { force: true });
});

test("moor version: asks the daemon", async () => {
  const { daemon } = JSON.parse(await moor.ok("version", "--format", "json")) as { daemon: string };
  assert.match(daemon, /^containerd v?\d+\.\d+/);
});

test("moor attach: to a container of containerd's, with a warning", async (t) => {
  if (onlyMoor(t, "start-needs-no-reader")) return;
  const container = await TestContainer.run(scene, {
    args: ["/bin/sh", "-c", "read x; echo heard $x; exit 4"],
    stdin: true,
    output: "unread",
  });
  const attached = await moor.run(["attach", container.id], { input: "hello\n" });
  assert.match(attached.stderr, /is containerd's: its other clients do not see what is shown here/);
  assert.deepEqual([attached.stdout, attached.status], ["heard hello\n", 4]);
  await container.remove();
});
