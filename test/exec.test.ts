// Execs: their life step by step, their errors, grandchildren that hold their pipes, and many of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { codeOf, GrpcCode } from "./harness/containerd-api.ts";
import { meantDifference } from "./harness/difference.ts";
import { removeCtrFifos } from "./harness/leaks.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene();

function idle(): Promise<TestContainer> {
  return TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
}

test("exec: created, running, stopped, deleted", async () => {
  const container = await idle();
  const exec = await container.addExec(["/bin/cat"], { stdin: true });
  assert.deepEqual(await exec.state(), { status: "CREATED", pid: 0, exitStatus: 0 });
  const pid = await exec.start();
  assert.ok(pid > 0);
  assert.deepEqual(await exec.state(), { status: "RUNNING", pid, exitStatus: 0 });
  await exec.stdin.open();
  await exec.closeStdin();
  await exec.wait();
  assert.deepEqual(await exec.state(), { status: "STOPPED", pid, exitStatus: 0 });
  await exec.delete();
  await assert.rejects(exec.state(), (fault) => codeOf(fault) === GrpcCode.NOT_FOUND);
  assert.deepEqual(scene.events.topicsOf(container.id).slice(2), ["exec-added", "exec-started", "exit"]);
  await container.remove();
});

test("exec: environment, working folder and user are those of the request", async () => {
  const container = await idle();
  const exec = await container.addExec(["/bin/sh", "-c", "echo $MARK; pwd; id -u"], {}, (process) => {
    process.env.push("MARK=here");
    process.cwd = "/tmp";
    process.user = { uid: 12, gid: 12 };
  });
  await exec.start();
  assert.equal(await exec.out.allText(), "here\n/tmp\n12\n");
  await exec.wait();
  await exec.delete();
  await container.remove();
});

test("exec: a grandchild that holds the pipe delays neither the exit nor Delete", async (t) => {
  const container = await idle();
  const exec = await container.exec(["/bin/payload", "hold", "1000"]);
  await exec.out.untilText(/^ok\n$/);
  const exit = await exec.wait(5_000);
  assert.equal(exit.status, 0);
  assert.equal(exec.out.isEnded, false, "the grandchild still holds the pipe");
  const begin = performance.now();
  await exec.delete();
  const tookMs = performance.now() - begin;
  // The stock shim gives the output some seconds to end before it deletes.
  const boundMs = meantDifference(t, "delete-waits-for-nobody") ? 1_000 : 15_000;
  assert.ok(tookMs < boundMs, `Delete took ${tookMs} ms`);
  await container.remove();
});

test("exec: what a grandchild writes after the exit still arrives", async () => {
  const container = await idle();
  const exec = await container.exec(["/bin/payload", "hold", "1"]);
  assert.equal((await exec.wait(5_000)).status, 0);
  assert.equal(await exec.out.allText(), "ok\nlate\n");
  await exec.delete();
  await container.remove();
});

test("exec: a start that fails is an error with the runtime's words, and neither start nor exit is announced", async () => {
  const container = await idle();
  const exec = await container.addExec(["/bin/no-such-program"]);
  const waiting = exec.wait();
  await assert.rejects(exec.start(), /no-such-program.*no such file or directory/is);
  const topics = scene.events.topicsOf(container.id);
  assert.equal(topics.includes("exec-started"), false);
  assert.deepEqual(await exec.state(), { status: "CREATED", pid: 0, exitStatus: 0 });
  await waiting;
  await exec.delete();
  assert.equal(scene.events.topicsOf(container.id).filter((topic) => topic === "exit").length, 0);
  await container.remove();
});

test("exec: an id that is taken is AlreadyExists", async () => {
  const container = await idle();
  const exec = await container.addExec(["/bin/true"], { output: "null" });
  const again = scene.api.exec({
    containerId: container.id,
    execId: exec.execId,
    terminal: false,
    ...exec.paths,
    spec: undefined,
  });
  await assert.rejects(again, (fault) => codeOf(fault) === GrpcCode.ALREADY_EXISTS);
  await exec.delete();
  await container.remove();
});

test("exec: in a container that has ended it fails", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/true"], output: "null" });
  await container.init.wait();
  await assert.rejects(async () => {
    const exec = await container.addExec(["/bin/true"], { output: "null" });
    await exec.start();
  });
  await container.delete();
});

test("exec: Delete of a running one is refused", async () => {
  const container = await idle();
  const exec = await container.exec(["/bin/sleep", "1000"], { output: "null" });
  await assert.rejects(
    scene.api.deleteProcess(container.id, exec.execId),
    (fault) => codeOf(fault) === GrpcCode.FAILED_PRECONDITION || codeOf(fault) === GrpcCode.UNKNOWN,
  );
  await exec.kill(9);
  assert.equal((await exec.wait()).status, 137);
  await exec.delete();
  await container.remove();
});

test("exec: those alive when init dies are announced before it, each once", async () => {
  const container = await idle();
  const execs = await Promise.all(
    Array.from({ length: 20 }, () => container.exec(["/bin/sleep", "1000"], { output: "null" })),
  );
  await container.init.kill(9);
  assert.equal((await container.init.wait()).status, 137);
  for (const exec of execs) assert.equal((await exec.wait()).status, 137);
  await scene.events.untilEvent(container.id, "exit", container.id);
  const exits = scene.events.of(container.id).filter((event) => event.topic === "/tasks/exit");
  assert.equal(exits.length, execs.length + 1);
  assert.equal(exits.at(-1)?.processId, container.id);
  for (const exec of execs) await exec.delete();
  await container.delete();
});

test("exec: ctr's, attached and detached", async () => {
  const container = await idle();
  const [attached, detached] = [`attached-${scene.tag}`, `detached-${scene.tag}`];
  const command = ["/bin/sh", "-c", "echo here; exit 5"];
  const result = await scene.ctr.call(["tasks", "exec", "--exec-id", attached, container.id, ...command]);
  assert.equal(result.stdout, "here\n");
  assert.equal(result.status, 5);
  await scene.ctr.ok(["tasks", "exec", "-d", "--exec-id", detached, container.id, "/bin/sleep", "1000"]);
  assert.equal((await scene.api.get(container.id, detached)).process?.id, detached);
  await scene.api.kill(container.id, 9, detached);
  await scene.api.wait(container.id, detached);
  await scene.api.deleteProcess(container.id, detached);
  removeCtrFifos(scene);
  await container.remove();
});
