// The daemon dies and comes back: containers go on, nothing that happened meanwhile is lost.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { TestContainer } from "./harness/container.ts";
import { meantDifference, onlyMoor } from "./harness/difference.ts";
import { daemonVersion } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";
import { shimPidOf } from "./harness/shim-process.ts";
import { isAlive } from "./harness/processes.ts";
import { until } from "./harness/until.ts";

const scene = useScene({ holdsEvents: true });
/** Longer than the stock shim tries to get rid of an event (1 + 2 + 3 + 4 + 5 s). */
const LONG_AWAY_MS = 17_000;

/** containerd 1.7 and later throw a stopped task of the stock shim away when they start. */
function losesStopped(t: TestContext): boolean {
  const { major, minor } = daemonVersion();
  return (major > 1 || minor >= 7) && onlyMoor(t, "pids-of-a-stopped-task");
}

const restart = (): Promise<void> => scene.restart();

test("daemon's death: container, output and input go on, and it knows them again afterwards", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/cat"], stdin: true });
  const { init } = container;
  const shimPid = shimPidOf(init.pid);
  await init.stdin.open();
  await init.stdin.write("before\n");
  await init.out.untilText(/before\n/);
  await scene.daemon.kill9();
  await init.stdin.write("while it was away\n");
  await init.out.untilText(/while it was away\n/);
  await restart();
  assert.deepEqual(await init.state(), { status: "RUNNING", pid: init.pid, exitStatus: 0 });
  assert.equal(shimPidOf(init.pid), shimPid);
  assert.deepEqual(await container.execToEnd(["/bin/echo", "new"]), { status: 0, stdout: "new\n", stderr: "" });
  const waiting = init.wait();
  await container.init.closeStdin();
  assert.equal((await waiting).status, 0);
  assert.equal(await init.out.allText(), "before\nwhile it was away\n");
  await container.delete();
});

test("daemon's death: an orderly stop leaves containers running too", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await scene.daemon.stop();
  assert.ok(isAlive(container.init.pid));
  await restart();
  assert.equal((await container.init.state()).status, "RUNNING");
  await container.remove();
});

test("daemon's death: what ended meanwhile is STOPPED with its true status, in Wait, Delete and event", async (t) => {
  if (losesStopped(t)) return;
  const container = await TestContainer.run(scene, { args: ["/bin/payload", "signals"] });
  const { init } = container;
  await init.out.untilText(/ready/);
  const exec = await container.exec(["/bin/payload", "signals"]);
  await exec.out.untilText(/ready/);
  await scene.daemon.kill9();
  process.kill(exec.pid, "SIGTERM");
  await until("the exec to end", 5_000, () => !isAlive(exec.pid));
  process.kill(init.pid, "SIGTERM");
  await until("init to end", 5_000, () => !isAlive(init.pid));
  await restart();
  assert.deepEqual(await init.state(), { status: "STOPPED", pid: init.pid, exitStatus: 15 });
  const exit = await init.wait();
  assert.equal(exit.status, 15);
  const event = await scene.events.untilEvent(container.id, "exit", container.id);
  assert.equal(event.fields["exitStatus"], 15);
  assert.equal((await exec.wait()).status, 15);
  assert.equal((await scene.events.untilEvent(container.id, "exit", exec.execId)).fields["exitStatus"], 15);
  // The bytes are in the FIFO by now; our own reader may be a turn behind.
  await init.out.untilText(/^ready\nsignal 15\n$/);
  await exec.delete();
  assert.deepEqual(await container.delete(), exit);
});

test("daemon's death: Pids of a stopped task", async (t) => {
  const container = await TestContainer.run(scene, { args: ["/bin/true"], output: "null" });
  await container.init.wait();
  // containerd 1.7 and later throw a task away, with its status, whose shim answers no pid when they start.
  if (meantDifference(t, "pids-of-a-stopped-task")) {
    const { processes } = await scene.api.pids(container.id);
    assert.deepEqual(
      processes.map(({ pid }) => pid),
      [container.init.pid],
    );
  } else {
    const { processes } = await scene.api.pids(container.id).catch(() => ({ processes: [] }));
    assert.equal(processes.length, 0);
  }
  await container.delete();
});

test("daemon's death: however long it is away, the events are delivered, in order, when it is back", async (t) => {
  if (onlyMoor(t, "events-outlast-the-daemon")) return;
  const container = await TestContainer.run(scene, { args: ["/bin/payload", "signals"] });
  await container.init.out.untilText(/ready/);
  const execs = [];
  for (let i = 0; i < 5; i++) execs.push(await container.exec(["/bin/sleep", "1000"], { output: "null" }));
  for (const exec of execs) await scene.events.untilEvent(container.id, "exec-started", exec.execId);
  await scene.daemon.kill9();
  const seen = scene.events.of(container.id).length;
  for (const exec of execs) {
    process.kill(exec.pid, "SIGKILL");
    await until("the exec to end", 5_000, () => !isAlive(exec.pid));
  }
  process.kill(container.init.pid, "SIGTERM");
  // oxlint-disable-next-line moor/no-sleep -- a daemon that is away for long is what is tested
  await delay(LONG_AWAY_MS);
  await restart();
  await scene.events.untilEvent(container.id, "exit", container.id);
  const exits = scene.events.of(container.id).slice(seen);
  assert.deepEqual(
    exits.map((event) => [event.topic, event.processId, event.fields["exitStatus"]]),
    [...execs.map((exec) => ["/tasks/exit", exec.execId, 137]), ["/tasks/exit", container.id, 15]],
  );
  for (const exec of execs) await exec.delete();
  await container.delete();
});

test("daemon's death: many containers come back, running and stopped", async (t) => {
  if (losesStopped(t)) return;
  const running: TestContainer[] = [];
  const ending: TestContainer[] = [];
  for (let i = 0; i < 5; i++) {
    running.push(await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" }));
    ending.push(await TestContainer.run(scene, { args: ["/bin/payload", "signals"] }));
  }
  for (const { init } of ending) await init.out.untilText(/ready/);
  await scene.daemon.kill9();
  for (const { init } of ending) process.kill(init.pid, "SIGTERM");
  await restart();
  for (const container of running) {
    assert.equal((await container.init.state()).status, "RUNNING");
    await container.remove();
  }
  for (const container of ending) assert.equal((await container.end()).status, 15);
});
