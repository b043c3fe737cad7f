import assert from "node:assert/strict";
import { test } from "node:test";
import { quoted } from "./quoted.ts";

test("quoted: one line, and of a long text the beginning and its length", () => {
  assert.equal(quoted("a\n"), '"a\\n"');
  assert.equal(quoted("x".repeat(256)).length, 258);
  assert.equal(quoted("x".repeat(5000)), `"${"x".repeat(128)}"... (5000 characters)`);
});
