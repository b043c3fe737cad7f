// A crash in words: what was sent has a sender, what was a fault has an address; a line each in the bundle's file.

import assert from "node:assert/strict";
import { test } from "node:test";
import { EROFS } from "../sys/errno.ts";
import type { Crash, Fd, Sys } from "../sys/sys.d.ts";
import { noteCrash, wordsOf } from "./crash-report.ts";

const fault: Crash = { atNs: 1_000_000_000n, signal: 11, code: 1, address: "0x10", instruction: "0x401000", sender: 0 };

test("wordsOf: a fault, a signal that was sent, the end of memory, a signal without a name", () => {
  const at = "1970-01-01T00:00:01.000000000Z";
  const instruction = "0x401000";
  assert.deepEqual(wordsOf(fault), { at, cause: "SIGSEGV", code: 1, address: "0x10", instruction });
  assert.deepEqual(wordsOf({ ...fault, code: 0, sender: 7 }), {
    at,
    cause: "SIGSEGV",
    code: 0,
    instruction,
    sender: 7,
  });
  assert.equal(wordsOf({ ...fault, signal: 0 })["cause"], "out of memory");
  assert.equal(wordsOf({ ...fault, signal: 31 })["cause"], "signal 31");
});

test("noteCrash: appends a line; a bundle that takes none is no reason to fail", () => {
  let text = "";
  let opened: Fd | typeof EROFS = 5 as Fd;
  const sys = {
    open: () => opened,
    write: (_fd: Fd, from: Uint8Array) => {
      text += new TextDecoder().decode(from);
      return from.length;
    },
    close: () => 0,
    getpid: () => 3,
    encodeUtf8: (line: string) => new TextEncoder().encode(line),
  } as unknown as Sys;
  noteCrash(sys, "/b", fault, 2, ["Wait"]);
  opened = EROFS;
  noteCrash(sys, "/b", fault, 3, []);
  assert.match(text, /^\{"at":.*"cause":"SIGSEGV".*"count":2,.*"pid":3,"calls":\["Wait"\]\}\n$/);
});
