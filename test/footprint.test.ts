// What a shim costs: resident memory with one idle container beside the stock shim's, size of the binary, and that the
// binary needs nothing beside it.

import assert from "node:assert/strict";
import { chmodSync, copyFileSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "./harness/command.ts";
import { TestContainer } from "./harness/container.ts";
import { onlyMoor } from "./harness/difference.ts";
import { memoryOf, openFdCount, processInfo } from "./harness/processes.ts";
import { findInPath, runtimeName, shimPath } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";
import { shimPidOf } from "./harness/shim-process.ts";

const scene = useScene();
const RSS_LIMIT_KB = 2560;
const BINARY_LIMIT_BYTES = 1_500_000;

test("footprint: memory of an idle shim with one container", async (t) => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"] });
  await container.execToEnd(["/bin/true"]);
  const shimPid = shimPidOf(container.init.pid);
  const memory = memoryOf(shimPid);
  t.diagnostic(`${runtimeName}: ${JSON.stringify(memory)}, ${openFdCount(shimPid)} descriptors`);
  const stock = findInPath("containerd-shim-runc-v2");
  if (stock !== undefined && runtimeName !== "io.containerd.runc.v2") {
    const id = scene.newId("stock");
    await scene.ctr.ok([
      "run",
      "-d",
      "--runtime",
      "io.containerd.runc.v2",
      "--rootfs",
      scene.rootfs,
      id,
      "/bin/sleep",
      "1000",
    ]);
    await scene.ctr.ok(["tasks", "exec", "--exec-id", `once-${scene.tag}`, id, "/bin/true"]);
    const pid = (await scene.ctr.tasks()).get(id)?.pid ?? 0;
    t.diagnostic(`io.containerd.runc.v2: ${JSON.stringify(memoryOf(processInfo(pid)?.ppid ?? 0))}`);
    await scene.ctr.remove(id);
  }
  await container.remove();
  if (runtimeName.startsWith("io.containerd.moor."))
    assert.ok(memory.rssKb < RSS_LIMIT_KB, `${memory.rssKb} kB resident`);
});

test("footprint: the binary is static, small, and runs alone in an empty folder", async (t) => {
  if (onlyMoor(t, "one-small-static-binary")) return;
  const size = statSync(shimPath()).size;
  t.diagnostic(`${size} bytes`);
  assert.ok(size < BINARY_LIMIT_BYTES, `${size} bytes`);
  const dir = join(scene.dir, "alone");
  mkdirSync(dir);
  const copy = join(dir, "shim");
  copyFileSync(shimPath(), copy);
  chmodSync(copy, 0o755);
  const result = await run([copy, "-v"], { cwd: dir, env: {} });
  assert.equal(result.status, 0, result.stderr);
  assert.match(result.stdout, /moor/i);
  const linked = await run(["ldd", copy]);
  assert.match(linked.stdout + linked.stderr, /not a dynamic executable|statically linked/);
});
