// What a server makes of good and bad frames on one connection, spoken to byte by byte: each fault is answered on its own
// stream and the connection lives on, or the connection is lost and no other.

import assert from "node:assert/strict";
import { test } from "node:test";
import { frameTypes } from "./frame.ts";
import { bytesOf } from "./raw-peer.fixture.ts";
import { raw } from "./codec.ts";
import { assertAlive, Scene } from "./scene.fixture.ts";
import { codes, StatusError } from "./status.ts";
import { unary } from "./unary.ts";

test("Server: answers a request, also one that comes byte by byte", async () => {
  for (const pieceBytes of [1, 7, undefined]) {
    const peer = new Scene().connect("me", pieceBytes === undefined ? {} : { pieceBytes });
    await assertAlive(peer, 1);
    peer.request(3, "test", "peer");
    assert.equal(new TextDecoder().decode((await peer.answer()).payload), "me");
  }
});

test("Server: an empty answer is a response without payload", async () => {
  const peer = new Scene().connect();
  peer.request(1, "test", "echo");
  assert.deepEqual(await peer.next(), { id: 1, type: frameTypes.response, flags: 0, payload: bytesOf() });
});

test("Server: metadata reaches the handler", async () => {
  const peer = new Scene().connect();
  peer.request(1, "test", "metadata", { metadata: new Map([["Key", ["1", "2"]]]) });
  assert.equal(new TextDecoder().decode((await peer.answer()).payload), '[["key",["1","2"]]]');
});

test("Server: unknown service and method are Unimplemented", async () => {
  const peer = new Scene().connect();
  peer.request(1, "nope", "echo");
  peer.request(3, "test", "nope");
  peer.request(5, "test", "__proto__");
  assert.deepEqual(
    [await peer.answer(), await peer.answer(), await peer.answer()].map(({ id, code, text }) => [id, code, text]),
    [
      [1, codes.unimplemented, "service nope"],
      [3, codes.unimplemented, "method nope of test"],
      [5, codes.unimplemented, "method __proto__ of test"],
    ],
  );
  await assertAlive(peer, 7);
});

test("Server: what a handler throws becomes the status", async () => {
  const peer = new Scene().connect();
  peer.request(1, "test", "throws");
  peer.request(3, "test", "refuses");
  const [thrown, refused] = [await peer.answer(), await peer.answer()];
  assert.deepEqual([thrown.code, thrown.text], [codes.unknown, "no such luck"]);
  assert.deepEqual([refused.code, refused.text], [codes.notFound, "not here"]);
  const mapped = new Scene({
    statusOf: (error) => new StatusError(codes.aborted, `mapped ${String(error)}`),
  }).connect();
  mapped.request(1, "test", "throws");
  assert.deepEqual(await mapped.answer(), {
    id: 1,
    code: codes.aborted,
    text: "mapped RangeError: no such luck",
    payload: undefined,
  });
});

test("Server: a statusOf that throws costs no more than its own answer", async () => {
  const scene = new Scene({
    statusOf: () => {
      throw new Error("worse");
    },
  });
  const peer = scene.connect();
  peer.request(1, "test", "throws");
  assert.deepEqual(await peer.answer(), { id: 1, code: codes.unknown, text: "worse", payload: undefined });
  assert.equal(scene.server.calls, 0);
});

test("Server: a message that cannot be decoded is InvalidArgument", async () => {
  const peer = new Scene().connect();
  peer.request(1, "test", "picky");
  assert.equal((await peer.answer()).code, codes.invalidArgument);
  await assertAlive(peer, 3);
});

test("Server: a request that is no request is InvalidArgument, and its id is used up", async () => {
  const peer = new Scene().connect();
  peer.frame(3, frameTypes.request, 0, bytesOf(10, 200));
  assert.equal((await peer.answer()).code, codes.invalidArgument);
  peer.request(3, "test", "echo");
  assert.equal((await peer.answer()).code, codes.invalidArgument);
  await assertAlive(peer, 5);
});

test("Server: even ids are InvalidArgument, whatever comes with them", async () => {
  const peer = new Scene().connect();
  for (const [id, type] of [
    [2, frameTypes.request],
    [4, frameTypes.data],
    [0, frameTypes.request],
    [6, 99],
  ] as const) {
    peer.frame(id, type);
    const answer = await peer.answer();
    assert.deepEqual([answer.id, answer.code], [id, codes.invalidArgument]);
  }
  await assertAlive(peer, 1);
});

test("Server: a used or lower id is InvalidArgument, and the call that has it is answered all the same", async () => {
  const scene = new Scene();
  const peer = scene.connect();
  peer.request(5, "test", "wait");
  await scene.waitingFor(1);
  for (const id of [5, 3, 1]) {
    peer.request(id, "test", "echo");
    const answer = await peer.answer();
    assert.deepEqual([answer.id, answer.code], [id, codes.invalidArgument]);
  }
  scene.waiting[0]?.end(bytesOf(1));
  assert.deepEqual(await peer.answer(), { id: 5, code: 0, text: "", payload: bytesOf(1) });
  await assertAlive(peer, 7);
  await assertAlive(peer, 0xffffffff);
});

test("Server: data without a stream is InvalidArgument", async () => {
  const scene = new Scene();
  const peer = scene.connect();
  await assertAlive(peer, 1);
  peer.frame(1, frameTypes.data, 0, bytesOf(1));
  peer.frame(9, frameTypes.data, 5);
  for (const id of [1, 9]) {
    const answer = await peer.answer();
    assert.deepEqual([answer.id, answer.code], [id, codes.invalidArgument]);
  }
  peer.request(11, "test", "wait");
  peer.frame(11, frameTypes.data, 0, bytesOf(1));
  const refused = await peer.answer();
  assert.deepEqual([refused.id, refused.code], [11, codes.invalidArgument]);
  assert.equal(scene.waiting[0]?.context.cancellation.cancelled, true);
  await assertAlive(peer, 13);
});

test("Server: frames of other types are passed over", async () => {
  const peer = new Scene().connect();
  for (const type of [0, frameTypes.response, 4, 0x43, 255]) peer.frame(1, type, 0, bytesOf(1, 2));
  await assertAlive(peer, 1);
});

test("Server: a request above the limit is ResourceExhausted on its stream, at its header", async () => {
  const peer = new Scene().connect();
  const length = (4 << 20) + 1;
  const header = new Uint8Array(10);
  new DataView(header.buffer).setUint32(0, length);
  header[7] = 3;
  header[8] = frameTypes.request;
  peer.send(header);
  const answer = await peer.answer();
  assert.deepEqual([answer.id, answer.code], [3, codes.resourceExhausted]);
  peer.send(new Uint8Array(length));
  await assertAlive(peer, 3);
});

test("Server: messages up to the limit pass, both ways; an answer above it is ResourceExhausted for its call", async () => {
  const scene = new Scene({ maxMessageBytes: (1 << 20) + 5 });
  const peer = scene.connect();
  peer.request(1, "test", "big", { payload: bytesOf(1) });
  assert.equal((await peer.answer()).payload?.length, 1 << 20);
  peer.request(3, "test", "big", { payload: bytesOf(2) });
  const answer = await peer.answer();
  assert.deepEqual([answer.id, answer.code], [3, codes.resourceExhausted]);
  await assertAlive(peer, 5);
  assert.equal(scene.server.calls, 0);
});

test("Server: a status with a text above the limit is ResourceExhausted", async () => {
  const scene = new Scene({ maxMessageBytes: 1000, statusOf: () => new StatusError(codes.aborted, "x".repeat(1000)) });
  const peer = scene.connect();
  peer.request(1, "test", "throws");
  assert.equal((await peer.answer()).code, codes.resourceExhausted);
});

test("Server: garbage costs that connection only, and cancels what was under way there", async () => {
  const scene = new Scene();
  const [bad, good] = [scene.connect(), scene.connect()];
  bad.request(1, "test", "wait");
  await scene.waitingFor(1);
  bad.send(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  await bad.closed;
  assert.equal(scene.waiting[0]?.context.cancellation.cancelled, true);
  await assertAlive(good, 1);
  assert.equal(scene.server.connections, 1);
});

test("Server: half a frame and an end", async () => {
  const scene = new Scene();
  const peer = scene.connect();
  peer.send(bytesOf(0, 0, 0, 9, 0, 0, 0, 1, 1, 0, 10));
  peer.transport.close();
  await peer.closed;
  await assertAlive(scene.connect(), 1);
  assert.equal(scene.server.connections, 1);
});

test("Server.add: methods of one service may come in parts, each once", () => {
  const { server } = new Scene();
  const handler = unary(raw, raw, (message) => message);
  server.add("test", { another: handler });
  assert.throws(() => server.add("test", { another: handler }), /another/);
});
