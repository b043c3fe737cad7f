import assert from "node:assert/strict";
import { test } from "node:test";
import { checkIdentifier, shown } from "./identifier.ts";

const bad = ["a/b", "..", ".a", "a.", "a..b", "a b", "a\nb", "\u0000", "\u00e4", "__proto__"];

test("checkIdentifier: plain names up to 76 characters", () => {
  for (const id of ["a", "A-1_b.c", "x".repeat(76)]) checkIdentifier("container id", id);
  for (const id of ["", "x".repeat(77), ...bad]) {
    assert.throws(() => checkIdentifier("container id", id), { code: "invalid_argument", message: /container id/ });
  }
});

test("shown: a name as it is, all else quoted, on one line and not long", () => {
  assert.equal(shown("a-1"), "a-1");
  assert.equal(shown("x".repeat(300)), `"${"x".repeat(16)}..."`);
  for (const id of [...bad, "\n".repeat(1000), "\u0007\u001b[2J"]) {
    const text = shown(id);
    assert.ok(text.length < 500, `${text.length} characters`);
    // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
    assert.doesNotMatch(text, /[\u0000-\u001f]/);
  }
});
