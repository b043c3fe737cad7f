// Frames in all sizes of pieces, lengths that cannot be, and a sink that has had enough.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeFrame, FrameDecoder, type FrameSink } from "./frame.ts";

interface Seen {
  readonly id: number;
  readonly type: number;
  readonly flags: number;
  readonly payload: number[];
}

class Sink implements FrameSink {
  held = false;
  /** Holds after each frame. */
  holdsAfterEach = false;
  readonly frames: Seen[] = [];
  readonly refused: [id: number, length: number][] = [];
  /** What may be reserved, and what is. */
  room = Number.POSITIVE_INFINITY;
  reserved = 0;

  frame(id: number, type: number, flags: number, bytes: Uint8Array, start: number, end: number): void {
    this.frames.push({ id, type, flags, payload: [...bytes.subarray(start, end)] });
    this.held = this.holdsAfterEach;
  }

  oversized(id: number, _type: number, length: number): void {
    this.refused.push([id, length]);
  }

  noRoom(id: number, _type: number, length: number): void {
    this.refused.push([id, length]);
  }

  reserve(bytes: number): boolean {
    if (this.reserved + bytes > this.room) return false;
    this.reserved += bytes;
    return true;
  }

  release(bytes: number): void {
    this.reserved -= bytes;
  }
}

function header(length: number, id: number, type: number, flags: number): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length);
  view.setUint32(4, id);
  view.setUint8(8, type);
  view.setUint8(9, flags);
  return bytes;
}

const someFrames: Seen[] = [
  { id: 1, type: 1, flags: 0, payload: [1, 2, 3] },
  { id: 0xfffffffd, type: 3, flags: 5, payload: [] },
  { id: 3, type: 2, flags: 0, payload: new Array<number>(300).fill(7) },
];

function bytesOf(frames: readonly Seen[]): Uint8Array {
  return Uint8Array.from(
    frames.flatMap(({ id, type, flags, payload }) => [...encodeFrame(id, type, flags, Uint8Array.from(payload))]),
  );
}

test("encodeFrame: length, stream id, type and flags, big-endian", () => {
  assert.deepEqual([...encodeFrame(0x01020305, 3, 4, Uint8Array.of(9, 8))], [0, 0, 0, 2, 1, 2, 3, 5, 3, 4, 9, 8]);
});

test("FrameDecoder: the same frames, one byte at a time, all at once, and cut anywhere", () => {
  const bytes = bytesOf(someFrames);
  for (let size = 1; size <= bytes.length; size++) {
    const sink = new Sink();
    const decoder = new FrameDecoder(sink, 1024);
    for (let at = 0; at < bytes.length; at += size) {
      const piece = bytes.slice(at, at + size);
      assert.ok(decoder.feed(piece));
      piece.fill(0xee);
    }
    assert.deepEqual(sink.frames, someFrames);
  }
});

test("FrameDecoder: any frames, cut at random, held at random", () => {
  const frame = fc.record(
    {
      id: fc.nat(0xffffffff),
      type: fc.nat(255),
      flags: fc.nat(255),
      payload: fc.array(fc.nat(255), { maxLength: 40 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(
      fc.array(frame),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      fc.boolean(),
      (all, cuts, holds) => {
        const sink = new Sink();
        sink.holdsAfterEach = holds;
        const decoder = new FrameDecoder(sink, 40);
        const bytes = bytesOf(all);
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = cuts[turn % cuts.length] ?? 1;
          assert.ok(decoder.feed(bytes.slice(at, at + size)));
          at += size;
          if (turn % 3 === 0) {
            sink.held = false;
            assert.ok(decoder.resume());
          }
        }
        while (sink.held) {
          sink.held = false;
          assert.ok(decoder.resume());
        }
        assert.deepEqual(sink.frames, all);
      },
    ),
  );
});

test("FrameDecoder: a frame above the limit is told at its header, skipped as it comes, and not kept", () => {
  const sink = new Sink();
  const decoder = new FrameDecoder(sink, 1024);
  const length = 64 << 20;
  assert.ok(decoder.feed(header(length, 5, 1, 0)));
  assert.deepEqual(sink.refused, [[5, length]]);
  const piece = new Uint8Array(1 << 16);
  const before = process.memoryUsage().arrayBuffers;
  for (let sent = 0; sent < length; sent += piece.length) assert.ok(decoder.feed(piece));
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20);
  assert.ok(decoder.feed(encodeFrame(7, 1, 0, Uint8Array.of(1))));
  assert.deepEqual(sink.frames, [{ id: 7, type: 1, flags: 0, payload: [1] }]);
});

test("FrameDecoder: a claim of 4 GiB costs nothing, nor do 4 MiB that do not come", () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoders = Array.from({ length: 100 }, (_, index) => {
    const decoder = new FrameDecoder(new Sink(), 4 << 20);
    assert.ok(decoder.feed(header(index % 2 === 0 ? 0xffffffff : 4 << 20, 1, 1, 0)));
    assert.ok(decoder.feed(Uint8Array.of(1)));
    return decoder;
  });
  assert.ok(process.memoryUsage().arrayBuffers - before < decoders.length * (128 << 10));
});

test("FrameDecoder: what cannot be a frame ends the stream", () => {
  const texts = ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03"];
  for (const text of texts) {
    assert.equal(new FrameDecoder(new Sink(), 4 << 20).feed(new TextEncoder().encode(text)), false, text);
  }
  for (const bad of [header(1 << 24, 2, 1, 0), header(1 << 24, 1, 9, 0), header(1 << 24, 1, 1, 8)]) {
    assert.equal(new FrameDecoder(new Sink(), 4 << 20).feed(bad), false);
  }
});

test("FrameDecoder: while the sink holds, nothing is delivered", () => {
  const sink = new Sink();
  sink.holdsAfterEach = true;
  const decoder = new FrameDecoder(sink, 1024);
  decoder.feed(bytesOf(someFrames));
  assert.equal(sink.frames.length, 1);
  decoder.feed(bytesOf(someFrames));
  assert.equal(sink.frames.length, 1);
  sink.holdsAfterEach = false;
  sink.held = false;
  assert.ok(decoder.resume());
  assert.deepEqual(sink.frames, [...someFrames, ...someFrames]);
});

test("FrameDecoder: a frame for which there is no room is passed over from there on, and the next one comes", () => {
  const payload = new Uint8Array(40_000).fill(5);
  const stream = join(
    header(payload.length, 1, 1, 0),
    payload,
    header(3, 3, 1, 0),
    new Uint8Array([1, 2, 3]),
    header(9_000, 5, 1, 0),
    payload.subarray(0, 9_000),
  );
  for (const room of [0, 4_096, 12_000, 30_000]) {
    const sink = new Sink();
    sink.room = room;
    const decoder = new FrameDecoder(sink, 1 << 22);
    for (let at = 0; at < stream.length; at += 1_000) assert.ok(decoder.feed(stream.subarray(at, at + 1_000)));
    assert.deepEqual(sink.refused[0], [1, payload.length], `room for ${room}`);
    assert.deepEqual(sink.frames[0]?.payload, [1, 2, 3]);
    assert.equal(sink.frames.length, room >= 9_000 ? 2 : 1);
    assert.equal(sink.reserved, 0);
  }
});

test("FrameDecoder: what is kept of half a frame is given back", () => {
  const sink = new Sink();
  const decoder = new FrameDecoder(sink, 1 << 22);
  decoder.feed(join(header(40_000, 1, 1, 0), new Uint8Array(10_000)));
  assert.ok(sink.reserved >= 10_000);
  decoder.giveUp();
  assert.equal(sink.reserved, 0);
});

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
