// Random bytes and random frames against both ends: nothing throws, nothing hangs, every fault stays on its connection.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Client } from "./client.ts";
import { bidiStream } from "./client-stream.ts";
import { raw } from "./codec.ts";
import { FakeTimers } from "./fake-timers.fixture.ts";
import { encodeFrame } from "./frame.ts";
import { memoryPair } from "./memory-transport.fixture.ts";
import { requestFrame } from "./messages.ts";
import { bytesOf, RawPeer } from "./raw-peer.fixture.ts";
import { Server } from "./server.ts";
import { bidiStreaming, clientStreaming, serverStreaming } from "./server-stream.ts";
import { unary } from "./unary.ts";

const limits = { maxMessageBytes: 64, maxCalls: 4, maxRequestBytes: 200, streamBufferBytes: 500, pauseBytes: 2000 };

function server(timers: FakeTimers): Server {
  const made = new Server({ timers, limits });
  made.add("s", {
    u: unary(raw, raw, (message) => message),
    p: unary(raw, raw, async (message) => message),
    w: unary(raw, raw, (_message, { cancellation }) => {
      return new Promise<Uint8Array>((resolve) => cancellation.onCancel(() => resolve(bytesOf())));
    }),
    c: clientStreaming(raw, raw, async (input) => (await input.receive()) ?? bytesOf()),
    r: serverStreaming(raw, raw, async (message, output) => {
      for (let index = 0; index < 3; index++) await output.send(message);
    }),
    b: bidiStreaming(raw, raw, async (input, output) => {
      for await (const message of input) await output.send(message);
    }),
  });
  return made;
}

const payload = fc.uint8Array({ maxLength: 50 });
const id = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.nat(0xffffffff));

/** Pieces of what a client may send: requests as they should be, frames of any kind, and plain noise. */
const input = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .tuple(
          fc.integer({ min: 0, max: 20 }),
          fc.constantFrom("u", "p", "w", "c", "r", "b", "x"),
          fc.constantFrom(0, 1, 2, 3),
          fc.option(payload, { nil: undefined }),
          fc.integer({ min: -5, max: 5 }),
        )
        .map(([half, method, flags, bytes, timeoutNs]) =>
          requestFrame(half * 2 + 1, flags, { service: "s", method, payload: bytes, timeoutNs, metadata: undefined }),
        ),
    },
    {
      weight: 5,
      arbitrary: fc
        .tuple(id, fc.constantFrom(1, 2, 3, 3, 3, 0x43, 200), fc.nat(7), payload)
        .map(([stream, type, flags, bytes]) => encodeFrame(stream, type, flags, bytes)),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(id, fc.constantFrom(1, 3))
        .map(([stream, type]) => encodeFrame(stream, type, 0, new Uint8Array(200))),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }) },
  ),
  { maxLength: 30 },
);

async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("Server: whatever a client sends, other connections are served, and its end leaves nothing", async () => {
  const timers = new FakeTimers();
  const tested = server(timers);
  const [goodNear, goodFar] = memoryPair();
  tested.accept(goodFar);
  const good = new Client(goodNear, { timers });
  await fc.assert(
    fc.asyncProperty(input, fc.integer({ min: 1, max: 40 }), async (pieces, pieceBytes) => {
      const [near, far] = memoryPair({ pieceBytes, highMarkBytes: 100 });
      tested.accept(far);
      const peer = new RawPeer(near);
      for (const piece of pieces) peer.send(piece);
      await settle();
      assert.deepEqual(await good.call("s", "u", raw, raw, bytesOf(7)), bytesOf(7));
      timers.advance(5000);
      await settle();
      near.destroy();
      await settle();
      assert.deepEqual([tested.connections, tested.calls, timers.pending.size], [1, 0, 0]);
    }),
    { numRuns: 300 },
  );
});

test("Client: whatever a server sends, every call ends, at the latest with the connection", async () => {
  const bytes = fc.array(
    fc.oneof(
      fc
        .tuple(fc.constantFrom(1, 3, 5, 7), fc.constantFrom(2, 2, 3, 3, 1, 200), fc.nat(7), payload)
        .map(([stream, type, flags, body]) => encodeFrame(stream, type, flags, body)),
      fc.uint8Array({ maxLength: 30 }),
      fc.constant(encodeFrame(3, 2, 0, new Uint8Array(300))),
    ),
    { maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(bytes, fc.integer({ min: 1, max: 40 }), async (pieces, pieceBytes) => {
      const timers = new FakeTimers();
      const [near, far] = memoryPair({ pieceBytes });
      const client = new Client(near, { timers, limits });
      const peer = new RawPeer(far);
      const calls = Promise.allSettled(
        [1, 2].map(() => client.call("s", "u", raw, raw, bytesOf(), { timeoutMs: 10_000 })),
      );
      const streams = [1, 2].map(() => bidiStream(client, "s", "b", raw, raw));
      for (const piece of pieces) peer.send(piece);
      await settle();
      far.destroy();
      await client.closed;
      await calls;
      for (const stream of streams) {
        await stream.send(bytesOf()).catch(() => undefined);
        for (let isOver = false; !isOver; ) isOver = (await stream.receive().catch(() => undefined)) === undefined;
      }
      assert.deepEqual([client.calls, timers.pending.size], [0, 0]);
    }),
    { numRuns: 300 },
  );
});
