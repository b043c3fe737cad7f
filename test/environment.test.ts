// The environment containerd runs in must not reach the runtime: with NOTIFY_SOCKET `runc start` would wait for ever,
// and LISTEN_FDS would hand a container sockets that are not its own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { oomScoreAdjOf } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { shimPidOf } from "./harness/shim-process.ts";

const scene = useScene({
  environment: {
    NOTIFY_SOCKET: "/run/moor-e2e-nobody-listens-here",
    LISTEN_FDS: "1",
    LISTEN_FDNAMES: "nothing",
  },
});

test("environment: a container starts although containerd has NOTIFY_SOCKET and LISTEN_FDS", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sh", "-c", "env; ls /proc/self/fd"] });
  const text = await container.init.out.allText();
  assert.doesNotMatch(text, /NOTIFY_SOCKET|LISTEN_/);
  assert.equal((await container.end(10_000)).status, 0);
});

test("environment: an exec starts too", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const { status, stdout } = await container.execToEnd(["/bin/sh", "-c", "env"]);
  assert.equal(status, 0);
  assert.doesNotMatch(stdout, /NOTIFY_SOCKET|LISTEN_/);
  await container.remove();
});

test("environment: processes have the descriptors 0, 1 and 2 and no other of the shim's", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  // ls has one more for the folder it reads.
  const { stdout } = await container.execToEnd(["/bin/ls", "/proc/self/fd"]);
  assert.deepEqual(stdout.trim().split("\n"), ["0", "1", "2", "3"]);
  await container.remove();
});

test("environment: the shim is a little more likely to be killed for memory than containerd", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const expected = Math.min(oomScoreAdjOf(scene.daemon.pid) + 1, 1000);
  assert.equal(oomScoreAdjOf(shimPidOf(container.init.pid)), expected);
  await container.remove();
});
