// Streams from end to end: all three kinds, half-close, errors on either side, deadlines, and a loop that is left.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallContext } from "./call.ts";
import { Client } from "./client.ts";
import { bidiStream, clientStream, serverStream } from "./client-stream.ts";
import { raw } from "./codec.ts";
import { FakeTimers } from "./fake-timers.fixture.ts";
import { frameFlags, frameTypes } from "./frame.ts";
import { memoryPair, type PairOptions } from "./memory-transport.fixture.ts";
import { bytesOf, RawPeer } from "./raw-peer.fixture.ts";
import { Server } from "./server.ts";
import { bidiStreaming, clientStreaming, serverStreaming } from "./server-stream.ts";
import { codes, StatusError } from "./status.ts";
import { unary } from "./unary.ts";

const { remoteClosed, remoteOpen, noData } = frameFlags;

function scene(options: PairOptions = {}) {
  const timers = new FakeTimers();
  const server = new Server({ timers });
  const contexts: CallContext[] = [];
  const thrown: unknown[] = [];
  server.add("test", {
    echo: unary(raw, raw, (message) => message),
    sum: clientStreaming(raw, raw, async (input) => {
      let sum = 0;
      for await (const message of input) for (const value of message) sum += value;
      return bytesOf(sum);
    }),
    first: clientStreaming(raw, raw, async (input) => (await input.receive()) ?? bytesOf(0)),
    count: serverStreaming(raw, raw, async ([to = 0], output) => {
      for (let value = 1; value <= to; value++) await output.send(bytesOf(value));
    }),
    twice: bidiStreaming(raw, raw, async (input, output) => {
      for await (const message of input) await output.send(message.map((value) => value * 2));
      await output.send(bytesOf());
    }),
    fails: bidiStreaming(raw, raw, async (input, output) => {
      await input.receive();
      await output.send(bytesOf(1));
      throw new StatusError(codes.aborted, "enough");
    }),
    endless: serverStreaming(raw, raw, async (_message, output, context) => {
      contexts.push(context);
      try {
        for (;;) await output.send(bytesOf(1));
      } catch (error) {
        thrown.push(error);
        throw error;
      }
    }),
    listens: bidiStreaming(raw, raw, async (input, _output, context) => {
      contexts.push(context);
      try {
        await input.receive();
      } catch (error) {
        thrown.push(error);
        throw error;
      }
    }),
  });
  const [near, far] = memoryPair(options);
  server.accept(far);
  return { timers, server, near, far, contexts, thrown };
}

function clientScene(options: PairOptions = {}) {
  const { near, ...rest } = scene(options);
  return { ...rest, near, client: new Client(near, { timers: rest.timers }) };
}

async function collect(messages: AsyncIterable<Uint8Array>): Promise<number[][]> {
  const all: number[][] = [];
  for await (const message of messages) all.push([...message]);
  return all;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Promise.resolve();
}

function withCode(code: number) {
  return (error: unknown) => error instanceof StatusError && error.code === code;
}

test("clientStream: many messages, one answer", async () => {
  const { client, server } = clientScene({ pieceBytes: 3 });
  const call = clientStream(client, "test", "sum", raw, raw);
  for (const value of [1, 2, 3]) await call.send(bytesOf(value, 10));
  assert.deepEqual(await call.finish(), bytesOf(36));
  await assert.rejects(call.send(bytesOf(1)), withCode(codes.failedPrecondition));
  const none = clientStream(client, "test", "sum", raw, raw);
  assert.deepEqual(await none.finish(), bytesOf(0));
  assert.deepEqual([client.calls, server.calls], [0, 0]);
});

test("clientStream: a server may answer before it has heard all", async () => {
  const { client } = clientScene();
  const call = clientStream(client, "test", "first", raw, raw);
  await call.send(bytesOf(5));
  await until(() => client.calls === 0);
  await assert.rejects(call.send(bytesOf(6)), withCode(codes.failedPrecondition));
  assert.deepEqual(await call.finish(), bytesOf(5));
  assert.deepEqual(await client.call("test", "echo", raw, raw, bytesOf(1)), bytesOf(1));
});

test("serverStream: one message, many answers, and their end", async () => {
  const { client, server } = clientScene({ pieceBytes: 3 });
  assert.deepEqual(await collect(serverStream(client, "test", "count", raw, raw, bytesOf(4))), [[1], [2], [3], [4]]);
  const none = serverStream(client, "test", "count", raw, raw, bytesOf());
  assert.equal(await none.receive(), undefined);
  assert.equal(await none.receive(), undefined);
  assert.deepEqual([client.calls, server.calls], [0, 0]);
});

test("bidiStream: both sides send, then each says that it is done", async () => {
  const { client, server } = clientScene();
  const call = bidiStream(client, "test", "twice", raw, raw);
  for (const value of [1, 2, 3]) {
    await call.send(bytesOf(value));
    assert.deepEqual(await call.receive(), bytesOf(value * 2));
  }
  await call.closeSend();
  await call.closeSend();
  // An empty message is a message.
  assert.deepEqual(await call.receive(), bytesOf());
  assert.equal(await call.receive(), undefined);
  assert.deepEqual([client.calls, server.calls], [0, 0]);
});

test("bidiStream: an error comes after what was sent before it, and stops the sender", async () => {
  const { client } = clientScene();
  const call = bidiStream(client, "test", "fails", raw, raw);
  await call.send(bytesOf(1));
  assert.deepEqual(await call.receive(), bytesOf(1));
  await assert.rejects(call.receive(), withCode(codes.aborted));
  await assert.rejects(call.send(bytesOf(1)), withCode(codes.aborted));
});

test("streams: unknown methods, and a client that is closed", async () => {
  const { client } = clientScene();
  await assert.rejects(
    serverStream(client, "test", "nope", raw, raw, bytesOf()).receive(),
    withCode(codes.unimplemented),
  );
  await assert.rejects(clientStream(client, "test", "nope", raw, raw).finish(), withCode(codes.unimplemented));
  client.close();
  const call = bidiStream(client, "test", "twice", raw, raw);
  await assert.rejects(call.send(bytesOf()), withCode(codes.unavailable));
  await assert.rejects(call.receive(), withCode(codes.unavailable));
});

test("serverStream: a loop that is left early cancels the call on both sides", async () => {
  const { client, contexts, thrown, server } = clientScene();
  for await (const message of serverStream(client, "test", "endless", raw, raw, bytesOf())) {
    assert.deepEqual(message, bytesOf(1));
    break;
  }
  assert.equal(client.calls, 0);
  await until(() => server.calls === 0);
  assert.equal(contexts[0]?.cancellation.cancelled, true);
  assert.ok(withCode(codes.canceled)(thrown[0]));
});

test("streams: cancel() and the connection's end reach a handler that waits for a message", async () => {
  const { client, contexts, thrown, server, near } = clientScene();
  const [first, second] = [1, 2].map(() => bidiStream(client, "test", "listens", raw, raw));
  await until(() => contexts.length === 2);
  first?.cancel();
  first?.cancel();
  await assert.rejects(first?.receive() ?? assert.fail(), withCode(codes.canceled));
  await until(() => server.calls === 1);
  near.destroy();
  await assert.rejects(second?.receive() ?? assert.fail(), withCode(codes.unavailable));
  await until(() => server.calls === 0);
  assert.ok(thrown.every(withCode(codes.canceled)));
});

test("streams: a deadline ends both sides", async () => {
  const { client, contexts, server, timers } = clientScene();
  const call = bidiStream(client, "test", "listens", raw, raw, { timeoutMs: 100 });
  await until(() => contexts.length === 1);
  assert.equal(contexts[0]?.timeoutMs, 100);
  timers.advance(100);
  await assert.rejects(call.receive(), withCode(codes.deadlineExceeded));
  await assert.rejects(call.send(bytesOf()), withCode(codes.deadlineExceeded));
  await until(() => server.calls === 0);
  assert.equal(timers.pending.size, 0);
});

test("streams: a message above the limit is refused where it is sent, and the stream goes on", async () => {
  const { client } = clientScene();
  const call = bidiStream(client, "test", "twice", raw, raw);
  await assert.rejects(call.send(new Uint8Array((4 << 20) + 1)), withCode(codes.resourceExhausted));
  await call.send(new Uint8Array(4 << 20).fill(1));
  assert.equal((await call.receive())?.length, 4 << 20);
  await call.closeSend();
});

test("Server: the frames of a stream, and data after its close", async () => {
  const { near } = scene();
  const peer = new RawPeer(near);
  peer.request(1, "test", "twice", { flags: remoteOpen });
  peer.frame(1, frameTypes.data, 0, bytesOf(4));
  assert.deepEqual(await peer.next(), { id: 1, type: frameTypes.data, flags: 0, payload: bytesOf(8) });
  peer.frame(1, frameTypes.data, noData);
  peer.frame(1, frameTypes.data, remoteClosed | noData);
  assert.deepEqual(await peer.next(), { id: 1, type: frameTypes.data, flags: 0, payload: bytesOf() });
  assert.deepEqual(await peer.next(), {
    id: 1,
    type: frameTypes.data,
    flags: remoteClosed | noData,
    payload: bytesOf(),
  });
  peer.request(3, "test", "sum", { flags: remoteOpen });
  peer.frame(3, frameTypes.data, remoteClosed | noData);
  peer.frame(3, frameTypes.data, 0, bytesOf(1));
  const refused = await peer.answer();
  assert.deepEqual([refused.id, refused.code], [3, codes.invalidArgument]);
  peer.frame(3, frameTypes.data, 0, bytesOf(1));
  assert.match((await peer.answer()).text, /not active/);
  peer.request(5, "test", "echo", { payload: bytesOf(1) });
  assert.equal((await peer.answer()).code, codes.ok);
});

test("Server: a frame that closes and holds data is refused, as Go's does", async () => {
  const { near } = scene();
  const peer = new RawPeer(near);
  peer.request(1, "test", "sum", { flags: remoteOpen });
  peer.frame(1, frameTypes.data, remoteClosed, bytesOf(1));
  assert.equal((await peer.answer()).code, codes.invalidArgument);
});

test("Server: a stream's first message may come with its request, and a plain request is a stream of one", async () => {
  const { near } = scene();
  const peer = new RawPeer(near);
  peer.request(1, "test", "sum", { flags: remoteOpen, payload: bytesOf(1) });
  peer.frame(1, frameTypes.data, 0, bytesOf(2));
  peer.frame(1, frameTypes.data, remoteClosed | noData);
  assert.deepEqual((await peer.answer()).payload, bytesOf(3));
  peer.request(3, "test", "sum", { payload: bytesOf(4) });
  assert.deepEqual((await peer.answer()).payload, bytesOf(4));
  peer.request(5, "test", "sum", { flags: remoteClosed });
  assert.deepEqual((await peer.answer()).payload, bytesOf(0));
});

test("Server: a method that takes one message refuses more, but not the word that there are none", async () => {
  const { near } = scene();
  const peer = new RawPeer(near);
  peer.request(1, "test", "count", { flags: remoteOpen, payload: bytesOf(1) });
  peer.frame(1, frameTypes.data, remoteClosed | noData);
  assert.equal((await peer.next()).type, frameTypes.data);
  assert.equal((await peer.next()).flags, remoteClosed | noData);
  peer.request(3, "test", "endless", { flags: remoteOpen, payload: bytesOf(1) });
  peer.frame(3, frameTypes.data, 0, bytesOf(1));
  let frame = await peer.next();
  while (frame.type === frameTypes.data) frame = await peer.next();
  assert.equal(frame.type, frameTypes.response);
});

test("Client: a server's last message may be a response, or data that closes", async () => {
  const timers = new FakeTimers();
  const [near, far] = memoryPair();
  const [client, peer] = [new Client(near, { timers }), new RawPeer(far)];
  const first = serverStream(client, "s", "m", raw, raw, bytesOf());
  peer.frame(1, frameTypes.data, 0, bytesOf(1));
  peer.frame(1, frameTypes.data, remoteClosed, bytesOf(2));
  assert.deepEqual(await collect(first), [[1], [2]]);
  const second = serverStream(client, "s", "m", raw, raw, bytesOf());
  peer.frame(3, frameTypes.response, 0, bytesOf(18, 1, 9));
  assert.deepEqual(await collect(second), [[9]]);
  const third = clientStream(client, "s", "m", raw, raw);
  peer.frame(5, frameTypes.data, 0, bytesOf(1));
  await assert.rejects(third.finish(), withCode(codes.internal));
  const fourth = clientStream(client, "s", "m", raw, raw);
  peer.frame(7, frameTypes.data, remoteClosed | noData);
  await assert.rejects(fourth.finish(), withCode(codes.internal));
});
