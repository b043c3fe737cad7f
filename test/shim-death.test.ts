// The shim is killed: containerd and `delete` leave nothing behind, and a status that was known is told.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DeleteResponse } from "../src/api/task.ts";
import { runOk } from "./harness/command.ts";
import { TestContainer } from "./harness/container.ts";
import { codeOf, GrpcCode } from "./harness/containerd-api.ts";
import { meantDifference } from "./harness/difference.ts";
import { expectNoStaleSocket, sceneCgroups } from "./harness/leaks.ts";
import { isAlive } from "./harness/processes.ts";
import { shimPath } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";
import { shimPidOf } from "./harness/shim-process.ts";
import { until } from "./harness/until.ts";

const scene = useScene();

async function killAndWait(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await until("the killed process to be gone", 5_000, () => !isAlive(pid));
}

/** Runs the binary's `delete` as containerd does, and decodes its answer. */
async function runDelete(container: TestContainer): Promise<DeleteResponse> {
  const flags = [
    "-namespace",
    scene.namespace,
    "-address",
    scene.daemon.address,
    "-publish-binary",
    "/usr/bin/containerd",
  ];
  const argv = [shimPath(), ...flags, "-id", container.id, "-bundle", container.bundle, "delete"];
  const result = await runOk(argv, {
    cwd: container.bundle,
    env: { PATH: process.env["PATH"], TTRPC_ADDRESS: `${scene.daemon.address}.ttrpc` },
    deadlineMs: 10_000,
  });
  return DeleteResponse.decode(result.stdoutBytes);
}

test("shim's death: with a running container, containerd announces 137 and everything is gone", async (t) => {
  const container = await TestContainer.run(scene, { args: ["/bin/payload", "forks", "2"] });
  await container.init.out.untilText(/ready/);
  const { processes } = await scene.api.pids(container.id);
  await killAndWait(shimPidOf(container.init.pid));
  const exit = await scene.events.untilEvent(container.id, "exit");
  assert.equal(exit.fields["exitStatus"], 137);
  await scene.events.untilEvent(container.id, "delete");
  await until("its processes to be gone", 5_000, () => processes.every(({ pid }) => !isAlive(pid)));
  await assert.rejects(container.init.state(), (fault) => codeOf(fault) === GrpcCode.NOT_FOUND);
  container.init.forget();
  await scene.api.deleteContainer(container.id);
  await expectNoStaleSocket(t, scene, container.id);
});

test("shim's death: after an exit that was announced, the status told is the true one", async (t) => {
  const container = await TestContainer.create(scene, { args: ["/bin/payload", "pattern", "0", "42"], output: "null" });
  const shimPid = shimPidOf(container.init.pid);
  await container.init.start();
  assert.equal((await container.init.wait()).status, 42);
  await killAndWait(shimPid);
  const deleted = await scene.events.untilEvent(container.id, "delete");
  const expected = meantDifference(t, "delete-knows-the-status") ? 42 : 137;
  assert.equal(deleted.fields["exitStatus"], expected);
  container.init.forget();
  await scene.api.deleteContainer(container.id);
  await expectNoStaleSocket(t, scene, container.id);
});

test("shim's death: delete by hand, without daemon or shim, of a running container", async (t) => {
  const container = await TestContainer.run(scene, { args: ["/bin/payload", "forks", "2"] });
  await container.init.out.untilText(/ready/);
  const { processes } = await scene.api.pids(container.id);
  await scene.daemon.kill9();
  await killAndWait(shimPidOf(container.init.pid));
  const answer = await runDelete(container);
  assert.equal(answer.exitStatus, 137);
  assert.ok((answer.exitedAt?.seconds ?? 0n) > 1_600_000_000n, "a time of exit");
  await until("its processes to be gone", 5_000, () => processes.every(({ pid }) => !isAlive(pid)));
  assert.deepEqual(sceneCgroups(scene.namespace), []);
  await expectNoStaleSocket(t, scene, container.id);
  // Once more does no harm and gives the same answer.
  assert.equal((await runDelete(container)).exitStatus, 137);
  await scene.daemon.start();
  scene.events.subscribe(scene.api, scene.namespace);
  container.init.forget();
  await scene.api.deleteContainer(container.id);
});

test("shim's death: delete by hand after an exit that was recorded", async (t) => {
  const container = await TestContainer.create(scene, { args: ["/bin/payload", "pattern", "0", "7"], output: "null" });
  const shimPid = shimPidOf(container.init.pid);
  await container.init.start();
  const exit = await container.init.wait();
  await scene.daemon.kill9();
  await killAndWait(shimPid);
  const answer = await runDelete(container);
  if (meantDifference(t, "delete-knows-the-status")) {
    assert.equal(answer.exitStatus, 7);
    assert.equal(answer.pid, container.init.pid);
    const at = (answer.exitedAt?.seconds ?? 0n) * 1_000_000_000n + BigInt(answer.exitedAt?.nanos ?? 0);
    assert.equal(at, exit.atNs);
  } else assert.equal(answer.exitStatus, 137);
  await scene.daemon.start();
  scene.events.subscribe(scene.api, scene.namespace);
  container.init.forget();
  await scene.api.deleteContainer(container.id);
  await expectNoStaleSocket(t, scene, container.id);
});

test("shim's death: between Create and Start nothing is left either", async (t) => {
  const container = await TestContainer.create(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await killAndWait(shimPidOf(container.init.pid));
  await scene.events.untilEvent(container.id, "delete");
  await until("the created init to be gone", 5_000, () => !isAlive(container.init.pid));
  container.init.forget();
  await scene.api.deleteContainer(container.id);
  await expectNoStaleSocket(t, scene, container.id);
});
