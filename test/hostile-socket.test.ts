// A shim with a container, and on its real socket a client that sends whatever it likes: frames of garbage, requests of all
// methods with broken messages, frames cut anywhere, connections that stop reading or hang up in the middle. The shim
// answers its other client all the time, and ends as large as it was. MOOR_FUZZ_SECONDS (5) and SEED set how long, and what;
// `make fuzz` runs it for minutes on a shim with the sanitizers.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { Random } from "../sim/random.ts";
import { StateRequest } from "../src/api/task.ts";
import { mutate } from "./fuzz/mutate.ts";
import { deepMessage, randomMessage } from "./fuzz/protobuf.ts";
import { DirectShim, METHOD_NAMES, TASK_V2, TASK_V3, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { isAlive } from "./harness/processes.ts";
import { encodeFrame, encodeRequest } from "./harness/raw-ttrpc.ts";
import { useScene } from "./harness/scene.ts";
import { shimFootprint } from "./harness/shim-process.ts";
import { until } from "./harness/until.ts";

const scene = useScene({ withoutDaemon: true });

const seconds = Number(process.env["MOOR_FUZZ_SECONDS"] ?? "5");
const seed = Number(process.env["SEED"] ?? "1");
/** What the heap of a shim that has served for a while may differ by, and the sanitizers' own bookkeeping. */
const mostGrownKb = 4096;

function payload(random: Random, id: string): Uint8Array {
  if (random.chance(0.3)) return StateRequest.encode({ id, execId: "" }).finish();
  return random.chance(0.1) ? deepMessage(random) : randomMessage(random);
}

/** Mostly one that there is. */
function method(random: Random): string {
  const name = random.pick(METHOD_NAMES);
  return random.chance(0.05) ? `${name}x` : name;
}

/** One connection's worth of bytes. */
function stream(random: Random, id: string): Uint8Array {
  const frames: Uint8Array[] = [];
  for (let count = 1 + random.below(30); count > 0; count--) {
    const streamId = random.chance(0.9) ? 2 * (30 - count) + 1 : random.below(2 ** 32);
    const type = random.chance(0.85) ? 1 : random.pick([2, 3, 0x43, random.below(256)]);
    const called = method(random);
    // The container is to live: nothing is asked of it that changes it.
    const looks = ["State", "Pids", "Wait", "Stats", "Connect"].includes(called);
    const body = payload(random, looks ? id : "nobody");
    const timeoutNs = random.chance(0.2) ? BigInt(random.below(5_000_000)) : 0n;
    const request = encodeRequest(random.pick([TASK_V2, TASK_V3, "x"]), called, body, timeoutNs);
    frames.push(encodeFrame({ streamId, type, flags: random.below(random.chance(0.8) ? 3 : 256), payload: request }));
  }
  const all = new Uint8Array(Buffer.concat(frames));
  return random.chance(0.5) ? mutate(random, all, all, []) : all;
}

/** Sends a stream in pieces and ends the connection in one of the ways there are. */
async function attack(random: Random, socketPath: string, id: string): Promise<void> {
  const socket: Socket = connect(socketPath);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  if (random.chance(0.7)) socket.resume();
  const bytes = stream(random, id);
  const pieceBytes = random.chance(0.5) ? bytes.length : 1 + random.below(300);
  for (let at = 0; at < bytes.length && !socket.destroyed; at += pieceBytes) {
    socket.write(bytes.subarray(at, at + pieceBytes));
    if (random.chance(0.2)) await new Promise((resolve) => setImmediate(resolve));
  }
  if (random.chance(0.5)) {
    // Everything is out before the connection goes, or at once.
    socket.resume();
    socket.end(() => void socket.destroy());
  } else socket.destroy();
  await closed;
}

test(`hostile socket: whatever a client sends for ${seconds} s (seed ${seed}), the shim serves on and does not grow`, async (t) => {
  if (onlyMoor(t, "costly-input")) return;
  const bundle = new TestBundle(scene, ["/bin/sleep", "1000"]);
  const options = `log_path=${join(scene.dir, "sanitizer")}:quarantine_size_mb=8:allocator_may_return_null=1`;
  const environment = { ASAN_OPTIONS: options, UBSAN_OPTIONS: `log_path=${join(scene.dir, "sanitizer")}` };
  const shim = await DirectShim.startIn(scene, bundle, { environment });
  await shim.create();
  await shim.call("Start");
  const pid = await shim.shimPid();
  const random = new Random(seed);
  const rounds = async (untilMs: number): Promise<number> => {
    let count = 0;
    while (performance.now() < untilMs) {
      const several = Array.from({ length: 1 + random.below(4) }, () => attack(random, shim.socketPath, shim.id));
      await Promise.all(several);
      count += several.length;
      assert.equal((await shim.call("State")).id, shim.id);
    }
    return count;
  };
  const began = performance.now();
  const settled = async (): Promise<{ fds: number; rssKb: number }> => {
    // Connections that were hung up are closed in a turn or two.
    let fds = -1;
    await until("the number of the shim's fds to stand still", 10_000, async () => {
      await shim.call("Connect");
      const before = fds;
      fds = shimFootprint(pid).fds;
      return before === fds;
    });
    return shimFootprint(pid);
  };
  const first = await rounds(began + (seconds * 1000) / 3);
  const before = await settled();
  const more = await rounds(began + seconds * 1000);
  const after = await settled();
  t.diagnostic(`${first + more} connections; rss ${before.rssKb} KiB, then ${after.rssKb} KiB`);
  assert.ok(isAlive(pid));
  assert.equal(after.fds, before.fds, "fds");
  assert.ok(after.rssKb - before.rssKb < mostGrownKb, `it has grown from ${before.rssKb} to ${after.rssKb} KiB`);
  await shim.end(scene);
  const reports = readdirSync(scene.dir).filter((name) => name.startsWith("sanitizer"));
  assert.deepEqual(
    reports.map((name) => readFileSync(join(scene.dir, name), "utf8")),
    [],
  );
});
