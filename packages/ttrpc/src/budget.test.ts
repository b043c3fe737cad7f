// The memory that connections share: who gets how much of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Budget, freeShareBytes, Share } from "./budget.ts";

const mebibyte = 1 << 20;

function takeAll(share: Share, step: number): number {
  while (share.take(step));
  return share.heldBytes;
}

test("Budget: one that takes all it gets has half of it, and what it gives back is there again", () => {
  const budget = new Budget(16 * mebibyte);
  const share = new Share(budget);
  assert.equal(takeAll(share, mebibyte), 8 * mebibyte);
  share.give(8 * mebibyte);
  assert.deepEqual([share.heldBytes, budget.usedBytes], [0, 0]);
  assert.ok(share.take(8 * mebibyte));
});

test("Budget: greedy ones that grow side by side leave the next as much as each of them has, and everyone a free share", () => {
  const budget = new Budget(16 * mebibyte);
  const shares = Array.from({ length: 99 }, () => new Share(budget));
  for (let grown = true; grown; ) grown = shares.map((share) => share.take(4096)).includes(true);
  const each = shares[0]?.heldBytes ?? 0;
  assert.ok(each > (16 * mebibyte) / 101 && each < (16 * mebibyte) / 99, `${each}`);
  assert.ok(takeAll(new Share(budget), 1024) > each / 3);
  budget.usedBytes = 17 * mebibyte;
  assert.equal(takeAll(new Share(budget), 4096), freeShareBytes);
});
