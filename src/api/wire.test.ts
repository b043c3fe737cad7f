// The shim's own reader and writer of protobuf against the library whose place they take: the same bytes, the same values.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as library from "@bufbuild/protobuf/wire";
import { StateResponse } from "./task.ts";
import { BinaryReader, BinaryWriter } from "./wire.ts";

const texts = [
  "",
  "a",
  "x".repeat(127),
  "x".repeat(128),
  "y".repeat(20_000),
  "größer als 🙂",
  "\uFEFFmark",
  "\ud800 alone",
];
const numbers = [0, 1, 127, 128, 300, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const bigs = [0n, 1n, 127n, 128n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n];

type AnyWriter = library.BinaryWriter;
type AnyReader = library.BinaryReader;

// The types of the generated code name the library's classes, of which only what it uses is there.
const ownWriter = (): AnyWriter => new BinaryWriter() as unknown as AnyWriter;
const ownReader = (bytes: Uint8Array): AnyReader => new BinaryReader(bytes) as unknown as AnyReader;

function writeAll(writer: AnyWriter): Uint8Array {
  for (const text of texts) writer.uint32(10).string(text);
  for (const number of numbers) writer.uint32(16).uint32(number);
  for (const number of [-1, -(2 ** 31), 0, 5]) writer.uint32(24).int32(number);
  for (const big of [...bigs, 2n ** 64n - 1n]) writer.uint32(32).uint64(big);
  for (const big of [...bigs, -1n, -(2n ** 63n)]) writer.uint32(40).int64(big);
  writer.uint32(48).bool(true).uint32(48).bool(false).uint32(57).double(-1234.5625);
  for (const size of [0, 1, 127, 128, 20_000]) {
    writer.uint32(66).fork().uint32(10).fork().uint32(10).bytes(new Uint8Array(size)).join().join();
  }
  return writer.finish();
}

function readAll(reader: AnyReader): unknown[] {
  const values: unknown[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const field = tag >>> 3;
    if (field === 1) values.push(reader.string());
    else if (field === 2) values.push(reader.uint32());
    else if (field === 3) values.push(reader.int32());
    else if (field === 4) values.push(reader.uint64());
    else if (field === 5) values.push(reader.int64());
    else if (field === 6) values.push(reader.bool());
    else if (field === 7) values.push(reader.double());
    else values.push(reader.skip(tag & 7).length);
  }
  return values;
}

test("the same bytes are written, message after message", () => {
  const expected = Buffer.from(writeAll(new library.BinaryWriter())).toString("hex");
  for (let round = 0; round < 3; round++) assert.equal(Buffer.from(writeAll(ownWriter())).toString("hex"), expected);
});

test("the same values are read", () => {
  const bytes = writeAll(new library.BinaryWriter());
  assert.deepEqual(readAll(ownReader(bytes)), readAll(new library.BinaryReader(bytes)));
});

test("a whole message", () => {
  const state: StateResponse = {
    id: "c",
    bundle: "/run/b".repeat(40),
    pid: 4_000_000,
    status: 2,
    stdin: "",
    stdout: "/o",
    stderr: "/e",
    terminal: true,
    exitStatus: 137,
    exitedAt: { seconds: 1_700_000_000n, nanos: 999_999_999 },
    execId: "é",
  };
  const bytes = StateResponse.encode(state, ownWriter()).finish();
  assert.deepEqual(Buffer.from(bytes), Buffer.from(StateResponse.encode(state).finish()));
  assert.deepEqual(StateResponse.decode(bytes), state);
});

test("two messages may be written at the same time", () => {
  const [first, second] = [ownWriter(), ownWriter()];
  first.uint32(1).string("one");
  second.uint32(2).string("two");
  assert.deepEqual([...first.finish()], [1, 3, 111, 110, 101]);
  assert.deepEqual([...second.finish()], [2, 3, 116, 119, 111]);
});

test("fields that are not known are passed over, groups too", () => {
  const group = new Uint8Array([0x0b, 0x08, 0x01, 0x13, 0x14, 0x0c, 0x10, 0x07]);
  const reader = ownReader(group);
  const tag = reader.uint32();
  assert.equal(reader.skip(tag & 7, tag >>> 3).length, 5);
  assert.equal(reader.uint32(), 0x10);
});

test("bytes that are no message end in an error, never beyond their end", () => {
  const whole = writeAll(new library.BinaryWriter()).subarray(0, 400);
  for (let length = 0; length < whole.length; length++) {
    try {
      readAll(ownReader(whole.subarray(0, length)));
    } catch (thrown) {
      assert.ok(thrown instanceof RangeError, String(thrown));
    }
  }
  assert.throws(() => readAll(ownReader(new Uint8Array(16).fill(0xff))), RangeError);
  assert.throws(() => readAll(ownReader(new Uint8Array([0x0a, 0x7f]))), RangeError);
  assert.throws(() => ownReader(new Uint8Array([0x0b, 0x14])).skip(3, 1), RangeError);
  assert.throws(() => ownReader(new Uint8Array(300).fill(0x0b)).skip(3, 1), RangeError);
});

test("numbers that do not fit are refused", () => {
  for (const number of [-1, 1.5, 2 ** 32, Number.NaN]) assert.throws(() => ownWriter().uint32(number), RangeError);
  for (const number of [1.5, 2 ** 31, -(2 ** 31) - 1]) assert.throws(() => ownWriter().int32(number), RangeError);
  for (const number of [-1n, 2n ** 64n]) assert.throws(() => ownWriter().uint64(number), RangeError);
  assert.throws(() => ownWriter().int64(2n ** 63n), RangeError);
});

test("a length or group tag beyond 32 bits is refused, not taken for its low bits", () => {
  // 2^32 + 1, then one byte.
  const beyond = [0x81, 0x80, 0x80, 0x80, 0x10, 65];
  assert.throws(() => ownReader(new Uint8Array(beyond)).string(), RangeError);
  assert.throws(() => ownReader(new Uint8Array(beyond)).bytes(), RangeError);
  assert.throws(() => ownReader(new Uint8Array(beyond)).skip(2), RangeError);
  // The same length in more bytes than it takes is as good as any.
  assert.equal(ownReader(new Uint8Array([0x81, 0x80, 0x80, 0x80, 0x00, 65])).string(), "A");
  assert.throws(() => ownReader(new Uint8Array([0x00, 0x0c])).skip(3, 1), RangeError, "field 0 in a group");
});

test("a message of more fields than any real one has is refused", () => {
  const reader = ownReader(new Uint8Array(1_000_000).fill(0x08));
  assert.throws(() => {
    while (reader.pos < reader.len) reader.uint32();
  }, /more than 100000 fields/);
});
