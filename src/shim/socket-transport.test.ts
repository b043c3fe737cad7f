import assert from "node:assert/strict";
import { test } from "node:test";
import { EAGAIN, ECONNRESET, EPIPE } from "../sys/errno.ts";
import type { MoorError } from "../sys/error.ts";
import { POLLHUP, POLLIN, POLLOUT } from "../sys/flags.ts";
import type { Errno, Fd, Sys } from "../sys/sys.d.ts";
import { SocketTransport } from "./socket-transport.ts";

/** One socket: what the peer sent waits in `incoming`, what it has been sent is in `sent`, as far as `room` allowed. */
function connected(bufferBytes = 8) {
  const socket = {
    incoming: [] as (Uint8Array | 0 | Errno)[],
    sent: [] as number[],
    room: Number.POSITIVE_INFINITY,
    writeFails: 0 as 0 | Errno,
    poll: undefined as ((events: number) => void) | undefined,
    wanted: 0,
    open: true,
  };
  const sys = {
    pollStart: (_fd: Fd, events: number, fn: (events: number) => void) => {
      socket.poll = fn;
      socket.wanted = events;
      return 0;
    },
    pollChange: (_fd: Fd, events: number) => {
      socket.wanted = events;
      return 0;
    },
    pollStop: () => {
      socket.poll = undefined;
      return 0;
    },
    close: () => {
      assert.ok(socket.open, "closed once");
      assert.equal(socket.poll, undefined, "no poll is left");
      socket.open = false;
      return 0;
    },
    read: (_fd: Fd, into: Uint8Array, offset: number, length: number) => {
      assert.ok(socket.open);
      const next = socket.incoming.shift() ?? EAGAIN;
      if (typeof next === "number") return next;
      const taken = next.subarray(0, length);
      into.set(taken, offset);
      if (taken.length < next.length) socket.incoming.unshift(next.subarray(length));
      return taken.length;
    },
    write: (_fd: Fd, from: Uint8Array, offset: number, length: number) => {
      assert.ok(socket.open);
      if (socket.writeFails !== 0) return socket.writeFails;
      const count = Math.min(length, socket.room);
      if (count === 0) return EAGAIN;
      socket.room -= count;
      socket.sent.push(...from.subarray(offset, offset + count));
      return count;
    },
  } as unknown as Sys;
  const told: string[] = [];
  const received: number[] = [];
  const transport = new SocketTransport(sys, 7 as Fd, new Uint8Array(bufferBytes), () => told.push("work"));
  transport.start({
    data: (bytes) => {
      received.push(...bytes);
      told.push("data");
    },
    drained: () => told.push("drained"),
    closed: (error) => told.push(error === undefined ? "closed" : `closed: ${(error as MoorError).message}`),
  });
  const ready = (events: number) => socket.poll?.(events);
  return { socket, transport, told, ready, take: () => received.splice(0) };
}

const jobs = () => new Promise<void>((resolve) => setImmediate(resolve));
const bytes = (...values: number[]) => Uint8Array.from(values);

test("SocketTransport: data comes in pieces of the buffer, in order, one in a turn", () => {
  const { socket, ready, take } = connected(4);
  const all = Array.from({ length: 30 }, (_, index) => index);
  socket.incoming.push(Uint8Array.from(all));
  ready(POLLIN);
  assert.deepEqual(take(), all.slice(0, 4));
  for (let at = 4; at < all.length; at += 4) {
    ready(POLLIN);
    assert.deepEqual(take(), all.slice(at, at + 4));
  }
  ready(POLLIN);
  assert.deepEqual(take(), []);
});

test("SocketTransport: nothing is read while it rests, not even by a hang-up; what came is there afterwards", async () => {
  const { socket, transport, ready, take, told } = connected();
  transport.pause();
  assert.equal(socket.wanted, 0);
  socket.incoming.push(bytes(1, 2), 0);
  ready(POLLHUP);
  assert.deepEqual(take(), []);
  transport.resume();
  assert.equal(socket.wanted, POLLIN);
  ready(POLLIN | POLLHUP);
  ready(POLLIN | POLLHUP);
  assert.deepEqual(take(), [1, 2]);
  await jobs();
  assert.deepEqual(told, ["work", "data", "closed"]);
  assert.equal(socket.open, false);
});

test("SocketTransport: a pause from within data() holds from the next read on", () => {
  const { socket, transport, ready } = connected(2);
  let seen = 0;
  transport.start({
    data: () => {
      seen++;
      transport.pause();
    },
    drained: () => undefined,
    closed: () => undefined,
  });
  socket.incoming.push(bytes(1, 2, 3, 4));
  ready(POLLIN);
  assert.equal(seen, 1);
});

test("SocketTransport: what the socket does not take waits, in order; drained comes after a full queue is short again", () => {
  const { socket, transport, ready, told } = connected();
  socket.room = 3;
  assert.equal(transport.write(bytes(1, 2)), true);
  assert.equal(transport.write(bytes(3, 4)), true);
  assert.equal(socket.wanted, POLLIN | POLLOUT);
  assert.equal(transport.write(new Uint8Array(100_000).fill(5)), false);
  assert.equal(transport.write(bytes(6)), false);
  socket.room = 50_000;
  ready(POLLOUT);
  assert.deepEqual(told, []);
  socket.room = 49_000;
  ready(POLLOUT);
  assert.deepEqual(told, ["drained"]);
  socket.room = Number.POSITIVE_INFINITY;
  ready(POLLOUT);
  assert.deepEqual(told, ["drained"]);
  assert.equal(socket.wanted, POLLIN);
  assert.deepEqual(socket.sent, [1, 2, 3, 4, ...new Array<number>(100_000).fill(5), 6]);
});

test("SocketTransport: close waits for what is queued, destroy does not; each is told once, from a later job", async () => {
  const first = connected();
  first.socket.room = 1;
  first.transport.write(bytes(1, 2));
  first.transport.close();
  assert.equal(first.socket.open, true);
  first.socket.room = 10;
  first.ready(POLLOUT);
  assert.equal(first.socket.open, false);
  assert.deepEqual(first.socket.sent, [1, 2]);
  assert.deepEqual(first.told, []);
  first.transport.close();
  first.transport.destroy();
  assert.equal(first.transport.write(bytes(3)), true);
  await jobs();
  assert.deepEqual(first.told, ["closed"]);

  const second = connected();
  second.socket.room = 1;
  second.transport.write(bytes(1, 2));
  second.transport.destroy();
  await jobs();
  assert.deepEqual(second.socket.sent, [1]);
  assert.deepEqual(second.told, ["closed"]);
});

test("SocketTransport: a failed read or write ends it with its cause", async () => {
  const reading = connected();
  reading.socket.incoming.push(ECONNRESET);
  reading.ready(POLLIN);
  const writing = connected();
  writing.socket.writeFails = EPIPE;
  writing.transport.write(bytes(1));
  await jobs();
  assert.deepEqual(reading.told, ["closed: read from a connection: ECONNRESET"]);
  assert.deepEqual(writing.told, ["closed: write to a connection: EPIPE"]);
});

test("replay: what an image before had not sent goes first, and what it had taken comes again", () => {
  const { socket, transport, take } = connected();
  transport.replay(bytes(1, 2), [bytes(7), bytes(8, 9)]);
  assert.deepEqual(take(), [7, 8, 9]);
  transport.write(bytes(3));
  assert.deepEqual(socket.sent, [1, 2, 3]);
});
