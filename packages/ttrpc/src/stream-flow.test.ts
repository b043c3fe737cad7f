// Streams whose other side is slow or gone: their neighbours go on, memory is bounded, and nothing waits for ever.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "./client.ts";
import { bidiStream, clientStream, serverStream } from "./client-stream.ts";
import { raw } from "./codec.ts";
import { FakeTimers } from "./fake-timers.fixture.ts";
import type { Limits } from "./limits.ts";
import { memoryPair, type PairOptions } from "./memory-transport.fixture.ts";
import { requestFrame } from "./messages.ts";
import { bytesOf } from "./raw-peer.fixture.ts";
import { Server } from "./server.ts";
import { bidiStreaming, clientStreaming, serverStreaming } from "./server-stream.ts";
import { codes, StatusError } from "./status.ts";
import type { Receiver } from "./stream.ts";
import type { Transport, TransportEvents } from "./transport.ts";
import { unary } from "./unary.ts";

const kibibyte = 1024;
const mebibyte = 1 << 20;

function scene(limits: Partial<Limits> = {}, options: PairOptions = {}) {
  const timers = new FakeTimers();
  const server = new Server({ timers, limits });
  const inputs: Receiver<Uint8Array>[] = [];
  const ends: (() => void)[] = [];
  const sent = { bytes: 0 };
  server.add("test", {
    echo: unary(raw, raw, (message) => message),
    /** Reads nothing until the test ends it. */
    deaf: clientStreaming(raw, raw, (input) => {
      inputs.push(input);
      return new Promise<Uint8Array>((resolve) => ends.push(() => resolve(bytesOf())));
    }),
    talks: serverStreaming(raw, raw, async ([count = 0], output) => {
      const message = new Uint8Array(512 * kibibyte);
      for (let index = 0; index < count; index++) {
        await output.send(message);
        sent.bytes += message.length;
      }
    }),
    twice: bidiStreaming(raw, raw, async (input, output) => {
      for await (const message of input) {
        await output.send(message);
        await output.send(message);
      }
    }),
    careless: serverStreaming(raw, raw, (_message, output) => {
      for (let index = 0; index < 1000; index++) output.send(new Uint8Array(64 * kibibyte)).catch(() => undefined);
    }),
  });
  const [near, far] = memoryPair(options);
  server.accept(far);
  const client = new Client(near, { timers, limits });
  return { timers, server, client, near, far, inputs, ends, sent };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function withCode(code: number) {
  return (error: unknown) => error instanceof StatusError && error.code === code;
}

test("a stream that nobody reads ends when patience does, and its neighbours were never dead", async () => {
  const { timers, client, server, far, ends } = scene({ streamBufferBytes: 100 * kibibyte });
  const call = clientStream(client, "test", "deaf", raw, raw);
  let sends = 0;
  const sending = (async () => {
    for (;;) {
      await call.send(new Uint8Array(10 * kibibyte));
      sends++;
    }
  })();
  const stopped = assert.rejects(sending, withCode(codes.resourceExhausted));
  await settle();
  assert.ok(far.isPaused);
  const neighbour = client.call("test", "echo", raw, raw, bytesOf(1));
  timers.advance(1000);
  assert.deepEqual(await neighbour, bytesOf(1));
  await stopped;
  assert.ok(sends < 20, `${sends}`);
  await assert.rejects(call.finish(), withCode(codes.resourceExhausted));
  assert.equal(server.calls, 1);
  ends[0]?.();
  await settle();
  assert.deepEqual([server.calls, far.isPaused, timers.pending.size], [0, false, 0]);
});

test("a reader that catches up in time loses nothing", async () => {
  const { timers, client, far, inputs, ends } = scene({ streamBufferBytes: 100 * kibibyte });
  const call = clientStream(client, "test", "deaf", raw, raw);
  const count = 200;
  const sending = (async () => {
    for (let index = 0; index < count; index++) await call.send(new Uint8Array(10 * kibibyte).fill(index));
  })();
  for (let index = 0; index < count; index++) {
    if (index % 20 === 0) {
      await settle();
      timers.advance(900);
    }
    assert.equal((await inputs[0]?.receive())?.[0], index);
  }
  await sending;
  ends[0]?.();
  await call.finish();
  assert.ok(!far.isPaused);
});

test("a handler that ends frees the connection that rested for it", async () => {
  const { client, far, ends } = scene({ streamBufferBytes: 10 });
  const call = clientStream(client, "test", "deaf", raw, raw);
  await call.send(bytesOf(1));
  await settle();
  assert.ok(far.isPaused);
  ends[0]?.();
  await settle();
  assert.ok(!far.isPaused);
  await call.finish();
});

test("a cancelled or dropped call frees it too", async () => {
  const { client, far, timers, near } = scene({ streamBufferBytes: 10 });
  const call = clientStream(client, "test", "deaf", raw, raw, { timeoutMs: 10 });
  await call.send(bytesOf(1));
  await settle();
  assert.ok(far.isPaused);
  timers.advance(10);
  await settle();
  assert.ok(!far.isPaused);
  await assert.rejects(call.finish(), withCode(codes.deadlineExceeded));
  const other = clientStream(client, "test", "deaf", raw, raw);
  await other.send(bytesOf(1));
  await settle();
  near.destroy();
  await settle();
  assert.equal(timers.pending.size, 0);
});

test("a client that does not read its stream: the server's handler waits, then the stream ends", async () => {
  const { timers, client, server, sent, near } = scene();
  const call = serverStream(client, "test", "talks", raw, raw, bytesOf(100));
  await settle();
  assert.ok(near.isPaused);
  assert.ok(sent.bytes < 8 * mebibyte, `${sent.bytes}`);
  timers.advance(1000);
  await assert.rejects(call.receive(), withCode(codes.resourceExhausted));
  await settle();
  assert.deepEqual([server.calls, client.calls], [0, 0]);
  assert.deepEqual(await client.call("test", "echo", raw, raw, bytesOf(1)), bytesOf(1));
});

test("a peer that reads nothing at all holds a handler's send, and its end frees it", async () => {
  const { client, server, far, near, sent } = scene();
  near.isPaused = true;
  const calls = Array.from({ length: 10 }, () => serverStream(client, "test", "talks", raw, raw, bytesOf(100)));
  await settle();
  assert.ok(far.queuedBytes <= 2 * mebibyte, `${far.queuedBytes}`);
  assert.equal(server.calls, 10);
  near.destroy();
  await settle();
  assert.equal(server.calls, 0);
  assert.ok(sent.bytes <= 2 * mebibyte);
  for (const call of calls) await assert.rejects(call.receive(), withCode(codes.unavailable));
});

test("both sides of a stream write and neither reads: it ends, and the connection is as good as new", async () => {
  const { timers, client, server } = scene();
  const call = bidiStream(client, "test", "twice", raw, raw);
  const sending = (async () => {
    for (;;) await call.send(new Uint8Array(mebibyte));
  })();
  const stopped = assert.rejects(sending, withCode(codes.resourceExhausted));
  await settle();
  timers.advance(1000);
  await stopped;
  assert.deepEqual(await client.call("test", "echo", raw, raw, bytesOf(1)), bytesOf(1));
  await settle();
  assert.deepEqual([server.calls, client.calls, timers.pending.size], [0, 0, 0]);
});

test("a handler that sends for ever does not keep its connection's end from being seen", async () => {
  const server = new Server({ timers: new FakeTimers() });
  let isStopped = false;
  let writes = 0;
  server.add("test", {
    endless: serverStreaming(raw, raw, async (_message, output) => {
      try {
        for (;;) await output.send(bytesOf());
      } finally {
        isStopped = true;
      }
    }),
  });
  // It takes everything for a while, and tells of its end in a later turn of the loop only, as a socket does.
  let events: TransportEvents | undefined;
  const transport: Transport = {
    start: (given) => {
      events = given;
    },
    write: () => {
      if (++writes === 100) events?.data(new TextEncoder().encode("this is garbage"));
      return true;
    },
    pause: () => undefined,
    resume: () => undefined,
    close: () => undefined,
    destroy: () => setImmediate(() => events?.closed(undefined)),
  };
  const { closed } = server.accept(transport);
  events?.data(
    requestFrame(1, 1, { service: "test", method: "endless", payload: undefined, timeoutNs: 0, metadata: undefined }),
  );
  await closed;
  await settle();
  assert.deepEqual([isStopped, server.calls, writes], [true, 0, 100]);
});

test("many streams share a slow connection, each in its order and none left behind", async () => {
  const { client } = scene({}, { highMarkBytes: 1000, pieceBytes: 4 * kibibyte });
  const counts = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const call = bidiStream(client, "test", "twice", raw, raw);
      const sending = (async () => {
        for (let index = 0; index < 20; index++) await call.send(new Uint8Array(3 * kibibyte).fill(index));
        await call.closeSend();
      })();
      let count = 0;
      for await (const message of call) assert.equal(message[0], count++ >> 1);
      await sending;
      return count;
    }),
  );
  assert.deepEqual(counts, new Array<number>(10).fill(40));
});

test("sends that nobody awaits are refused beyond a bound", async () => {
  const { client, near, far } = scene();
  near.isPaused = true;
  const call = serverStream(client, "test", "careless", raw, raw, bytesOf());
  await settle();
  assert.ok(far.queuedBytes < mebibyte);
  near.resume();
  let count = 0;
  for await (const message of call) count += message.length > 0 ? 1 : 0;
  assert.ok(count > 0 && count < 100, `${count}`);
});
