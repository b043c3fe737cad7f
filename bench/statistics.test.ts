// The arithmetic behind the bench's table, on samples small enough to be reckoned by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { median, quantile, ratioOf, summarise } from "./statistics.ts";

test("quantile: in any order, between samples by straight line", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(quantile([0, 10], 0.25), 2.5);
  assert.equal(quantile([7], 0.75), 7);
  assert.throws(() => median([]));
});

test("summarise: numbers are ordered as numbers", () => {
  assert.deepEqual(summarise([100, 9, 20, 1, 50]), { count: 5, median: 20, lowerQuartile: 9, upperQuartile: 50 });
});

test("ratioOf: the interval holds the ratio, is the same each time, and needs five samples", () => {
  const ours = [10, 11, 12, 13, 14, 15];
  const theirs = [20, 22, 24, 26, 28, 30];
  const { value, interval } = ratioOf(ours, theirs);
  assert.equal(value, 0.5);
  assert.ok(interval !== undefined && interval[0] < 0.5 && interval[1] > 0.5, String(interval));
  assert.deepEqual(ratioOf(ours, theirs), { value, interval });
  assert.deepEqual(ratioOf([5, 5, 5, 5, 5], [10, 10, 10, 10, 10]).interval, [0.5, 0.5]);
  assert.equal(ratioOf([1, 2, 3, 4], theirs).interval, undefined);
});
