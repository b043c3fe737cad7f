// Peers that ask and never read, or read late: the shim stops reading from them, so that each costs a fixed buffer, and
// nobody is waited for. Once they read, they get everything. Figures are printed as diagnostics, also for the stock shim.

import assert from "node:assert/strict";
import { test } from "node:test";
import { UpdateTaskRequest } from "../src/api/task.ts";
import { boundsDiffer, peakKb, putAway, resetPeak, running, slowestState, stateRequest } from "./harness/beset-shim.ts";
import { type DirectShim, TASK_V2 } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { memoryOf } from "./harness/processes.ts";
import { encodeFrame, RawClient, StatusError } from "./harness/raw-ttrpc.ts";
import { Code } from "./harness/refusal.ts";
import { useScene } from "./harness/scene.ts";
import { within } from "./harness/until.ts";

const scene = useScene({ withoutDaemon: true });

/** Requests of State on a connection of its own, as fast as the shim takes them; answers are read when the caller wants. */
class Flood {
  readonly client: RawClient;
  /** Requests that the kernel has taken; some of them may wait there. */
  sent = 0;

  private constructor(client: RawClient) {
    this.client = client;
  }

  static async begin(shim: DirectShim, count: number): Promise<Flood> {
    const flood = new Flood(await RawClient.connect(shim.socketPath));
    const { socket } = flood.client;
    socket.pause();
    const payload = stateRequest(shim.id);
    const next = (): void => {
      if (flood.sent >= count) return;
      const frames: Buffer[] = [];
      for (let i = 0; i < 500; i++) {
        frames.push(encodeFrame({ streamId: 2 * (flood.sent + i) + 1, type: 1, flags: 0, payload }));
      }
      socket.write(Buffer.concat(frames), (fault) => {
        if (fault) return;
        flood.sent += 500;
        next();
      });
    };
    next();
    return flood;
  }

  /** Reads from now on; resolves with the last of so many answers. */
  answers(count: number): Promise<void> {
    const { socket } = this.client;
    let seen = 0;
    let rest = Buffer.alloc(0);
    return new Promise((resolve) => {
      socket.removeAllListeners("data");
      socket.on("data", (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        for (; rest.length >= 10 && rest.length >= 10 + rest.readUInt32BE(0); seen++) {
          rest = rest.subarray(10 + rest.readUInt32BE(0));
        }
        if (seen === count) resolve();
      });
      socket.resume();
    });
  }
}

test("unread: one that asks 50,000 times and never reads costs a fixed buffer; it gets every answer once it reads", async (t) => {
  const shim = await running(scene);
  const pid = await shim.shimPid();
  const requests = 50_000;
  const before = memoryOf(pid).rssKb;
  resetPeak(pid);
  const flood = await Flood.begin(shim, requests);
  for (let last = -1; last !== flood.sent; ) {
    last = flood.sent;
    // As long as it takes more, it has not come to rest.
    for (const end = performance.now() + 1_000; last !== requests && performance.now() < end; )
      await slowestState(shim, 20);
  }
  const grown = peakKb(pid) - before;
  const slowest = await slowestState(shim, 200);
  t.diagnostic(
    `never read: ${flood.sent} requests taken, ${grown} kB more, State takes ${slowest.toFixed(1)} ms at most`,
  );
  if (!boundsDiffer(t)) {
    assert.ok(grown < 1_024, `${grown} kB for one that never reads`);
    assert.ok(flood.sent < requests / 5, `${flood.sent} requests were taken`);
  }
  await within("every answer", 60_000, flood.answers(requests));
  flood.client.close();
  await putAway(t, scene, shim);
});

test("unread: 100 of them that never read leave the shim small and quick", async (t) => {
  if (onlyMoor(t, "peers-cost-a-fixed-amount")) return;
  const shim = await running(scene);
  const pid = await shim.shimPid();
  const before = memoryOf(pid).rssKb;
  resetPeak(pid);
  const clients = await Promise.all(Array.from({ length: 100 }, () => Flood.begin(shim, 4_000)));
  const slowest = await slowestState(shim, 200);
  const grown = peakKb(pid) - before;
  t.diagnostic(`100 that never read: ${grown} kB more at most, State takes ${slowest.toFixed(1)} ms at most`);
  assert.ok(grown < 12_288, `${grown} kB`);
  for (const { client } of clients) client.close();
  await shim.end(scene);
});

test("unread: full duplex at the message limit with a reader that comes late: no deadlock, and every answer", async (t) => {
  const shim = await running(scene);
  const pid = await shim.shimPid();
  const client = await RawClient.connect(shim.socketPath);
  client.socket.pause();
  const value = new Uint8Array((4 << 20) - 200).fill(0x20);
  const fields = { ...UpdateTaskRequest.decode(new Uint8Array()), id: shim.id, resources: { typeUrl: "x", value } };
  const large = UpdateTaskRequest.encode(fields).finish();
  const ends: Promise<number>[] = [];
  const take = (call: Promise<unknown>): void => {
    const end = call.then(
      () => 0,
      (cause: unknown) => (cause instanceof StatusError ? cause.code : -1),
    );
    ends.push(end);
  };
  for (let i = 0; i < 12; i++) {
    take(client.call(TASK_V2, "Update", large, 60_000));
    for (let k = 0; k < 500; k++) take(client.send(1, stateRequest(shim.id)));
  }
  const slowest = await slowestState(shim, 200);
  t.diagnostic(`full duplex: ${peakKb(pid)} kB at most, State takes ${slowest.toFixed(1)} ms at most`);
  client.socket.resume();
  const codes = await within("every answer", 60_000, Promise.all(ends));
  assert.equal(codes.filter((code) => code === 0).length, 6_000);
  if (!boundsDiffer(t)) assert.equal(codes.filter((code) => code === Code.INVALID_ARGUMENT).length, 12);
  client.close();
  await putAway(t, scene, shim);
});
