// The adapter for Node on real unix sockets: connections, back-pressure by the kernel, ends of all kinds.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CancelSource } from "./cancellation.ts";
import { bidiStream } from "./client-stream.ts";
import { protoCodec, raw } from "./codec.ts";
import { requestFrame } from "./messages.ts";
import { connect, listen, nodeTimers } from "./node.ts";
import { bytesOf } from "./raw-peer.fixture.ts";
import { Server } from "./server.ts";
import { bidiStreaming } from "./server-stream.ts";
import { codes, StatusError } from "./status.ts";
import { unary } from "./unary.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "ttrpc-"));
});
after(() => rmSync(folder, { recursive: true }));

let sockets = 0;

async function scene() {
  const server = new Server({ timers: nodeTimers });
  const cancelled: (() => void)[] = [];
  const started: (() => void)[] = [];
  server.add("test", {
    echo: unary(raw, raw, (message) => message),
    never: unary(raw, raw, (_message, { cancellation }) => {
      for (const fn of started.splice(0)) fn();
      return new Promise<Uint8Array>(() => {
        cancellation.onCancel(() => cancelled.splice(0).forEach((fn) => fn()));
      });
    }),
    back: bidiStreaming(raw, raw, async (input, output) => {
      for await (const message of input) await output.send(message);
    }),
  });
  const path = join(folder, `${sockets++}`);
  const listener = await listen(server, path);
  return {
    server,
    path,
    started: () => new Promise<void>((resolve) => started.push(resolve)),
    cancelled: () => new Promise<void>((resolve) => cancelled.push(resolve)),
    async end() {
      await server.shutdown(5000);
      await listener.close();
    },
  };
}

test("connect, listen: calls one after the other and at once", async () => {
  const { path, server, end } = await scene();
  const client = await connect(path);
  const text = {
    encode: (value: string) => ({ finish: () => new TextEncoder().encode(value) }),
    decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
  };
  assert.equal(await client.call("test", "echo", protoCodec(text), protoCodec(text), "hello"), "hello");
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, index) => client.call("test", "echo", raw, raw, bytesOf(index % 256, index >> 8))),
  );
  assert.ok(answers.every((answer, index) => answer[0] === index % 256 && answer[1] === index >> 8));
  assert.equal(server.connections, 1);
  await end();
  await client.closed;
});

test("connect: Node's own error when nobody listens", async () => {
  await assert.rejects(connect(join(folder, "nobody")), { code: "ENOENT" });
});

test("full duplex at the limit of messages", async () => {
  const { path, end } = await scene();
  const client = await connect(path);
  const message = new Uint8Array((4 << 20) - 100).fill(5);
  const answers = await Promise.all(Array.from({ length: 12 }, () => client.call("test", "echo", raw, raw, message)));
  assert.ok(answers.every((answer) => answer.length === message.length && answer.at(-1) === 5));
  client.close();
  await end();
});

test("a stream of many messages there and back", async () => {
  const { path, end } = await scene();
  const client = await connect(path);
  const stream = bidiStream(client, "test", "back", raw, raw);
  const count = 2000;
  const sending = (async () => {
    for (let index = 0; index < count; index++) await stream.send(new Uint8Array(5000).fill(index));
    await stream.closeSend();
  })();
  let received = 0;
  for await (const message of stream) assert.equal(message[0], received++ % 256);
  assert.equal(received, count);
  await sending;
  client.close();
  await end();
});

test("deadline, cancellation and a client's end reach the handler", async () => {
  const { path, end, started, cancelled, server } = await scene();
  const client = await connect(path);
  const timedOut = cancelled();
  await assert.rejects(client.call("test", "never", raw, raw, bytesOf(), { timeoutMs: 5 }), {
    code: codes.deadlineExceeded,
  });
  await timedOut;
  const source = new CancelSource();
  const begun = started();
  const call = client.call("test", "never", raw, raw, bytesOf(), { cancellation: source });
  await begun;
  const given = cancelled();
  source.cancel();
  await assert.rejects(call, { code: codes.canceled });
  await given;
  const again = started();
  const last = client.call("test", "never", raw, raw, bytesOf());
  await again;
  const left = cancelled();
  client.close();
  await assert.rejects(last, { code: codes.canceled });
  await left;
  await client.closed;
  await end();
  assert.equal(server.connections, 0);
});

test("a client that writes and never reads costs the server little, and others are served", async () => {
  const { path, end, server } = await scene();
  const deaf = createConnection(path);
  await once(deaf, "connect");
  deaf.pause();
  const before = process.memoryUsage().arrayBuffers;
  let id = 1;
  let isStuck = false;
  // Until the server takes no more: then the kernel's buffers and ours are full.
  while (!isStuck) {
    const request = {
      service: "test",
      method: "echo",
      payload: new Uint8Array(100_000),
      timeoutNs: 0,
      metadata: undefined,
    };
    const taken = deaf.write(requestFrame(id, 0, request));
    id += 2;
    if (taken) continue;
    const client = await connect(path);
    assert.deepEqual(await client.call("test", "echo", raw, raw, bytesOf(1)), bytesOf(1));
    client.close();
    await client.closed;
    isStuck = deaf.writableLength > 8 << 20;
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 32 << 20);
  deaf.destroy();
  await once(deaf, "close");
  await end();
  assert.equal(server.connections, 0);
});

test("garbage from a client, and from a server", async () => {
  const { path, end } = await scene();
  const bad = createConnection(path);
  bad.end("this is not ttrpc at all\n");
  await once(bad.resume(), "close");
  const good = await connect(path);
  assert.deepEqual(await good.call("test", "echo", raw, raw, bytesOf(1)), bytesOf(1));
  await end();

  const other = join(folder, `${sockets++}`);
  const net = createServer((socket: Socket) => socket.on("error", () => undefined).write("SSH-2.0-OpenSSH_9.2\r\n"));
  await new Promise<void>((resolve) => net.listen(other, resolve));
  const client = await connect(other);
  await client.closed;
  await assert.rejects(client.call("test", "echo", raw, raw, bytesOf()), (thrown) => {
    return thrown instanceof StatusError && thrown.code === codes.unavailable;
  });
  await new Promise((resolve) => net.close(resolve));
});
