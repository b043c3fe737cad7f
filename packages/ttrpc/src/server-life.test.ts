// How calls and connections of a server end: deadlines, cancellation, limits, shutdown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { frameTypes } from "./frame.ts";
import { memoryPair } from "./memory-transport.fixture.ts";
import { bytesOf, RawPeer } from "./raw-peer.fixture.ts";
import { assertAlive, Scene } from "./scene.fixture.ts";
import { codes } from "./status.ts";

test("Server: a deadline answers DeadlineExceeded and cancels the handler, whose answer is then dropped", async () => {
  const scene = new Scene();
  const peer = scene.connect();
  peer.request(1, "test", "wait", { timeoutNs: 1_500_000 });
  await scene.waitingFor(1);
  const { context, end } = scene.waiting[0] ?? assert.fail();
  assert.equal(context.timeoutMs, 2);
  let cancelled = 0;
  context.cancellation.onCancel(() => cancelled++);
  context.cancellation.onCancel(() => cancelled++)();
  scene.timers.advance(1);
  assert.equal(cancelled, 0);
  scene.timers.advance(1);
  assert.deepEqual([cancelled, context.cancellation.cancelled], [1, true]);
  assert.equal((await peer.answer()).code, codes.deadlineExceeded);
  end(bytesOf(1));
  await assertAlive(peer, 3);
  assert.equal(scene.server.calls, 0);
  assert.equal(scene.timers.pending.size, 0);
});

test("Server: a deadline of months does not come at once", async () => {
  const scene = new Scene();
  const peer = scene.connect();
  const days = 24 * 60 * 60 * 1000;
  peer.request(1, "test", "wait", { timeoutNs: 60 * days * 1e6 });
  await scene.waitingFor(1);
  scene.timers.advance(59 * days);
  assert.equal(scene.waiting[0]?.context.cancellation.cancelled, false);
  scene.timers.advance(days);
  assert.equal((await peer.answer()).code, codes.deadlineExceeded);
});

test("Server: no timer is left of a call that was answered in time", async () => {
  const scene = new Scene();
  const peer = scene.connect();
  peer.request(1, "test", "echo", { timeoutNs: 1e9 });
  assert.equal((await peer.answer()).code, codes.ok);
  assert.equal(scene.timers.pending.size, 0);
});

test("Server: a cancel frame cancels its call, unanswered, and no other", async () => {
  const scene = new Scene();
  const peer = scene.connect();
  peer.request(1, "test", "wait");
  peer.request(3, "test", "wait");
  await scene.waitingFor(2);
  peer.frame(1, frameTypes.cancel);
  scene.waiting[1]?.end(bytesOf(3));
  assert.equal((await peer.answer()).id, 3);
  assert.deepEqual(
    scene.waiting.map(({ context }) => context.cancellation.cancelled),
    [true, false],
  );
  scene.waiting[0]?.fail(new Error("nobody hears this"));
  await assertAlive(peer, 5);
});

test("Server: a thousand calls at once, answered in any order", async () => {
  const scene = new Scene();
  const peer = scene.connect();
  const count = 1000;
  for (let index = 0; index < count; index++) peer.request(index * 2 + 1, "test", "wait");
  await scene.waitingFor(count);
  assert.equal(scene.server.calls, count);
  [...scene.waiting].reverse().forEach(({ end }) => end(bytesOf(1)));
  const ids = new Set<number>();
  for (let index = 0; index < count; index++) ids.add((await peer.answer()).id);
  assert.equal(ids.size, count);
  assert.equal(scene.server.calls, 0);
});

test("Server: more calls than the limit are ResourceExhausted until others have ended", async () => {
  const scene = new Scene({ limits: { maxCalls: 2 } });
  const [peer, other] = [scene.connect(), scene.connect()];
  peer.request(1, "test", "wait");
  peer.request(3, "test", "wait");
  peer.request(5, "test", "echo");
  const refused = await peer.answer();
  assert.deepEqual([refused.id, refused.code], [5, codes.resourceExhausted]);
  await assertAlive(other, 1);
  scene.waiting[0]?.end(bytesOf());
  await peer.answer();
  await assertAlive(peer, 7);
});

test("Server: requests under way hold no more bytes than the limit", async () => {
  const scene = new Scene({ limits: { maxRequestBytes: 1000 } });
  const peer = scene.connect();
  peer.request(1, "test", "wait", { payload: new Uint8Array(900) });
  peer.request(3, "test", "echo", { payload: new Uint8Array(200) });
  assert.equal((await peer.answer()).code, codes.resourceExhausted);
  scene.waiting[0]?.end(bytesOf());
  await peer.answer();
  peer.request(5, "test", "echo", { payload: new Uint8Array(2000) });
  assert.equal((await peer.answer()).code, codes.ok);
});

test("Server: shutdown answers what is under way, refuses what comes, and closes", async () => {
  const scene = new Scene();
  const [busy, idle] = [scene.connect(), scene.connect()];
  busy.request(1, "test", "wait");
  await scene.waitingFor(1);
  const over = scene.server.shutdown(1000);
  await idle.closed;
  busy.request(3, "test", "echo");
  const refused = await busy.answer();
  assert.deepEqual([refused.id, refused.code], [3, codes.unavailable]);
  scene.waiting[0]?.end(bytesOf(9));
  assert.deepEqual(await busy.answer(), { id: 1, code: 0, text: "", payload: bytesOf(9) });
  await over;
  await busy.closed;
  await scene.connect().closed;
  assert.deepEqual([scene.server.connections, scene.timers.pending.size], [0, 0]);
});

test("Server: shutdown cuts what is not done in time", async () => {
  const scene = new Scene();
  const peer = scene.connect();
  peer.request(1, "test", "wait");
  await scene.waitingFor(1);
  const over = scene.server.shutdown(1000);
  scene.timers.advance(1000);
  await over;
  await peer.closed;
  assert.equal(scene.waiting[0]?.context.cancellation.cancelled, true);
});

test("Server: close() of a connection sends what was answered and cancels the rest", async () => {
  const scene = new Scene();
  const [near, far] = memoryPair();
  const connection = scene.server.accept(far);
  const peer = new RawPeer(near);
  peer.request(1, "test", "big", { payload: bytesOf(1) });
  peer.request(3, "test", "wait");
  await scene.waitingFor(1);
  connection.close();
  connection.close();
  assert.equal((await peer.answer()).payload?.length, 1 << 20);
  await connection.closed;
  assert.equal(scene.waiting[0]?.context.cancellation.cancelled, true);
});
