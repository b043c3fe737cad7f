// Many execs in one container: a thousand in sequence and two hundred at once, with the shim's memory and descriptors
// flat, every start and exit announced once, and State answering all the while.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { testsMoor } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";
import { shimFootprint, shimPidOf } from "./harness/shim-process.ts";
import { until } from "./harness/until.ts";

const scene = useScene();
const IN_SEQUENCE = 1000;
const AT_ONCE = 200;
const WARM_UP = 100;
/** Growth of the shim's own memory that counts as flat; a Go heap breathes in megabytes. */
const FLAT_KB = testsMoor ? 256 : 8192;
const STATE_MS = 5_000;

function idle(): Promise<TestContainer> {
  return TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
}

test(`exec load: ${IN_SEQUENCE} in sequence`, async (t) => {
  const container = await idle();
  const shimPid = shimPidOf(container.init.pid);
  const one = async (number: number): Promise<void> => {
    const { status, stdout } = await container.execToEnd(["/bin/payload", "pattern", "0", String(number % 256)]);
    assert.equal(status, number % 256);
    assert.equal(stdout, "");
  };
  for (let number = 0; number < WARM_UP; number++) await one(number);
  const before = shimFootprint(shimPid);
  for (let number = WARM_UP; number < IN_SEQUENCE; number++) await one(number);
  await until(
    "the shim's descriptors to be as many as before",
    5_000,
    () => shimFootprint(shimPid).fds <= before.fds,
    () => JSON.stringify({ before, after: shimFootprint(shimPid) }),
  );
  const after = shimFootprint(shimPid);
  t.diagnostic(`shim before ${JSON.stringify(before)} after ${JSON.stringify(after)}`);
  assert.ok(after.anonymousKb - before.anonymousKb <= FLAT_KB, `grew by ${after.anonymousKb - before.anonymousKb} kB`);
  const topics = scene.events.topicsOf(container.id);
  for (const topic of ["exec-added", "exec-started", "exit"]) {
    assert.equal(topics.filter((seen) => seen === topic).length, IN_SEQUENCE, topic);
  }
  await container.remove();
});

test(`exec load: ${AT_ONCE} at once`, async (t) => {
  const container = await idle();
  const shimPid = shimPidOf(container.init.pid);
  await container.execToEnd(["/bin/true"]);
  const before = shimFootprint(shimPid);
  let allStarted = false;
  let slowestMs = 0;
  const asking = (async () => {
    while (!allStarted) {
      const begin = performance.now();
      assert.equal((await container.init.state()).status, "RUNNING");
      slowestMs = Math.max(slowestMs, performance.now() - begin);
      // oxlint-disable-next-line moor/no-sleep -- a pace, not a wait: State is asked again and again meanwhile
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const execs = await Promise.all(
    Array.from({ length: AT_ONCE }, async (_value, number) => {
      const exec = await container.addExec(["/bin/sh", "-c", `read x; echo $x ${number}; exit ${number}`], {
        stdin: true,
      });
      await exec.start();
      return exec;
    }),
  );
  allStarted = true;
  await asking;
  assert.equal((await scene.api.pids(container.id)).processes.length, AT_ONCE + 1);
  await Promise.all(
    execs.map(async (exec, number) => {
      await exec.stdin.open();
      await exec.stdin.write("go\n");
      assert.equal(await exec.out.allText(30_000), `go ${number}\n`);
      assert.equal((await exec.wait()).status, number);
      await exec.delete();
    }),
  );
  assert.equal((await scene.api.pids(container.id)).processes.length, 1);
  await until(
    "the shim's descriptors to be as many as before",
    5_000,
    () => shimFootprint(shimPid).fds <= before.fds,
    () => JSON.stringify({ before, after: shimFootprint(shimPid) }),
  );
  t.diagnostic(`slowest State ${slowestMs.toFixed(0)} ms; shim ${JSON.stringify(shimFootprint(shimPid))}`);
  assert.ok(slowestMs < STATE_MS, `State took ${slowestMs} ms`);
  await container.remove();
});

test("exec load: execs that race the death of init are each announced once, and init's exit is the last", async () => {
  const container = await idle();
  const outcomes = Array.from({ length: 40 }, async (_value, number) => {
    const exec = await container.addExec(["/bin/sleep", "1000"], { output: "null" }).catch(() => undefined);
    if (number === 20) await container.init.kill(9);
    if (exec === undefined) return { started: false, exec };
    const started = await exec.start().then(
      () => true,
      () => false,
    );
    return { started, exec };
  });
  const ended = await Promise.all(outcomes);
  assert.equal((await container.init.wait()).status, 137);
  await scene.events.untilEvent(container.id, "exit", container.id);
  for (const { started, exec } of ended) {
    if (exec === undefined) continue;
    const own = scene.events.of(container.id).filter((event) => event.processId === exec.execId);
    const topics = own.map((event) => event.topic.replace("/tasks/", "")).filter((topic) => topic !== "exec-added");
    assert.deepEqual(topics, started ? ["exec-started", "exit"] : [], exec.execId);
    await exec.delete().catch(() => exec.forget());
  }
  assert.equal(scene.events.of(container.id).at(-1)?.processId, container.id);
  await container.delete();
});
