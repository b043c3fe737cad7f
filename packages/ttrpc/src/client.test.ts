// Calls as their caller sees them: answers, deadlines, cancellation, the connection's end, and servers that err.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CancelSource } from "./cancellation.ts";
import { Client, type ClientOptions } from "./client.ts";
import { raw } from "./codec.ts";
import { FakeTimers } from "./fake-timers.fixture.ts";
import { frameTypes } from "./frame.ts";
import { memoryPair } from "./memory-transport.fixture.ts";
import { responseFrame, statusFrame } from "./messages.ts";
import { bytesOf, RawPeer } from "./raw-peer.fixture.ts";
import { codes, StatusError } from "./status.ts";

function scene(options: Partial<ClientOptions> = {}) {
  const timers = new FakeTimers();
  const [near, far] = memoryPair();
  const client = new Client(near, { timers, ...options });
  return { timers, client, peer: new RawPeer(far) };
}

function withCode(code: number) {
  return (thrown: unknown) => thrown instanceof StatusError && thrown.code === code;
}

test("Client.call: the request, and its answer", async () => {
  const { client, peer } = scene();
  const metadata = new Map([["Who", ["me", "you"]]]);
  const answer = client.call("s", "m", raw, raw, bytesOf(1), { timeoutMs: 1.5, metadata });
  const { id, flags, request } = await peer.asked();
  assert.deepEqual([id, flags, request.service, request.method], [1, 0, "s", "m"]);
  assert.deepEqual(request.payload, bytesOf(1));
  assert.equal(request.timeoutNs, 1_500_000);
  assert.deepEqual(request.metadata, new Map([["who", ["me", "you"]]]));
  peer.send(responseFrame(1, bytesOf(2)));
  assert.deepEqual(await answer, bytesOf(2));
  assert.equal(client.calls, 0);
});

test("Client.call: many at once, answered in any order", async () => {
  const { client, peer } = scene();
  const answers = [1, 2, 3].map((value) => client.call("s", "m", raw, raw, bytesOf(value)));
  const ids = [(await peer.asked()).id, (await peer.asked()).id, (await peer.asked()).id];
  assert.deepEqual(ids, [1, 3, 5]);
  for (const id of [5, 1, 3]) peer.send(responseFrame(id, bytesOf(id)));
  assert.deepEqual(await Promise.all(answers), [bytesOf(1), bytesOf(3), bytesOf(5)]);
});

test("Client.call: a status with its details is thrown", async () => {
  const { client, peer } = scene();
  const answer = client.call("s", "m", raw, raw, bytesOf());
  const details = [{ typeUrl: "t", value: bytesOf(1, 2) }];
  peer.send(statusFrame(1, new StatusError(codes.notFound, "no such thing", details)));
  await assert.rejects(answer, { name: "StatusError", code: codes.notFound, message: "no such thing", details });
});

test("Client.call: the deadline passes here too, and a late answer harms nobody", async () => {
  const { client, peer, timers } = scene();
  const late = client.call("s", "m", raw, raw, bytesOf(), { timeoutMs: 50 });
  timers.advance(49);
  assert.equal(client.calls, 1);
  timers.advance(1);
  await assert.rejects(late, withCode(codes.deadlineExceeded));
  peer.send(responseFrame(1, bytesOf(1)));
  const next = client.call("s", "m", raw, raw, bytesOf(), { timeoutMs: 50 });
  peer.send(responseFrame(3, bytesOf(3)));
  assert.deepEqual(await next, bytesOf(3));
  assert.equal(timers.pending.size, 0);
});

test("Client.call: cancelling ends the call and tells the server", async () => {
  const { client, peer } = scene();
  const source = new CancelSource();
  const answer = client.call("s", "m", raw, raw, bytesOf(), { cancellation: source });
  await peer.asked();
  source.cancel();
  source.cancel();
  await assert.rejects(answer, withCode(codes.canceled));
  assert.deepEqual(await peer.next(), { id: 1, type: frameTypes.cancel, flags: 0, payload: bytesOf() });
  await assert.rejects(client.call("s", "m", raw, raw, bytesOf(), { cancellation: source }), withCode(codes.canceled));
  assert.equal(peer.frames.length, 0);
});

test("Client.call: an answered call is out of its cancellation's reach", async () => {
  const { client, peer } = scene();
  const source = new CancelSource();
  const answer = client.call("s", "m", raw, raw, bytesOf(), { cancellation: source });
  await peer.asked();
  peer.send(responseFrame(1, bytesOf(1)));
  await answer;
  source.cancel();
  const next = client.call("s", "m", raw, raw, bytesOf());
  assert.equal((await peer.asked()).id, 3);
  peer.send(responseFrame(3, bytesOf()));
  await next;
});

test("Client.call: a request above the limit fails alone and is not sent", async () => {
  const { client, peer } = scene({ maxMessageBytes: 100 });
  await assert.rejects(client.call("s", "m", raw, raw, new Uint8Array(100)), withCode(codes.resourceExhausted));
  const next = client.call("s", "m", raw, raw, new Uint8Array(90));
  peer.send(responseFrame((await peer.asked()).id, bytesOf(1)));
  assert.deepEqual(await next, bytesOf(1));
});

test("Client.call: an answer above the limit fails its call alone", async () => {
  const { client, peer } = scene({ maxMessageBytes: 100 });
  const [big, small] = [client.call("s", "m", raw, raw, bytesOf()), client.call("s", "m", raw, raw, bytesOf())];
  peer.send(responseFrame(1, new Uint8Array(1000)));
  peer.send(responseFrame(3, bytesOf(3)));
  await assert.rejects(big, withCode(codes.resourceExhausted));
  assert.deepEqual(await small, bytesOf(3));
});

test("Client.call: an answer that cannot be decoded, or is stream data, is Internal for its call alone", async () => {
  const { client, peer } = scene();
  const calls = [1, 2, 3].map(() => client.call("s", "m", raw, raw, bytesOf()));
  peer.frame(1, frameTypes.response, 0, bytesOf(18, 99));
  peer.frame(3, frameTypes.data, 0, bytesOf(1));
  peer.frame(99, frameTypes.response);
  peer.frame(5, 200);
  peer.send(responseFrame(5, bytesOf(5)));
  const [first, second, third] = await Promise.allSettled(calls);
  for (const outcome of [first, second]) {
    assert.ok(outcome?.status === "rejected" && withCode(codes.internal)(outcome.reason));
  }
  assert.ok(third?.status === "fulfilled");
});

test("Client.call: what a codec throws comes out, and the connection lives on", async () => {
  const { client, peer } = scene();
  const bad = {
    encode: (): Uint8Array => assert.fail("not this"),
    decode: (): Uint8Array => assert.fail("nor that"),
  };
  await assert.rejects(client.call("s", "m", bad, raw, bytesOf()), /not this/);
  const answer = client.call("s", "m", raw, bad, bytesOf());
  peer.send(responseFrame((await peer.asked()).id, bytesOf(1)));
  await assert.rejects(answer, withCode(codes.internal));
});

test("Client: the connection's end fails what is under way and what comes, with Unavailable", async () => {
  const { client, peer, timers } = scene();
  const answer = client.call("s", "m", raw, raw, bytesOf(), { timeoutMs: 1000 });
  await peer.asked();
  peer.transport.destroy();
  await assert.rejects(answer, withCode(codes.unavailable));
  await client.closed;
  await assert.rejects(client.call("s", "m", raw, raw, bytesOf()), withCode(codes.unavailable));
  assert.equal(timers.pending.size, 0);
});

test("Client: garbage ends the connection", async () => {
  const { client, peer } = scene();
  const answer = client.call("s", "m", raw, raw, bytesOf());
  peer.send(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n"));
  await assert.rejects(answer, /does not speak ttrpc/);
  await client.closed;
});

test("Client.close: calls under way are cancelled, later ones refused", async () => {
  const { client, peer } = scene();
  const answer = client.call("s", "m", raw, raw, bytesOf());
  client.close();
  client.close();
  await assert.rejects(answer, withCode(codes.canceled));
  await assert.rejects(client.call("s", "m", raw, raw, bytesOf()), withCode(codes.unavailable));
  await client.closed;
  await peer.closed;
  // What had been sent was still sent.
  assert.equal((await peer.asked()).id, 1);
});
