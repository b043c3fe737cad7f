// The planted faults can still be planted: each names a piece of source that is there once.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { mutants } from "./mutants.ts";

test("mutants: each piece of source that is to be replaced is there, once, and no two have one name", () => {
  const names = new Set<string>();
  for (const { name, file, edits } of mutants) {
    assert.ok(!names.has(name), `${name}: there are two of them`);
    names.add(name);
    let text = readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8");
    for (const [old, fresh] of edits) {
      assert.notEqual(old, fresh, `${name}: nothing is changed`);
      assert.equal(text.split(old).length - 1, 1, `${name}: how often is this in ${file}?\n${old}`);
      text = text.replace(old, () => fresh);
    }
  }
});
