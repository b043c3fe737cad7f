import assert from "node:assert/strict";
import { test } from "node:test";
import { isCostlyJson } from "./json-cost.ts";

test("isCostlyJson: long texts of many values are, long texts of few are not", () => {
  const list = (element: string, count: number): string => `[${new Array(count).fill(element).join()}]`;
  assert.equal(isCostlyJson(list("{}", 200_000)), true);
  assert.equal(isCostlyJson(list("1", 200_000)), true);
  assert.equal(isCostlyJson("[".repeat(300_000)), true);
  assert.equal(isCostlyJson(list('{"a":"0123456789"}', 40_000)), false);
  assert.equal(isCostlyJson(JSON.stringify({ text: "x".repeat(4_000_000) })), false);
  assert.equal(isCostlyJson("{}"), false);
});
