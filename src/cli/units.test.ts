import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, bytesText, percentText } from "./units.ts";

test("figures for people: bytes, ages, shares", () => {
  assert.deepEqual([0, 999, 1000, 1 << 20, 150e6, 3e12].map(bytesText), [
    "0B",
    "999B",
    "0.98KiB",
    "1.00MiB",
    "143MiB",
    "2.73TiB",
  ]);
  const now = Date.parse("2026-01-02T00:00:00Z");
  assert.equal(ago("2026-01-01T23:59:59.5Z", now), "0s");
  assert.equal(ago("2026-01-01T23:57:55Z", now), "2m5s");
  assert.equal(ago("2025-12-29T00:00:00Z", now), "4d");
  assert.equal(ago("2025-12-28T22:59:59Z", now), "4d1h");
  assert.equal(percentText(12.345), "12.3%");
});
