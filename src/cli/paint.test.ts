import assert from "node:assert/strict";
import { test } from "node:test";
import { wantsColor } from "./paint.ts";

test("wantsColor: a terminal, no NO_COLOR, no dumb terminal; the flag has the last word", () => {
  const terminal = { isTTY: true };
  assert.equal(wantsColor("auto", {}, terminal), true);
  assert.equal(wantsColor("auto", {}, {}), false);
  assert.equal(wantsColor("auto", { NO_COLOR: "1" }, terminal), false);
  assert.equal(wantsColor("auto", { NO_COLOR: "" }, terminal), true);
  assert.equal(wantsColor("auto", { TERM: "dumb" }, terminal), false);
  assert.equal(wantsColor("always", { NO_COLOR: "1" }, {}), true);
  assert.equal(wantsColor("never", {}, terminal), false);
});
