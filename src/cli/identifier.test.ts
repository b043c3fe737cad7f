import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "./cli-error.ts";
import { checkIdentifier, newIdentifier, resolveIdentifier, shortIdentifier } from "./identifier.ts";

const containers = [
  { id: "abc123", namespace: "moor" },
  { id: "abd", namespace: "moor" },
  { id: "ab", namespace: "default" },
  { id: "twin", namespace: "moor" },
  { id: "twin", namespace: "default" },
];

test("resolveIdentifier: a whole id wins over the longer ones it begins", () => {
  assert.equal(resolveIdentifier("ab", containers).namespace, "default");
});

test("resolveIdentifier: a unique beginning is enough", () => {
  assert.equal(resolveIdentifier("abc", containers).id, "abc123");
});

test("resolveIdentifier: none and several are errors that say so", () => {
  assert.throws(() => resolveIdentifier("x", containers), { message: "no container is called x" });
  assert.throws(
    () => resolveIdentifier("a", containers),
    /a can mean default\/ab, moor\/abc123, moor\/abd: say more of it/,
  );
  assert.throws(() => resolveIdentifier("twin", containers), /default\/twin, moor\/twin: say which with -n/);
  assert.throws(() => resolveIdentifier("", containers), CliError);
});

test("checkIdentifier: what containerd refuses is refused", () => {
  for (const good of ["a", "A-b_c.9", "x".repeat(76), newIdentifier()]) checkIdentifier("id", good);
  for (const bad of ["", "-a", "a-", "a--b", "a/b", "..", "a b", "é", "x".repeat(77)]) {
    assert.throws(() => checkIdentifier("id", bad), CliError, bad);
  }
});

test("shortIdentifier: only long hexadecimal ids are cut", () => {
  assert.equal(shortIdentifier("0123456789abcdef".repeat(4)), "0123456789ab");
  assert.equal(shortIdentifier("a-name-that-a-person-gave-it"), "a-name-that-a-person-gave-it");
});
