// Containers of one group share one shim, and each of them has a life of its own in it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { expectNoStaleSocket } from "./harness/leaks.ts";
import { isAlive } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { shimPidOf } from "./harness/shim-process.ts";
import { until } from "./harness/until.ts";

const scene = useScene();

for (const annotation of ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"]) {
  test(`group: two containers with one ${annotation} share a shim until the last is gone`, async () => {
    const annotations = { [annotation]: scene.newId("group") };
    const first = await TestContainer.run(scene, { args: ["/bin/cat"], stdin: true, annotations });
    const second = await TestContainer.run(scene, { args: ["/bin/payload", "signals"], annotations });
    const shimPid = shimPidOf(first.init.pid);
    assert.equal(shimPidOf(second.init.pid), shimPid);
    await second.init.out.untilText(/ready/);
    await second.init.kill(15);
    assert.equal((await second.end()).status, 15);
    assert.ok(isAlive(shimPid));
    assert.equal((await first.init.state()).status, "RUNNING");
    const third = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null", annotations });
    assert.equal(shimPidOf(third.init.pid), shimPid);
    // The first goes first: whoever made the shim is nothing special.
    await first.init.stdin.open();
    await first.init.stdin.write("still here\n");
    await first.init.out.untilText(/still here/);
    await first.init.closeStdin();
    assert.equal((await first.end()).status, 0);
    assert.equal((await third.init.state()).status, "RUNNING");
    await third.remove();
    await until("the shim to go with its last container", 10_000, () => !isAlive(shimPid));
  });
}

test("group: each container has its own events, pids and execs", async () => {
  const annotations = { "io.containerd.runc.v2.group": scene.newId("group") };
  const containers = await Promise.all(
    [1, 2, 3].map(() => TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null", annotations })),
  );
  assert.equal(new Set(containers.map(({ init }) => shimPidOf(init.pid))).size, 1);
  // The same exec id in each.
  const execs = await Promise.all(
    containers.map((container) => container.exec(["/bin/sleep", "1000"], { output: "null" })),
  );
  for (const [index, container] of containers.entries()) {
    const { processes } = await scene.api.pids(container.id);
    const expected = [container.init.pid, execs[index]?.pid].sort();
    assert.deepEqual(processes.map(({ pid }) => pid).sort(), expected);
  }
  for (const [index, container] of containers.entries()) {
    await container.init.kill(9);
    await container.init.wait();
    assert.equal((await execs[index]?.wait())?.status, 137);
    await execs[index]?.delete();
    await container.delete();
    await scene.events.untilEvent(container.id, "delete");
    const topics = ["create", "start", "exec-added", "exec-started", "exit", "exit", "delete"];
    assert.deepEqual(scene.events.topicsOf(container.id), topics);
  }
});

test("group: its shim's death ends all of them", async (t) => {
  const group = scene.newId("group");
  const annotations = { "io.containerd.runc.v2.group": group };
  const first = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null", annotations });
  const second = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null", annotations });
  process.kill(shimPidOf(first.init.pid), "SIGKILL");
  for (const container of [first, second]) {
    await scene.events.untilEvent(container.id, "delete");
    await until("its init to be gone", 5_000, () => !isAlive(container.init.pid));
    container.init.forget();
    await scene.api.deleteContainer(container.id);
  }
  await expectNoStaleSocket(t, scene, group);
});

test("group: a daemon that dies knows all of them again", async () => {
  const annotations = { "io.containerd.runc.v2.group": scene.newId("group") };
  const first = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null", annotations });
  const second = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null", annotations });
  await scene.daemon.kill9();
  await scene.daemon.start();
  scene.events.subscribe(scene.api, scene.namespace);
  for (const container of [second, first]) {
    assert.equal((await container.init.state()).status, "RUNNING");
    await container.remove();
  }
});
