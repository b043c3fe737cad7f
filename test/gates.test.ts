// The gates are in the tests' build and do what they say there, and of the shim that is installed no byte is theirs.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gates } from "../src/sys/gates.ts";
import { DirectShim, TestBundle } from "./harness/direct-shim.ts";
import { Gates, gatedShimPath } from "./harness/gates.ts";
import { repositoryDir } from "./harness/repository.ts";
import { processInfo } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { staysPending, until } from "./harness/until.ts";

const scene = useScene({ withoutDaemon: true });

test("gates: the shim that is installed has none of them in its modules, bytecode or file", () => {
  const build = join(repositoryDir(), "build");
  const folders = ["js", "bytecode"].map((name) => join(build, "shim", name));
  const modules = folders.flatMap((dir) => readdirSync(dir).map((name) => join(dir, name)));
  // Source maps hold the sources, and stay in the build.
  const files = modules.filter((path) => !path.endsWith(".map"));
  assert.ok(files.length > 20, "modules are looked at");
  const words = ["MOOR_GATES", "passGate", ...Object.keys(gates)];
  for (const path of [...files, join(build, "containerd-shim-moor-v2")]) {
    const bytes = readFileSync(path);
    for (const word of words) assert.ok(!bytes.includes(word), `${path} holds ${word}`);
  }
  const gated = readFileSync(gatedShimPath());
  for (const word of words) if (!/\.(spawned|ended)$/.test(word)) assert.ok(gated.includes(word), word);
});

test("gates: one that is armed stops the shim once, until it is passed; others stop nobody", async () => {
  const stops = new Gates(join(scene.dir, "gates"));
  const bundle = new TestBundle(scene, ["/bin/sh", "-c", "exit 3"]);
  const shim = await DirectShim.startIn(scene, bundle, { environment: stops.environment, shim: gatedShimPath() });
  const pid = await shim.shimPid();
  await shim.create();
  stops.arm("start.told");
  stops.arm("exec.asked");
  const starting = shim.call("Start");
  assert.equal(await stops.reached("start.told"), pid);
  const state = shim.call("State");
  await until("the shim to sleep", 5_000, () => processInfo(pid)?.state === "S");
  await staysPending("an answer", 50, Promise.race([starting, state]));
  stops.pass("start.told");
  await Promise.all([starting, state]);
  assert.equal(stops.isReached("exec.asked"), false);
  assert.equal((await shim.call("Wait")).exitStatus, 3);
  await shim.end(scene);
});
