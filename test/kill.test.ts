// Kill: one process, all of them, each signal, and each state in which it is refused, with the code clients rely on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { codeOf, GrpcCode } from "./harness/containerd-api.ts";
import { meantDifference, onlyMoor } from "./harness/difference.ts";
import { isAlive } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene();

function isCode(code: GrpcCode) {
  return (fault: unknown): boolean => {
    assert.equal(codeOf(fault), code, String(fault));
    return true;
  };
}

test("kill: the signal reaches the process it names and no other", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/payload", "signals"] });
  await container.init.out.untilText(/ready/);
  const exec = await container.exec(["/bin/payload", "signals"]);
  await exec.out.untilText(/ready/);
  for (const signal of [1, 2, 10, 36, 64]) {
    await exec.kill(signal);
    await exec.out.untilText(new RegExp(`signal ${signal}\n`));
  }
  assert.equal(container.init.out.text(), "ready\n");
  await container.init.kill(10);
  await container.init.out.untilText(/signal 10\n/);
  assert.equal(exec.out.text(), "ready\nsignal 1\nsignal 2\nsignal 10\nsignal 36\nsignal 64\n");
  await exec.kill(15);
  assert.equal((await exec.wait()).status, 15);
  await exec.delete();
  await container.remove();
});

test("kill: all reaches every process of the container", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/payload", "forks", "5"] });
  await container.init.out.untilText(/ready/);
  const exec = await container.exec(["/bin/sleep", "1000"], { output: "null" });
  const { processes } = await scene.api.pids(container.id);
  assert.equal(processes.length, 7);
  await container.init.kill(9, true);
  assert.equal((await container.init.wait()).status, 137);
  assert.equal((await exec.wait()).status, 137);
  await until("all of the container's processes to be gone", 5_000, () => processes.every(({ pid }) => !isAlive(pid)));
  await exec.delete();
  await container.delete();
});

test("kill: all reaches every process with any signal, under every runtime", async (t) => {
  // To runc from 1.2 on kill --all means init alone.
  if (onlyMoor(t, "kill-all-reaches-all")) return;
  const container = await TestContainer.run(scene, { args: ["/bin/payload", "signals"] });
  const execs = [await container.exec(["/bin/payload", "signals"]), await container.exec(["/bin/payload", "signals"])];
  for (const process of [container.init, ...execs]) await process.out.untilText(/ready/);
  await container.init.kill(10, true);
  for (const process of [container.init, ...execs]) await process.out.untilText(/^ready\nsignal 10\n$/);
  for (const exec of execs) {
    await exec.kill(15);
    assert.equal((await exec.wait()).status, 15);
    await exec.delete();
  }
  await container.remove();
});

test("kill: all on an exec concerns that exec alone", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const exec = await container.exec(["/bin/sleep", "1000"], { output: "null" });
  await exec.kill(9, true);
  assert.equal((await exec.wait()).status, 137);
  assert.equal((await container.init.state()).status, "RUNNING");
  await exec.delete();
  await container.remove();
});

test("kill: of an exec that was never started is FailedPrecondition", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const exec = await container.addExec(["/bin/true"], { output: "null" });
  await assert.rejects(exec.kill(9), isCode(GrpcCode.FAILED_PRECONDITION));
  await exec.delete();
  await container.remove();
});

test("kill: of what has exited is NotFound at once, and Wait answers", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const exec = await container.exec(["/bin/true"], { output: "null" });
  await exec.wait();
  await assert.rejects(exec.kill(9), isCode(GrpcCode.NOT_FOUND));
  await exec.delete();
  await assert.rejects(exec.kill(9), isCode(GrpcCode.NOT_FOUND));
  await container.init.kill(9);
  await container.init.wait();
  await assert.rejects(container.init.kill(9), isCode(GrpcCode.NOT_FOUND));
  assert.equal((await container.init.wait(1_000)).status, 137);
  await container.delete();
  await assert.rejects(container.init.kill(9), isCode(GrpcCode.NOT_FOUND));
});

test("kill: of a created init ends it before it was started", async () => {
  const container = await TestContainer.create(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await container.init.kill(9);
  assert.equal((await container.init.wait()).status, 137);
  await container.delete();
});

test("kill: a container that shares the host's pid namespace leaves none of its processes behind", async (t) => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/payload", "forks", "3"],
    changeSpec: (spec) => {
      spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
    },
  });
  await container.init.out.untilText(/ready/);
  const exec = await container.exec(["/bin/sleep", "1000"], { output: "null" });
  const { processes } = await scene.api.pids(container.id);
  assert.equal(processes.length, 5);
  // Only init is hit; the rest would live on in the host's namespace if the shim did not end them.
  await container.init.kill(9);
  assert.equal((await container.init.wait()).status, 137);
  assert.equal((await exec.wait()).status, 137);
  await until("the container's processes to be gone", 5_000, () => processes.every(({ pid }) => !isAlive(pid)));
  await scene.events.untilEvent(container.id, "exit", container.id);
  await scene.events.untilEvent(container.id, "exit", exec.execId);
  const exits = scene.events.of(container.id).filter((event) => event.topic === "/tasks/exit");
  const order = exits.map((event) => event.processId);
  assert.deepEqual([...order].sort(), [container.id, exec.execId]);
  if (meantDifference(t, "exec-exits-first")) assert.deepEqual(order, [exec.execId, container.id]);
  await exec.delete();
  await container.delete();
});

test("kill: ctr's words for it, one and all", async () => {
  const id = scene.newId("ctrkill");
  await scene.ctr.runDetached([], id, ["/bin/payload", "forks", "2"]);
  await scene.ctr.ok(["tasks", "kill", "--all", "-s", "KILL", id]);
  await until("the task to stop", 5_000, async () => (await scene.ctr.tasks()).get(id)?.status === "STOPPED");
  const again = await scene.ctr.call(["tasks", "kill", "-s", "KILL", id]);
  assert.notEqual(again.status, 0);
  assert.match(again.stderr, /not found/);
  await scene.ctr.remove(id);
});
