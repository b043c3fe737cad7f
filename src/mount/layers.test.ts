import assert from "node:assert/strict";
import { test } from "node:test";
import { commonFolder, lowerDirs, relativeTo, withLowerDirs } from "./layers.ts";

test("lowerDirs: escaped colons are no separators", () => {
  assert.deepEqual(lowerDirs(["ro", "lowerdir=/a\\:1/fs:/b"]), ["/a\\:1/fs", "/b"]);
  assert.deepEqual(lowerDirs(["upperdir=/a"]), []);
});

test("commonFolder: ends at a folder, not within a name", () => {
  assert.equal(commonFolder(["/s/10/fs", "/s/11/fs", "/s/1/fs"]), "/s");
  assert.equal(commonFolder(["/s/1/fs", "/s/1/gs"]), "/s/1");
  assert.equal(commonFolder(["/s/1", "/s/1/fs"]), "/s");
  assert.equal(commonFolder(["/s/1/fs"]), "/s/1");
});

test("commonFolder: there is none of the root folder, relative or empty names", () => {
  for (const dirs of [[], ["/a/fs", "/b/fs"], ["/a"], ["a/b", "a/c"], ["/s/1", "", "/s/2"]]) {
    assert.equal(commonFolder(dirs), undefined, dirs.join(":"));
  }
});

test("relativeTo, withLowerDirs: the folder's part goes, or is replaced", () => {
  assert.deepEqual(relativeTo("/s", ["/s/1/fs", "/s/2"]), ["1/fs", "2"]);
  assert.deepEqual(relativeTo("/s", ["/s/1/fs"], "/mapped"), ["/mapped/1/fs"]);
  assert.deepEqual(withLowerDirs(["ro", "lowerdir=/a", "x"], ["1", "2"]), ["ro", "lowerdir=1:2", "x"]);
});
