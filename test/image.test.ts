// Containers from an image, on containerd's own overlay snapshots, as `ctr run IMAGE` makes them.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { writeImageArchive } from "./harness/image.ts";
import { runtimeName } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";

const IMAGE = "moor.test/busybox:layers";
const LAYERS = 12;
const scene = useScene({
  prepare: async ({ dir, rootfs, ctr }) => {
    const archive = join(dir, "image.tar");
    await writeImageArchive(archive, rootfs, IMAGE, LAYERS);
    await ctr.ok(["images", "import", archive]);
  },
});

function runImage(id: string, ...command: string[]) {
  return scene.ctr.call(["run", "--rm", "--runtime", runtimeName, IMAGE, id, ...command]);
}

test("image: its layers are the container's root file system", async () => {
  const result = await runImage(scene.newId("image"), "/bin/sh", "-c", "ls /layers | wc -l; cat /layers/1; touch /new");
  assert.equal(result.stderr, "");
  assert.equal(result.stdout, `${LAYERS - 1}\nlayer 1\n`);
});

test("image: two containers of it do not see each other's files", async () => {
  const ids = [scene.newId("one"), scene.newId("two")];
  const command = ["/bin/sh", "-c", "ls /mine 2>/dev/null; echo own > /mine; cat /mine"];
  for (const result of await Promise.all(ids.map((id) => runImage(id, ...command)))) {
    assert.equal(result.stdout, "own\n");
    assert.equal(result.status, 0);
  }
});
