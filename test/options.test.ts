// The runtime's options: another runtime program, another root, and options that are refused.

import assert from "node:assert/strict";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Options } from "../src/api/runc-options.ts";
import { TestContainer } from "./harness/container.ts";
import { onlyMoor } from "./harness/difference.ts";
import { ociProcess, ociSpec } from "./harness/oci-spec.ts";
import { findInPath, repositoryDir, runtimeName, testsMoor } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene();
const OPTIONS_TYPE = "containerd.runc.v1.Options";

function options(changed: Partial<Options>): { typeUrl: string; value: Uint8Array } {
  return { typeUrl: OPTIONS_TYPE, value: Options.encode({ ...Options.decode(new Uint8Array()), ...changed }).finish() };
}

const skip = findInPath("crun") === undefined ? "crun is not installed" : false;

/** crun behind a script, so that the option names a file of our own; it sees no hybrid cgroups, which it refuses. */
function crunScript(): string {
  const path = join(scene.dir, "crun-script");
  writeFileSync(path, `#!/bin/sh\nexec ${join(repositoryDir(), "scripts/hide-unified")} crun "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** ctr has flags of its own for runc's options, with the stock runtime alone; all others get a file with a table of them. */
function ctrFlags(binary: string): string[] {
  if (!testsMoor) return ["--runc-binary", binary];
  const path = join(scene.dir, "runtime.toml");
  writeFileSync(path, `BinaryName = ${JSON.stringify(binary)}\n`);
  return ["--runtime-config-path", path];
}

test("options: crun as the runtime, through ctr", { skip }, async () => {
  // With a spec of our own: what ctr of containerd 1.7 and later makes is of a version that crun 1.8 refuses.
  const id = scene.newId("crun");
  const spec = join(scene.dir, "spec.json");
  const process = ociProcess(["/bin/sh", "-c", "echo by crun; exit 8"]);
  writeFileSync(spec, JSON.stringify(ociSpec(scene, id, scene.rootfs, process)));
  const flags = ["--rm", "--runtime", runtimeName, "--config", spec, ...ctrFlags(crunScript())];
  const result = await scene.ctr.call(["run", ...flags, id]);
  assert.equal(result.stdout, "by crun\n", result.stderr);
  assert.equal(result.status, 8);
});

test("options: crun's container lives through exec, pause and kill", { skip }, async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/sleep", "1000"],
    output: "null",
    taskOptions: options({ binaryName: crunScript() }),
  });
  assert.equal((await container.execToEnd(["/bin/payload", "pattern", "0", "12"])).status, 12);
  await scene.api.pause(container.id);
  assert.equal((await container.init.state()).status, "PAUSED");
  await scene.api.resume(container.id);
  await container.remove();
});

test("options: a runtime root of one's own", async () => {
  const root = join(scene.dir, "runtime-root");
  const container = await TestContainer.run(scene, {
    args: ["/bin/sleep", "1000"],
    output: "null",
    taskOptions: options({ root }),
  });
  assert.ok(existsSync(join(root, scene.namespace, container.id)));
  await container.remove();
  assert.equal(existsSync(join(root, scene.namespace, container.id)), false);
});

test("options: a runtime that is not there is an error that names it", async () => {
  const made = TestContainer.create(scene, {
    args: ["/bin/true"],
    output: "null",
    taskOptions: options({ binaryName: "/no/such/runtime" }),
  });
  await assert.rejects(made, /\/no\/such\/runtime/);
});

test("options: of a type nobody knows are refused by name", async (t) => {
  if (onlyMoor(t, "unknown-options-are-refused")) return;
  const made = TestContainer.create(scene, {
    args: ["/bin/true"],
    output: "null",
    taskOptions: { typeUrl: "some.other.v1.Options", value: Uint8Array.of(8, 1) },
  });
  await assert.rejects(made, /some\.other\.v1\.Options/);
});

test("options: no pivot_root and no new keyring are passed on", async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/echo", "up"],
    taskOptions: options({ noPivotRoot: true, noNewKeyring: true }),
  });
  assert.equal(await container.init.out.allText(), "up\n");
  assert.equal((await container.end()).status, 0);
});
