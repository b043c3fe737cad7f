// containerd is upgraded under running containers, 1.6 to 1.7 to 2.1, and taken back again: containers, their output and
// what ended while no daemon was there are kept, under every version. The daemons are Debian's of three suites.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { fetchDaemons } from "./harness/fetched.ts";
import { shimSocketPath } from "./harness/leaks.ts";
import { isAlive, processInfo } from "./harness/processes.ts";
import { runtimeName } from "./harness/repository.ts";
import { onlyMoor } from "./harness/difference.ts";
import { useScene } from "./harness/scene.ts";
import { shimPidOf } from "./harness/shim-process.ts";
import { until } from "./harness/until.ts";

const WAY = ["containerd-1.6", "containerd-1.7", "containerd-2.1", "containerd-1.7", "containerd-1.6"];

let folders: ReadonlyMap<string, string> | string;
const scene = useScene({
  prepare: async ({ daemon }) => {
    folders = await fetchDaemons(...new Set(WAY));
    // The scene began with the one in PATH, and has made nothing so far.
    if (typeof folders !== "string") await daemon.stop();
  },
});

/** Whether there is nothing to test with; the reason is told. */
function leftOut(t: TestContext): boolean {
  if (typeof folders === "string") t.skip(`the daemons cannot be fetched: ${folders}`);
  return typeof folders === "string" || onlyMoor(t, "one-binary-for-every-containerd");
}

async function begin(name: string): Promise<void> {
  assert.ok(typeof folders !== "string");
  scene.daemon.programs = folders.get(name);
  await scene.daemon.start();
  scene.events.subscribe(scene.api, scene.namespace);
}

test("daemon upgrade: 1.6, 1.7, 2.1 and back, with the same containers", async (t) => {
  if (leftOut(t)) return;
  const annotations = { "io.kubernetes.cri.sandbox-id": scene.newId("pod") };
  const [first = "", ...later] = WAY;
  await begin(first);
  const steady = await TestContainer.run(scene, { args: ["/bin/cat"], stdin: true, annotations });
  const paused = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await scene.api.pause(paused.id);
  await steady.init.stdin.open();
  const shimPid = shimPidOf(steady.init.pid);
  let expected = "";
  const say = async (words: string): Promise<void> => {
    expected += `${words}\n`;
    await steady.init.stdin.write(`${words}\n`);
    await steady.init.out.untilText(new RegExp(`${words}\n`));
  };
  let from = first;
  for (const to of later) {
    const step = `${from} to ${to}`;
    await say(`under ${from}, before ${step}`);
    const ending = await TestContainer.run(scene, { args: ["/bin/payload", "signals"] });
    const exec = await steady.exec(["/bin/payload", "signals"]);
    for (const process of [ending.init, exec]) await process.out.untilText(/ready/);
    await scene.daemon.stop();
    await say(`no daemon between ${step}`);
    for (const { pid } of [ending.init, exec]) {
      process.kill(pid, "SIGTERM");
      await until("it to end", 5_000, () => !isAlive(pid));
    }
    await begin(to);
    t.diagnostic(`${step}: containerd ${to} runs`);
    // What ended meanwhile: the task is there, with its true status (events: daemon-death.test.ts).
    assert.deepEqual(await ending.init.state(), { status: "STOPPED", pid: ending.init.pid, exitStatus: 15 }, step);
    const exit = await ending.init.wait();
    assert.equal(exit.status, 15, step);
    await ending.init.out.untilText(/^ready\nsignal 15\n$/);
    assert.deepEqual(await ending.delete(), exit, step);
    assert.equal((await exec.wait()).status, 15, step);
    await exec.delete();
    // What went on is as it was, and can be used.
    assert.deepEqual(await steady.init.state(), { status: "RUNNING", pid: steady.init.pid, exitStatus: 0 }, step);
    assert.equal((await paused.init.state()).status, "PAUSED", step);
    assert.equal(shimPidOf(steady.init.pid), shimPid, step);
    assert.deepEqual(await steady.execToEnd(["/bin/echo", to]), { status: 0, stdout: `${to}\n`, stderr: "" }, step);
    // A container that this daemon starts joins the pod's shim of the other daemon's time.
    const joining = await TestContainer.run(scene, { args: ["/bin/sh", "-c", "exit 9"], annotations });
    assert.equal((await joining.end()).status, 9, step);
    assert.ok(isAlive(shimPid), step);
    from = to;
  }
  await say("at last");
  await scene.api.resume(paused.id);
  await paused.remove();
  const waiting = steady.init.wait();
  await steady.init.closeStdin();
  assert.equal((await waiting).status, 0);
  assert.equal(await steady.init.out.allText(), expected);
  await steady.delete();
  await until("the pod's shim to go with its last container", 10_000, () => !isAlive(shimPid));
  await scene.daemon.stop();
});

const stock = "io.containerd.runc.v2";

for (const [host, guest] of [
  [stock, runtimeName],
  [runtimeName, stock],
] as const) {
  test(`daemon upgrade: ${host} of 1.6's time is joined by ${guest} under 2.1`, async (t) => {
    if (leftOut(t)) return;
    const group = scene.newId("group");
    const annotations = { "io.containerd.runc.v2.group": group };
    await begin("containerd-1.6");
    const old = await TestContainer.run(scene, { args: ["/bin/payload", "signals"], annotations, runtime: host });
    await old.init.out.untilText(/ready/);
    const shimPid = processInfo(old.init.pid)?.ppid;
    await scene.daemon.stop();
    await begin("containerd-2.1");
    const young = await TestContainer.run(scene, { args: ["/bin/payload", "signals"], annotations, runtime: guest });
    await young.init.out.untilText(/ready/);
    assert.equal(processInfo(young.init.pid)?.ppid, shimPid);
    for (const container of [young, old]) {
      assert.equal((await container.execToEnd(["/bin/sh", "-c", "exit 3"])).status, 3);
      const waiting = container.init.wait();
      await container.init.kill(15);
      assert.equal((await waiting).status, 15);
      assert.equal((await container.delete()).status, 15);
    }
    await until("the shim to go with its last container", 10_000, () => !isAlive(shimPid ?? 0));
    // A stock shim that was not started for the group's own id leaves the group's socket.
    rmSync(shimSocketPath(scene.daemon.address, scene.namespace, group), { force: true });
    await scene.daemon.stop();
  });
}
