// docs/errors.md names a test for each case: those tests are there.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { repositoryDir } from "./harness/repository.ts";

test("errors page: each test that it names exists", () => {
  const dir = repositoryDir();
  const rows = readFileSync(join(dir, "docs", "errors.md"), "utf8").matchAll(/\| `([a-z-]+)`: (.+) \|$/gm);
  let count = 0;
  for (const [, file = "", words = ""] of rows) {
    count++;
    const source = readFileSync(join(dir, "test", `${file}.test.ts`), "utf8");
    assert.ok(source.includes(words), `${file}.test.ts has no test "... ${words} ..."`);
  }
  assert.ok(count > 40, `${count} rows`);
});
