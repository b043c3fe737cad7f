import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { defaultSpec, isStatic, makeBundle } from "./new-bundle.ts";

function withFolder(run: (dir: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), "moor-bundle-"));
  try {
    run(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

test("makeBundle: a root file system with a shell, and a spec", () => {
  withFolder((dir) => {
    const bundle = makeBundle(join(dir, "new"), ["ls"]);
    assert.equal(readlinkSync(join(bundle, "rootfs/bin/sh")), "busybox");
    const spec = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as { process: { args: string[] } };
    assert.deepEqual(spec.process.args, ["ls"]);
  });
});

test("makeBundle: a folder that holds something is left alone", () => {
  withFolder((dir) => {
    writeFileSync(join(dir, "precious"), "");
    assert.throws(() => makeBundle(dir, []), /is not empty/);
    assert.deepEqual(readdirSync(dir), ["precious"]);
  });
});

test("isStatic: this Node is linked dynamically, and text is no program", () => {
  assert.equal(isStatic(readFileSync(process.execPath)), false);
  assert.equal(isStatic(Buffer.from("#!/bin/sh\n".repeat(20))), false);
});

test("defaultSpec: a shell on a terminal unless told otherwise", () => {
  assert.deepEqual((defaultSpec([])["process"] as { args: string[]; terminal: boolean }).args, ["sh"]);
});
