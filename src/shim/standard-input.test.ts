import assert from "node:assert/strict";
import { test } from "node:test";
import { EAGAIN, EBADF, EINTR } from "../sys/errno.ts";
import type { MoorError } from "../sys/error.ts";
import type { Errno, Fd, Sys } from "../sys/sys.d.ts";
import { readStandardInput } from "./standard-input.ts";

/** Standard input that gives these, one after the other, and then its end; time passes by sleeping alone. */
function input(pieces: (number[] | Errno)[], { tty = false, endless = false } = {}) {
  let nowMs = 0;
  const nonblock: boolean[] = [];
  const sys = {
    isTty: () => tty,
    setNonblock: (_fd: Fd, on: boolean) => {
      nonblock.push(on);
      return 0;
    },
    monotonicMs: () => nowMs,
    sleepMs: (ms: number) => {
      assert.ok(ms > 0);
      nowMs += ms;
    },
    read: (fd: Fd, into: Uint8Array, offset: number, length: number) => {
      assert.equal(fd, 0);
      assert.equal(nonblock.at(-1), true);
      const piece = pieces.shift();
      if (piece === undefined) return endless ? EAGAIN : 0;
      if (typeof piece === "number") return piece;
      assert.ok(piece.length <= length);
      into.set(piece, offset);
      return piece.length;
    },
  } as unknown as Sys;
  return { sys, nonblock };
}

test("readStandardInput: all pieces to the end, however long it takes between them; the fd as it was", () => {
  const { sys, nonblock } = input([EAGAIN, [1, 2], EINTR, EAGAIN, EAGAIN, [3]]);
  assert.deepEqual([...readStandardInput(sys)], [1, 2, 3]);
  assert.deepEqual(nonblock, [true, false]);
});

test("readStandardInput: nothing from /dev/null, and nothing is read from a terminal", () => {
  assert.equal(readStandardInput(input([]).sys).length, 0);
  const terminal = input([[1]], { tty: true });
  assert.equal(readStandardInput(terminal.sys).length, 0);
  assert.deepEqual(terminal.nonblock, []);
});

test("readStandardInput: one that never ends, is too long or fails is an error", () => {
  const code = (expected: string) => (thrown: unknown) => (thrown as MoorError).code === expected;
  assert.throws(() => readStandardInput(input([[1]], { endless: true }).sys), code("deadline_exceeded"));
  const long = Array.from({ length: 300 }, () => new Array<number>(16 << 10).fill(0));
  assert.throws(() => readStandardInput(input(long).sys), code("invalid_argument"));
  assert.throws(() => readStandardInput(input([EBADF]).sys), code("unknown"));
});
