// Pause and resume: states, events, what is refused, and SIGKILL to a paused container.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene();

test("pause: nothing runs until resume, and both are announced", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/cat"], stdin: true });
  const { init } = container;
  await init.stdin.open();
  await init.stdin.write("a\n");
  await init.out.untilText(/^a\n$/);
  await scene.api.pause(container.id);
  assert.equal((await init.state()).status, "PAUSED");
  await init.stdin.write("b\n");
  assert.equal((await init.state()).status, "PAUSED");
  assert.equal(init.out.text(), "a\n");
  await scene.api.resume(container.id);
  assert.equal((await init.state()).status, "RUNNING");
  await init.out.untilText(/^a\nb\n$/);
  await scene.events.untilEvent(container.id, "resumed");
  assert.deepEqual(scene.events.topicsOf(container.id), ["create", "start", "paused", "resumed"]);
  await container.remove();
});

test("pause: an exec's state follows its container's", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const exec = await container.exec(["/bin/sleep", "1000"], { output: "null" });
  await scene.api.pause(container.id);
  assert.equal((await exec.state()).status, "PAUSED");
  await scene.api.resume(container.id);
  assert.equal((await exec.state()).status, "RUNNING");
  await exec.kill(9);
  await exec.wait();
  await exec.delete();
  await container.remove();
});

test("pause: SIGKILL ends a paused container", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await scene.api.pause(container.id);
  await container.init.kill(9);
  assert.equal((await container.init.wait(10_000)).status, 137);
  await container.delete();
});

test("pause: of a paused and resume of a running container are refused, and the state stays", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await assert.rejects(scene.api.resume(container.id));
  assert.equal((await container.init.state()).status, "RUNNING");
  await scene.api.pause(container.id);
  await assert.rejects(scene.api.pause(container.id));
  assert.equal((await container.init.state()).status, "PAUSED");
  await scene.api.resume(container.id);
  await container.remove();
});

test("pause: no exec starts in a paused container", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await scene.api.pause(container.id);
  const started = container.addExec(["/bin/true"], { output: "null" }).then((exec) => exec.start());
  await assert.rejects(started, /paused/);
  await scene.api.resume(container.id);
  await container.remove();
});

test("pause: ctr's words for it", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await scene.ctr.ok(["tasks", "pause", container.id]);
  assert.equal((await scene.ctr.tasks()).get(container.id)?.status, "PAUSED");
  await scene.ctr.ok(["tasks", "resume", container.id]);
  assert.equal((await scene.ctr.tasks()).get(container.id)?.status, "RUNNING");
  await container.remove();
});
