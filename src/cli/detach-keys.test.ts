import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "./cli-error.ts";
import { DetachRecogniser, defaultDetachKeys, parseDetachKeys } from "./detach-keys.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (array: Uint8Array): string => new TextDecoder().decode(array);

/** Feeds the input byte by byte; what passed, and whether the sequence came. */
function feedSlowly(keys: string, input: string): { pass: string; detached: boolean } {
  const recogniser = new DetachRecogniser(parseDetachKeys(keys));
  let pass = "";
  for (const byte of bytes(input)) {
    const step = recogniser.feed(Uint8Array.of(byte));
    pass += text(step.pass);
    if (step.detached) return { pass, detached: true };
  }
  return { pass, detached: false };
}

function feedAtOnce(keys: string, input: string): { pass: string; detached: boolean } {
  const step = new DetachRecogniser(parseDetachKeys(keys)).feed(bytes(input));
  return { pass: text(step.pass), detached: step.detached };
}

test("parseDetachKeys: control keys, characters, none", () => {
  assert.deepEqual(parseDetachKeys(defaultDetachKeys), Uint8Array.of(16, 17));
  assert.deepEqual(parseDetachKeys("ctrl-A,d"), Uint8Array.of(1, 100));
  assert.deepEqual(parseDetachKeys("ctrl-@,ctrl-_,ctrl-["), Uint8Array.of(0, 31, 27));
  assert.deepEqual(parseDetachKeys(""), new Uint8Array(0));
});

test("parseDetachKeys: what is no key is refused by name", () => {
  for (const bad of ["ctrl", "ctrl-", "ctrl-1", "ab", "a,", " ", "é"]) {
    assert.throws(() => parseDetachKeys(bad), CliError, bad);
  }
});

test("DetachRecogniser: the sequence ends the session, in one chunk or byte by byte", () => {
  for (const feed of [feedSlowly, feedAtOnce]) {
    assert.deepEqual(feed("ctrl-p,ctrl-q", "ls\n\x10\x11more"), { pass: "ls\n", detached: true });
  }
});

test("DetachRecogniser: half a sequence passes on once another key comes", () => {
  for (const feed of [feedSlowly, feedAtOnce]) {
    assert.deepEqual(feed("ctrl-p,ctrl-q", "\x10a\x11"), { pass: "\x10a\x11", detached: false });
    assert.deepEqual(feed("ctrl-p,ctrl-q", "\x10\x10\x11"), { pass: "\x10", detached: true });
  }
});

test("DetachRecogniser: a sequence that overlaps itself is found", () => {
  for (const feed of [feedSlowly, feedAtOnce]) {
    assert.deepEqual(feed("a,a,b", "xaaab"), { pass: "xa", detached: true });
    assert.deepEqual(feed("a,b,a,c", "ababac"), { pass: "ab", detached: true });
  }
});

test("DetachRecogniser: without a sequence every byte passes at once", () => {
  assert.deepEqual(feedAtOnce("", "\x10\x11"), { pass: "\x10\x11", detached: false });
});

test("DetachRecogniser: what passes and what is held is always the input, for every input over a small alphabet", () => {
  const keys = "a,b,a,a";
  for (let n = 0; n < 3 ** 7; n++) {
    const input = n.toString(3).padStart(7, "0").replace(/0/g, "a").replace(/1/g, "b").replace(/2/g, "c");
    const result = feedSlowly(keys, input);
    const at = input.indexOf("abaa");
    assert.equal(result.detached, at >= 0, input);
    if (at >= 0) assert.equal(result.pass, input.slice(0, at));
    else assert.ok(input.startsWith(result.pass) && input.length - result.pass.length < 4, input);
  }
});
