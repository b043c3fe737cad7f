import assert from "node:assert/strict";
import { test } from "node:test";
import { EAGAIN, ECONNREFUSED, ECONNRESET, ENOENT } from "../sys/errno.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import { joinShim } from "./join.ts";

/** What each connection to the socket meets, in turn: an errno of connect, or what is read after that. */
type Meeting = number | (number | Uint8Array)[];

function machine(meetings: Meeting[]) {
  let nowMs = 0;
  let reads: (number | Uint8Array)[] = [];
  const asked: Uint8Array[] = [];
  const open = new Set<Fd>();
  const sys = {
    monotonicMs: () => nowMs,
    sleepMs: (ms: number) => {
      nowMs += ms;
    },
    unixConnect: () => {
      const meeting = meetings.shift() ?? [EAGAIN];
      if (typeof meeting === "number") return meeting;
      reads = meeting;
      open.add(8 as Fd);
      return 8 as Fd;
    },
    close: (fd: Fd) => (open.delete(fd) ? 0 : ENOENT),
    write: (_fd: Fd, from: Uint8Array) => {
      asked.push(from);
      return from.length;
    },
    read: (_fd: Fd, into: Uint8Array, offset: number) => {
      const next = reads.shift() ?? EAGAIN;
      if (typeof next === "number") return next;
      into.set(next, offset);
      return next.length;
    },
  } as unknown as Sys;
  const join = (): number | undefined => {
    const serves = joinShim(sys, "/s/1", "c2");
    assert.equal(open.size, 0, "a connection is left open");
    return serves;
  };
  return { join, asked, left: meetings, now: () => nowMs };
}

/** An answer with this code, as it comes over the wire. */
function answer(code: number): Uint8Array {
  const status = code === 0 ? [] : [10, 2, 8, code];
  return Uint8Array.from([0, 0, 0, status.length, 0, 0, 0, 1, 2, 0, ...status]);
}

test("join: asks by the id, and takes yes, and a shim that does not know the question, for one that serves", () => {
  for (const code of [0, 12]) {
    const { join, asked } = machine([[EAGAIN, answer(code).subarray(0, 3), answer(code).subarray(3)], [answer(0)]]);
    assert.equal(join(), 2);
    const [bytes = new Uint8Array()] = asked;
    assert.equal(new DataView(bytes.buffer).getUint32(0), bytes.length - 10);
    assert.deepEqual([...bytes.subarray(4, 10)], [0, 0, 0, 1, 1, 0]);
    assert.equal(
      new TextDecoder().decode(bytes.subarray(10)),
      "\n\u0011moor.shim.v1.Shim\u0012\u0004Join\u001a\u0004\n\u0002c2",
    );
  }
});

test("join: one that does not know task.v2 either speaks version 3; whatever else it says of that is 2", () => {
  const { join, asked } = machine([[answer(12)], [answer(12)]]);
  assert.equal(join(), 3);
  assert.match(new TextDecoder().decode(asked[1]), /containerd\.task\.v2\.Task.*Connect.*c2/s);
  for (const second of [[answer(5)], [0], [ECONNRESET], ECONNREFUSED]) {
    assert.equal(machine([[answer(12)], second]).join(), 2);
  }
});

test("join: one that refuses, hangs up or is reset leaves: it is asked again until its socket is gone", () => {
  const { join, left } = machine([[answer(14)], [0], [ECONNRESET], EAGAIN, ECONNREFUSED, [answer(0)]]);
  assert.equal(join(), undefined);
  assert.equal(left.length, 1);
  assert.equal(machine([ENOENT]).join(), undefined);
});

test("join: one that says nothing holds its socket: it is taken for one that serves, in bounded time", () => {
  const { join, now } = machine([]);
  assert.equal(join(), 2);
  assert.ok(now() <= 2_100, `${now()} ms`);
});
