// Peers that do not read: what they cost is bounded, nobody waits for the other for ever, and others are served.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "./client.ts";
import { raw } from "./codec.ts";
import { FakeTimers } from "./fake-timers.fixture.ts";
import { encodeFrame, headerBytes } from "./frame.ts";
import { memoryPair } from "./memory-transport.fixture.ts";
import { requestFrame } from "./messages.ts";
import { bytesOf, RawPeer } from "./raw-peer.fixture.ts";
import { Server } from "./server.ts";
import { codes, StatusError } from "./status.ts";
import { unary } from "./unary.ts";

const mebibyte = 1 << 20;
const longest = 4 * mebibyte - 64;

function echoServer(limits = {}): Server {
  const server = new Server({ timers: new FakeTimers(), limits });
  server.add("test", {
    echo: unary(raw, raw, (message) => message),
    slow: unary(raw, raw, async (message) => message),
  });
  return server;
}

/** Lets everything happen that can happen without anybody's help. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("a client and a server that both have much to write at the limit of messages", async () => {
  for (const method of ["echo", "slow"]) {
    const [near, far] = memoryPair({ highMarkBytes: 16 * 1024, pieceBytes: 64 * 1024 });
    echoServer().accept(far);
    const client = new Client(near, { timers: new FakeTimers() });
    const message = new Uint8Array(longest).fill(7);
    const answers = await Promise.all(Array.from({ length: 16 }, () => client.call("test", method, raw, raw, message)));
    assert.ok(answers.every((answer) => answer.length === longest && answer[longest - 1] === 7));
    // One answer, and what had been in the making when the first was found untaken.
    assert.ok(far.mostQueuedBytes <= 3 * longest, `${far.mostQueuedBytes}`);
  }
});

test("a peer that writes for ever and never reads is read no more, and others are served", async () => {
  for (const method of ["echo", "slow", "unknown"]) {
    const server = echoServer();
    const [near, far] = memoryPair();
    server.accept(far);
    const peer = new RawPeer(near);
    near.pause();
    const payload = new Uint8Array(1000);
    for (let id = 1; id < 16000; id += 2) peer.request(id, "test", method, { payload });
    await settle();
    assert.ok(far.isPaused);
    assert.ok(far.queuedBytes < 2 * mebibyte, `${method}: ${far.queuedBytes}`);
    const [otherNear, otherFar] = memoryPair();
    server.accept(otherFar);
    const client = new Client(otherNear, { timers: new FakeTimers() });
    assert.deepEqual(await client.call("test", "echo", raw, raw, bytesOf(1)), bytesOf(1));
    // It reads after all, and finds every answer.
    near.resume();
    for (let id = 1; id < 16000; id += 2) await peer.answer();
    assert.equal(server.calls, 0);
  }
});

test("thousands of requests in one piece are not all answered before the peer reads", async () => {
  const server = echoServer();
  const [near, far] = memoryPair();
  server.accept(far);
  const peer = new RawPeer(near);
  near.pause();
  const one = requestFrame(1, 0, {
    service: "test",
    method: "echo",
    payload: new Uint8Array(100_000),
    timeoutNs: 0,
    metadata: undefined,
  });
  const count = 100;
  const all = new Uint8Array(one.length * count);
  for (let index = 0; index < count; index++) {
    all.set(one, index * one.length);
    all.set(encodeFrame(index * 2 + 1, 1, 0).subarray(4, headerBytes), index * one.length + 4);
  }
  peer.send(all);
  await settle();
  assert.ok(far.queuedBytes < 2 * mebibyte, `${far.queuedBytes}`);
  near.resume();
  for (let index = 0; index < count; index++) assert.equal((await peer.answer()).id, index * 2 + 1);
});

test("answers that nobody takes are bounded: beyond that, their calls end with ResourceExhausted", async () => {
  const ends: (() => void)[] = [];
  const server = new Server({ timers: new FakeTimers(), limits: { maxBacklogBytes: 3 * mebibyte } });
  server.add("test", {
    big: unary(raw, raw, () => new Promise<Uint8Array>((end) => ends.push(() => end(new Uint8Array(mebibyte))))),
  });
  const [near, far] = memoryPair();
  server.accept(far);
  const peer = new RawPeer(near);
  near.pause();
  for (let id = 1; id < 20; id += 2) peer.request(id, "test", "big");
  while (ends.length < 10) await Promise.resolve();
  for (const end of ends) end();
  await settle();
  assert.ok(far.queuedBytes < 4 * mebibyte);
  near.resume();
  const seen: number[] = [];
  for (let index = 0; index < 10; index++) seen.push((await peer.answer()).code);
  assert.deepEqual(seen, [0, 0, ...new Array<number>(8).fill(codes.resourceExhausted)]);
});

test("a server that never reads: a client's calls wait in their caller's hands, until their deadlines", async () => {
  const [near, far] = memoryPair();
  far.pause();
  const timers = new FakeTimers();
  const client = new Client(near, { timers });
  const call = () => client.call("test", "echo", raw, raw, new Uint8Array(100_000), { timeoutMs: 100 });
  const outcomes = Promise.allSettled(Array.from({ length: 100 }, call));
  await settle();
  assert.equal(client.calls, 100);
  assert.ok(near.queuedBytes < 200_000);
  timers.advance(100);
  for (const outcome of await outcomes) {
    assert.ok(outcome.status === "rejected" && outcome.reason instanceof StatusError);
    assert.equal(outcome.reason.code, codes.deadlineExceeded);
  }
  // It reads after all: of the old calls it sees only what had been written.
  echoServer().accept(far);
  far.resume();
  assert.deepEqual(await client.call("test", "echo", raw, raw, bytesOf(1)), bytesOf(1));
});
