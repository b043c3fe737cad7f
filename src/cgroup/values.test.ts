import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCount, unlimited } from "./values.ts";

test("parseCount: whatever is there, a number of 64 bits", () => {
  assert.equal(parseCount("18446744073709551615\n"), unlimited);
  assert.equal(parseCount("18446744073709551616"), unlimited);
  assert.equal(parseCount("9".repeat(100_000)), unlimited);
  assert.equal(parseCount("max", 0n), 0n);
  for (const text of ["", "-1", "1.5", "0x10", "1 2"]) assert.equal(parseCount(text), 0n, text);
});
