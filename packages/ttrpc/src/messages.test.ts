// The envelope against bytes written by hand and against another protobuf library, and whatever else may come.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { headerBytes } from "./frame.ts";
import { decodeRequest, decodeResponse, type Request, requestFrame, responseFrame, statusFrame } from "./messages.ts";
import { StatusError } from "./status.ts";
import { WireError } from "./wire.ts";

const plain: Request = { service: "s", method: "m", payload: undefined, timeoutNs: 0, metadata: undefined };

function encoded(request: Request): Uint8Array {
  return requestFrame(1, 0, request).subarray(headerBytes);
}

function decoded(bytes: Uint8Array): Request {
  return decodeRequest(bytes, 0, bytes.length, false);
}

test("requestFrame: the bytes of a small request", () => {
  const frame = requestFrame(3, 2, { ...plain, payload: Uint8Array.of(7), timeoutNs: 300 });
  assert.deepEqual([...frame], [0, 0, 0, 12, 0, 0, 0, 3, 1, 2, 10, 1, 115, 18, 1, 109, 26, 1, 7, 32, 0xac, 2]);
});

test("responseFrame: an empty message is an empty frame", () => {
  assert.deepEqual([...responseFrame(5, new Uint8Array(0))], [0, 0, 0, 0, 0, 0, 0, 5, 2, 0]);
  assert.deepEqual([...responseFrame(5, Uint8Array.of(1))], [0, 0, 0, 3, 0, 0, 0, 5, 2, 0, 18, 1, 1]);
});

test("decodeRequest: any request comes back", () => {
  const text = fc.string({ unit: "grapheme" });
  const request = fc.record({
    service: text,
    method: text,
    payload: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
    timeoutNs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    metadata: fc.option(
      fc
        .dictionary(
          text.filter((key) => key.toLowerCase() === key),
          fc.array(text, { minLength: 1 }),
          { minKeys: 1, noNullPrototype: true },
        )
        .map((entries) => new Map(Object.entries(entries))),
      { nil: undefined },
    ),
  });
  fc.assert(
    fc.property(request, (value) => {
      const back = decoded(encoded(value));
      assert.deepEqual(
        { ...back, payload: back.payload && [...back.payload] },
        { ...value, payload: value.payload && [...value.payload] },
      );
    }),
  );
});

test("decodeRequest: what another library writes, unknown fields and a negative timeout among it", () => {
  const pair = new BinaryWriter().uint32(10).string("k").uint32(18).string("v").finish();
  const bytes = new BinaryWriter()
    .uint32(8 << 3)
    .int64(-5n)
    .uint32((9 << 3) | 1)
    .fixed64(5n)
    .uint32((9 << 3) | 5)
    .fixed32(5)
    .uint32((900 << 3) | 2)
    .bytes(Uint8Array.of(1, 2))
    .uint32(42)
    .bytes(pair)
    .uint32(42)
    .bytes(pair)
    .uint32(32)
    .int64(-1_500_000n)
    .uint32(10)
    .string("containerd.task.v2.Task")
    .uint32(18)
    .string("State")
    .uint32(26)
    .bytes(Uint8Array.of(5))
    .finish();
  const request = decoded(bytes);
  assert.equal(request.service, "containerd.task.v2.Task");
  assert.equal(request.method, "State");
  assert.equal(request.timeoutNs, -1_500_000);
  assert.deepEqual([...(request.payload ?? [])], [5]);
  assert.deepEqual(request.metadata, new Map([["k", ["v", "v"]]]));
});

test("requestFrame: timeouts up to the longest, read by another library", () => {
  for (const timeoutNs of [1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63 - 1024]) {
    const reader = new BinaryReader(encoded({ ...plain, timeoutNs }));
    // After service and method, at the number itself.
    reader.pos = 7;
    assert.equal(BigInt(reader.int64()), BigInt(timeoutNs));
    assert.equal(decoded(encoded({ ...plain, timeoutNs })).timeoutNs, timeoutNs);
  }
});

test("statusFrame: code, message and details, read back and by another library", () => {
  const status = new StatusError(5, "no such task: ä", [{ typeUrl: "a/b", value: Uint8Array.of(1, 2) }]);
  const bytes = statusFrame(1, status).subarray(headerBytes);
  const back = decodeResponse(bytes, 0, bytes.length, false).status;
  assert.equal(back?.code, 5);
  assert.equal(back?.message, "no such task: ä");
  assert.deepEqual(back?.details, [{ typeUrl: "a/b", value: Uint8Array.of(1, 2) }]);
  const outer = new BinaryReader(bytes);
  assert.deepEqual(outer.tag(), [1, 2]);
  const inner = new BinaryReader(outer.bytes());
  assert.deepEqual(inner.tag(), [1, 0]);
  assert.equal(inner.int32(), 5);
  assert.deepEqual(inner.tag(), [2, 2]);
  assert.equal(inner.string(), "no such task: ä");
});

test("decodeResponse: a status of OK is none", () => {
  const bytes = Uint8Array.of(10, 2, 8, 0, 18, 1, 9);
  const { status, payload } = decodeResponse(bytes, 0, bytes.length, false);
  assert.equal(status, undefined);
  assert.deepEqual([...(payload ?? [])], [9]);
});

test("decodeRequest, decodeResponse: any bytes are read or refused with WireError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const decode of [decodeRequest, decodeResponse]) {
        try {
          decode(bytes, 0, bytes.length, false);
        } catch (thrown) {
          assert.ok(thrown instanceof WireError, String(thrown));
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test("decodeRequest: what is broken is refused", () => {
  const broken: Record<string, number[]> = {
    "cut tag": [0x80],
    "cut length": [10],
    "longer than the message": [10, 200, 1, 65],
    "a string that is not UTF-8": [10, 1, 0xff],
    group: [0x0b],
    "field number 0": [0x02, 0],
    "eleven bytes of varint": [32, ...new Array<number>(10).fill(0x80), 1],
    "a pair that is cut": [42, 2, 10, 5],
  };
  for (const [name, bytes] of Object.entries(broken)) {
    assert.throws(() => decoded(Uint8Array.from(bytes)), WireError, name);
  }
});

test("decodeRequest: metadata of more than 1,024 pairs is refused, as is a status of more details", () => {
  const pair = [42, 2, 10, 0];
  assert.equal(decoded(Uint8Array.from(new Array(1024).fill(pair).flat())).metadata?.get("")?.length, 1024);
  assert.throws(() => decoded(Uint8Array.from(new Array(1025).fill(pair).flat())), /more than 1024 pairs/);
  const details = new Array(1025).fill([26, 0]).flat() as number[];
  const status = Uint8Array.from([10, 0x80 | (details.length & 0x7f), details.length >> 7, ...details]);
  assert.throws(() => decodeResponse(status, 0, status.length, false), /more than 1024 details/);
});

test("statusFrame: a message of any length is cut at 16 Ki characters", () => {
  const frame = statusFrame(1, new StatusError(3, "x".repeat(5_000_000)));
  const { status } = decodeResponse(frame, headerBytes, frame.length, false);
  assert.equal(status?.message, `${"x".repeat(16 * 1024)}… (cut)`);
});
