// Containers from start to end as `ctr run` makes them: output, exit statuses, errors of the runtime.

import assert from "node:assert/strict";
import { test } from "node:test";
import { saysMissing } from "./harness/oci-runtime.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene();

test("run: output of stdout and stderr and the exit status arrive", async () => {
  const id = scene.newId("run");
  const result = await scene.ctr.run(["--rm"], id, ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]);
  assert.equal(result.stdout, "out\n");
  assert.match(result.stderr, /^err$/m);
  assert.equal(result.status, 7);
});

test("run: an init that dies of a signal gives 128 and the signal", async () => {
  const id = scene.newId("signal");
  // The kernel spares an init every signal it has no handler for, but for SIGKILL from outside.
  await scene.ctr.runDetached([], id, ["/bin/sleep", "1000"]);
  const wait = scene.ctr.call(["tasks", "attach", id]);
  await scene.ctr.ok(["tasks", "kill", "-s", "SIGKILL", id]);
  assert.equal((await wait).status, 137);
  await scene.ctr.remove(id);
});

test("run: stdin reaches the container and its end too", async () => {
  // ctr 1.6 loses an end of stdin that comes before its task is made, hence the wait for the echo.
  const options = { input: "one\ntwo\n", inputEndsAfter: "two\n" };
  const result = await scene.ctr.run(["--rm"], scene.newId("stdin"), ["/bin/cat"], options);
  assert.equal(result.stdout, "one\ntwo\n");
  assert.equal(result.status, 0);
});

test("run: the runtime's own message stands in the error of a command that is not there", async () => {
  const id = scene.newId("noexec");
  const result = await scene.ctr.run(["--rm"], id, ["/bin/no-such-program"]);
  assert.notEqual(result.status, 0);
  assert.match(result.stderr, saysMissing("/bin/no-such-program"));
});

test("run: a detached container is RUNNING, then STOPPED with its status, then gone", async () => {
  const id = scene.newId("detached");
  await scene.ctr.runDetached([], id, ["/bin/sleep", "1000"]);
  const task = (await scene.ctr.tasks()).get(id);
  assert.equal(task?.status, "RUNNING");
  assert.match(await scene.ctr.ok(["tasks", "ps", id]), new RegExp(`^${task?.pid}\\b`, "m"));
  await scene.ctr.ok(["tasks", "kill", "-s", "SIGKILL", id]);
  await until("the task to be STOPPED", 10_000, async () => (await scene.ctr.tasks()).get(id)?.status === "STOPPED");
  const removed = await scene.ctr.call(["tasks", "rm", id]);
  assert.match(removed.stderr, /exit with non-zero exit code 137/);
  assert.equal((await scene.ctr.tasks()).has(id), false);
  await scene.ctr.ok(["containers", "rm", id]);
});
