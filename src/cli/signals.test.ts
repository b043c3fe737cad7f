import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "./cli-error.ts";
import { parseSignal } from "./signals.ts";

test("parseSignal: names in every form, numbers, real-time ones", () => {
  for (const word of ["TERM", "SIGTERM", "sigterm", "term", "15"]) assert.equal(parseSignal(word), 15, word);
  assert.equal(parseSignal("0"), 0);
  assert.equal(parseSignal("64"), 64);
  assert.equal(parseSignal("RTMIN"), 34);
  assert.equal(parseSignal("SIGRTMIN+3"), 37);
  assert.equal(parseSignal("rtmax-1"), 63);
});

test("parseSignal: what is no signal is refused", () => {
  for (const word of ["", "65", "-1", "1.5", "TERMINATE", "RTMIN+31", "RTMAX+1", "KILL "]) {
    assert.throws(() => parseSignal(word), CliError, word);
  }
});
