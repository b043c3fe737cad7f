// The moor command beside containerd: its containers are listed with what the daemon knows of them, can be looked at
// and signalled, also while the daemon is dead, and are the daemon's to remove.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { onlyMoor } from "./harness/difference.ts";
import { useMoor } from "./harness/moor-command.ts";
import { testsMoor } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene();
const moor = useMoor(scene);

test("moor ps: shows containerd's containers, whatever becomes of containerd", async (t) => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const line = await moor.line(container.id);
  if (!testsMoor) {
    t.diagnostic("the stock shim is not Moor's: its containers are not listed");
    assert.equal(line, undefined);
    await container.remove();
    return;
  }
  assert.deepEqual([line?.daemon, line?.status, line?.namespace], ["known", "running", scene.namespace]);
  await scene.daemon.kill9();
  const orphaned = await moor.line(container.id);
  assert.deepEqual([orphaned?.daemon, orphaned?.status, orphaned?.shimPid], ["down", "running", line?.shimPid]);
  await scene.daemon.start();
  assert.equal((await moor.line(container.id))?.daemon, "known");
  const refused = await moor.run(["rm", "-f", container.id]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /is containerd's: remove it with containerd's own client/);
  await moor.ok("kill", container.id, "KILL");
  assert.equal((await moor.run(["wait", container.id])).status, 137);
  await container.remove();
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
