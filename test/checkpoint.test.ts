// Checkpoint and restore with a criu that works on this kernel: Debian sid's, unpacked into the build folder, as the
// one of Debian 12 is too old for kernels of today.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { CheckpointOptions } from "../src/api/runc-options.ts";
import { run } from "./harness/command.ts";
import { type ContainerOptions, TestContainer } from "./harness/container.ts";
import { meantDifference } from "./harness/difference.ts";
import { repositoryDir } from "./harness/repository.ts";
import { type Scene, useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene({ prepare: provideCriu });
/** Why criu cannot run, once it has been tried. */
let excuse: string | undefined;

/** Puts criu where the runtime finds it: in the PATH that the shim has from containerd. */
async function provideCriu({ daemon }: Scene): Promise<void> {
  const fetched = await run([join(repositoryDir(), "test/fixtures/fetch-criu")], { deadlineMs: 120_000 });
  if (fetched.status !== 0) {
    excuse = `criu cannot be fetched: ${fetched.stderr.trim()}`;
    return;
  }
  const script = fetched.stdout.trim();
  const check = await run([script, "check"]);
  if (check.status !== 0) excuse = `criu cannot run here: ${check.stderr.trim()}`;
  else symlinkSync(script, join(daemon.binDir, "criu"));
}

function leftOut(t: TestContext): boolean {
  if (excuse !== undefined) t.skip(excuse);
  return excuse !== undefined;
}

/** Counts on stdout, and so shows whether it goes on where it was. */
const COUNTER: ContainerOptions = {
  args: ["/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"],
  changeSpec: (spec) => {
    // Without a network of its own there is no packet filter to be locked, and no tool for it needed.
    spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "network");
  },
};

function lastNumber(text: string): number {
  return Number(text.trim().split("\n").at(-1));
}

function checkpointOptions(changed: Partial<CheckpointOptions>): { typeUrl: string; value: Uint8Array } {
  const value = CheckpointOptions.encode({ ...CheckpointOptions.decode(new Uint8Array()), ...changed }).finish();
  return { typeUrl: "containerd.runc.v1.CheckpointOptions", value };
}

test("checkpoint: with exit, and a restore that goes on where it was", async (t) => {
  if (leftOut(t)) return;
  const container = await TestContainer.run(scene, COUNTER);
  await container.init.out.untilText(/^10$/m);
  const { descriptors } = await scene.api.checkpoint({
    containerId: container.id,
    parentCheckpoint: "",
    options: checkpointOptions({ exit: true }),
  });
  await container.init.wait();
  if (meantDifference(t, "checkpoint-is-announced")) await scene.events.untilEvent(container.id, "checkpointed");
  const stoppedAt = lastNumber(container.init.out.text());
  await container.init.delete();

  const image = descriptors.find(({ mediaType }) => mediaType.includes("criu"));
  assert.ok(image !== undefined, JSON.stringify(descriptors.map(({ mediaType }) => mediaType)));
  const restored = await container.recreate({ ...COUNTER, checkpoint: image });
  assert.equal(restored.init.pid, 0);
  assert.deepEqual(await restored.init.state(), { status: "CREATED", pid: 0, exitStatus: 0 });
  const pid = await restored.init.start();
  assert.ok(pid > 0);
  assert.deepEqual(await restored.init.state(), { status: "RUNNING", pid, exitStatus: 0 });
  await until("the restored counter to count", 10_000, () => lastNumber(restored.init.out.text()) > stoppedAt + 3);
  assert.ok(Number(restored.init.out.text().split("\n")[0]) > 5, "it does not begin anew");
  assert.equal((await restored.execToEnd(["/bin/echo", "in it"])).stdout, "in it\n");
  await restored.init.kill(9);
  assert.equal((await restored.init.wait()).status, 137);
  await restored.delete();
});

test("checkpoint: without exit the container goes on, and the image lies where it was asked for", async (t) => {
  if (leftOut(t)) return;
  const container = await TestContainer.run(scene, COUNTER);
  await container.init.out.untilText(/^5$/m);
  const imagePath = join(scene.dir, "image");
  const workPath = join(scene.dir, "work");
  mkdirSync(imagePath);
  mkdirSync(workPath);
  // ctr has flags for the two paths, and sends them to the stock runtime alone.
  await scene.api.checkpoint({
    containerId: container.id,
    parentCheckpoint: "",
    options: checkpointOptions({ imagePath, workPath }),
  });
  assert.ok(readdirSync(imagePath).includes("inventory.img"));
  assert.equal((await container.init.state()).status, "RUNNING");
  const now = lastNumber(container.init.out.text());
  await until("the counter to go on", 10_000, () => lastNumber(container.init.out.text()) > now + 3);
  await container.remove();
});

test("checkpoint: that fails is an error with the cause, and the container goes on", async (t) => {
  if (leftOut(t)) return;
  const container = await TestContainer.run(scene, COUNTER);
  await assert.rejects(
    scene.api.checkpoint({
      containerId: container.id,
      parentCheckpoint: "",
      options: checkpointOptions({ imagePath: "/dev/null/image" }),
    }),
  );
  assert.equal((await container.init.state()).status, "RUNNING");
  await container.remove();
});
