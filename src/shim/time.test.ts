import assert from "node:assert/strict";
import { test } from "node:test";
import { noTime, parseRfc3339, rfc3339, wireTime } from "./time.ts";

const instant = 1_767_323_045_000_000_006n;

test("wireTime: seconds and the rest", () => {
  assert.deepEqual(wireTime(instant), { seconds: 1_767_323_045n, nanos: 6 });
  assert.deepEqual(wireTime(999_999_999n), { seconds: 0n, nanos: 999_999_999 });
});

test("noTime: Go's zero time", () => {
  assert.equal(noTime.seconds * 1000n, BigInt(Date.parse("0001-01-01T00:00:00Z")));
});

test("rfc3339: nine digits, UTC", () => {
  assert.equal(rfc3339(instant), "2026-01-02T03:04:05.000000006Z");
  assert.equal(rfc3339(0n), "1970-01-01T00:00:00.000000000Z");
});

test("parseRfc3339: what rfc3339 writes, also with fewer digits; undefined for anything else", () => {
  for (const ns of [0n, 1n, instant, 4_102_444_799_999_999_999n]) assert.equal(parseRfc3339(rfc3339(ns)), ns);
  assert.equal(parseRfc3339("1970-01-01T00:00:01Z"), 1_000_000_000n);
  assert.equal(parseRfc3339("1970-01-01T00:00:00.5Z"), 500_000_000n);
  for (const text of [
    "",
    "yesterday",
    "2026-01-02",
    "2026-01-02T03:04:05",
    "2026-01-02T03:04:05+01:00",
    "2026-01-02T03:04:05.Z",
    "2026-01-02T03:04:05.0000000001Z",
    "2026-13-02T03:04:05Z",
    " 2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05Z\n",
  ]) {
    assert.equal(parseRfc3339(text), undefined, JSON.stringify(text));
  }
});
