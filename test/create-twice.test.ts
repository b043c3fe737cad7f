// A Create that would touch what another one has made: of an id that is there, or in the bundle of another container. It is
// refused, and the first one's mounts, files and processes stay as they are.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DirectShim } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import type { OciSpec } from "./harness/oci-spec.ts";
import { isAlive } from "./harness/processes.ts";
import { Code, faultOf, refused } from "./harness/refusal.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene({ withoutDaemon: true });

function mountsBelow(dir: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => line.split(" ")[4]?.startsWith(dir) === true);
}

/** The bind mount of the scene's root file system, as a snapshotter would ask for it. */
function bind(): { type: string; source: string; target: string; options: string[] } {
  return { type: "bind", source: scene.rootfs, target: "", options: ["rbind", "rw"] };
}

test("create twice: a second Create of an id touches nothing of the first one's", async (t) => {
  if (onlyMoor(t, "create-twice-is-refused")) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { dir } = shim.bundle;
  const config = join(dir, "config.json");
  const spec = JSON.parse(readFileSync(config, "utf8")) as OciSpec;
  writeFileSync(config, JSON.stringify({ ...spec, root: { path: "rootfs", readonly: false } }));
  const { pid } = await shim.create({ rootfs: [bind()] });
  const before = { mounts: mountsBelow(dir), files: readdirSync(dir).sort() };
  assert.equal(before.mounts.length, 1);
  const other = join(scene.dir, "other-bundle");
  mkdirSync(join(other, "rootfs"), { recursive: true });
  for (const request of [
    { bundle: dir, rootfs: [bind()] },
    { bundle: other, rootfs: [bind()] },
    { bundle: dir, rootfs: [{ type: "tmpfs", source: "tmpfs", target: "", options: [] }] },
    { bundle: "/no/such" },
  ]) {
    await refused(shim, "Create", request, [Code.ALREADY_EXISTS], shim.id);
  }
  await shim.call("Start");
  for (const again of await Promise.all(
    Array.from({ length: 4 }, () => faultOf("Create", shim.create({ rootfs: [bind()] }))),
  )) {
    assert.equal(again.code, Code.ALREADY_EXISTS);
  }
  assert.deepEqual({ mounts: mountsBelow(dir), files: readdirSync(dir).sort() }, before);
  assert.deepEqual(readdirSync(other), ["rootfs"]);
  assert.ok(isAlive(pid));
  await shim.end(scene);
  assert.deepEqual(mountsBelow(dir), []);
});

test("create twice: a bundle that holds one container takes no other, by whatever name it is called, until that is deleted", async (t) => {
  if (onlyMoor(t, "create-twice-is-refused")) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { dir } = shim.bundle;
  await shim.create();
  const alias = join(scene.dir, "alias-of-a-bundle");
  symlinkSync(dir, alias);
  const before = readdirSync(dir).sort();
  const id = scene.newId("second");
  for (const bundle of [dir, `${dir}/`, alias, `${dir}/../${shim.id}`]) {
    const fault = await refused(shim, "Create", { id, bundle, rootfs: [bind()] }, [Code.FAILED_PRECONDITION], id);
    assert.ok(fault.message.includes(`container ${shim.id}'s`), fault.message);
    await refused(shim, "State", { id }, [Code.NOT_FOUND], id);
  }
  assert.deepEqual(readdirSync(dir).sort(), before);
  assert.deepEqual(mountsBelow(dir), []);
  await shim.call("Delete");
  await shim.call("Create", { id, bundle: dir });
  await shim.call("Delete", { id });
  await shim.end(scene);
});
