import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { sha256Hex } from "./sha256.ts";

test("sha256Hex: as OpenSSL has it, for every length up to four blocks and for a long one", () => {
  for (const length of [...Array.from({ length: 257 }, (_, index) => index), 100_000]) {
    const bytes = randomBytes(length);
    assert.equal(sha256Hex(bytes), createHash("sha256").update(bytes).digest("hex"), `${length} bytes`);
  }
});

test("sha256Hex: the example of the standard", () => {
  const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(sha256Hex(new TextEncoder().encode("abc")), digest);
});
