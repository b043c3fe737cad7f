// The README's example does what the README says.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("README: the example prints what stands below it", () => {
  const text = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const [, code] = /```js\n(.*?)```/s.exec(text) ?? assert.fail("no example");
  const [, output] = /```text\n(.*?)```/s.exec(text) ?? assert.fail("no output");
  // Inside the package, so that it finds itself by its name.
  const folder = mkdtempSync(fileURLToPath(new URL("readme-", import.meta.url)));
  try {
    const file = join(folder, "example.mjs");
    writeFileSync(file, code ?? "");
    assert.equal(execFileSync(process.execPath, [file, join(folder, "socket")], { encoding: "utf8" }), output);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
