// Root file systems the shim mounts: overlays of many layers, binds, read-only ones, and a mount that fails.

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type RawMount, TestContainer } from "./harness/container.ts";
import { runtimeUnderTest } from "./harness/oci-runtime.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene();
const LAYERS = 120;

function folder(...parts: string[]): string {
  const dir = join(scene.dir, ...parts);
  mkdirSync(dir, { recursive: true });
  return dir;
}

/** An overlay of `count` layers as a snapshotter lays them out: a root file system and files above it. */
function overlay(name: string, count: number): RawMount {
  const lower: string[] = [];
  for (let layer = 0; layer < count; layer++) {
    const dir = folder(name, "io.containerd.snapshotter.v1.overlayfs", "snapshots", String(layer), "fs");
    if (layer === 0) cpSync(scene.rootfs, dir, { recursive: true, verbatimSymlinks: true });
    mkdirSync(join(dir, "layers"), { recursive: true });
    writeFileSync(join(dir, "layers", `layer-${layer}`), String(layer));
    lower.unshift(dir);
  }
  const options = [
    `workdir=${folder(name, "work")}`,
    `upperdir=${folder(name, "upper")}`,
    `lowerdir=${lower.join(":")}`,
  ];
  return { type: "overlay", source: "overlay", options };
}

function mountedUnder(path: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(path));
}

test(`rootfs: an overlay of ${LAYERS} layers, whose options are longer than a page`, async () => {
  const mount = overlay("deep", LAYERS);
  assert.ok(mount.options.join(",").length > 4096);
  const container = await TestContainer.run(scene, {
    args: ["/bin/sh", "-c", "ls /layers | wc -l; cat /layers/layer-0 /layers/layer-119; echo new > /file"],
    rootfs: [mount],
  });
  assert.equal(mountedUnder(container.bundle).length, 1);
  assert.equal(await container.init.out.allText(), `${LAYERS}\n0119`);
  assert.equal((await container.end()).status, 0);
  assert.equal(readFileSync(join(scene.dir, "deep/upper/file"), "utf8"), "new\n");
  assert.deepEqual(mountedUnder(container.bundle), []);
});

test("rootfs: a bind, and a read-only one", async () => {
  const bind = { type: "bind", source: scene.rootfs, options: ["rbind", "rw"] };
  const writing = await TestContainer.run(scene, { args: ["/bin/touch", "/tmp/written"], rootfs: [bind] });
  assert.equal((await writing.end()).status, 0);
  assert.ok(existsSync(join(scene.rootfs, "tmp/written")));
  const readOnly = { type: "bind", source: scene.rootfs, options: ["rbind", "ro"] };
  const refused = await TestContainer.create(scene, { args: ["/bin/touch", "/tmp/refused"], rootfs: [readOnly] });
  assert.match(mountedUnder(refused.bundle).join("\n"), /\/rootfs ro,/);
  await refused.init.start();
  await refused.init.wait();
  // crun makes a mount of its own of it, and that writable unless root.readonly says otherwise.
  if (runtimeUnderTest() === "runc") {
    assert.match(await refused.init.err.allText(), /Read-only file system/);
    assert.equal(existsSync(join(scene.rootfs, "tmp/refused")), false);
  }
  await refused.delete();
});

test("rootfs: when the second mount fails, the error names it, and the first is undone", async () => {
  const good = { type: "bind", source: scene.rootfs, options: ["rbind", "rw"] };
  const bad = { type: "no-such-type", source: "nothing", options: [] };
  await assert.rejects(TestContainer.run(scene, { args: ["/bin/true"], rootfs: [good, bad] }), /mount/);
  const id = scene.ids.at(-1) ?? "";
  assert.deepEqual(mountedUnder(id), []);
});

test("rootfs: mounts over each other", async () => {
  const over = folder("over");
  writeFileSync(join(over, "hello"), "from the second\n");
  const first = overlay("flat", 1);
  const second = { type: "bind", source: scene.rootfs, options: ["rbind", "rw"] };
  const container = await TestContainer.run(scene, { args: ["/bin/ls", "/layers"], rootfs: [first, second] });
  // The second bind lies over the overlay, and has no /layers.
  assert.match(await container.init.err.allText(), /layers/);
  await container.end();
  assert.deepEqual(mountedUnder(container.bundle), []);
});

test("rootfs: a container that is killed before it ran leaves no mount", async () => {
  const container = await TestContainer.create(scene, {
    args: ["/bin/true"],
    output: "null",
    rootfs: [overlay("never", 2)],
  });
  await container.init.kill(9);
  await container.init.wait();
  await container.delete();
  assert.deepEqual(mountedUnder(container.bundle), []);
});
