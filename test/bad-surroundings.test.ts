// What surrounds a shim and is not as it should be: a full disk under the bundle, a socket path that is too long, no daemon
// at all, and bytes on its socket that are no requests.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BootstrapParams } from "../src/api/bootstrap.ts";
import { Status } from "../src/api/process.ts";
import { DeleteResponse, StateRequest } from "../src/api/task.ts";
import { run } from "./harness/command.ts";
import { DirectShim, shimAction, TASK_V2, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { ociProcess } from "./harness/oci-spec.ts";
import { isAlive } from "./harness/processes.ts";
import { encodeFrame, encodeRequest, RawClient } from "./harness/raw-ttrpc.ts";
import { assertSentence, Code, faultOf } from "./harness/refusal.ts";
import { shimPath } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";
import { within } from "./harness/until.ts";

const scene = useScene({ withoutDaemon: true });

/** Writes until there is no more room. */
function fill(path: string): void {
  const fd = openSync(path, "w");
  const block = Buffer.alloc(512);
  try {
    for (;;) writeSync(fd, block);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOSPC") throw cause;
  } finally {
    closeSync(fd);
  }
}

test("bad surroundings: with a full disk under the bundle, start, Create and exec fail in words, leave nothing, and work once there is room", async (t) => {
  if (onlyMoor(t, "refusals-have-a-code")) return;
  const disk = join(scene.dir, "small-disk");
  mkdirSync(disk);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "moor-small", disk]);
  try {
    const bundle = new TestBundle(scene, ["/bin/sleep", "1000"], undefined, disk);
    const filler = join(disk, "filler");
    fill(filler);
    const failed = await shimAction(scene, bundle, ["start"]);
    assert.notEqual(failed.status, 0);
    assert.match(failed.stderr, /address.*ENOSPC/);
    assert.equal(failed.stderr.trim().split("\n").length, 1);
    rmSync(filler);
    const shim = await DirectShim.startIn(scene, bundle);
    fill(filler);
    const before = readdirSync(bundle.dir).sort();
    const fault = await faultOf("Create", shim.create());
    assertSentence("Create", fault, [Code.RESOURCE_EXHAUSTED], /ENOSPC/);
    assert.ok(fault.message.includes(shim.id), fault.message);
    assert.deepEqual(readdirSync(bundle.dir).sort(), before, "a refused Create leaves its bundle as it was");
    rmSync(filler);
    await shim.create();
    await shim.call("Start");
    const spec = {
      typeUrl: "x",
      value: new TextEncoder().encode(JSON.stringify(ociProcess(["/bin/sh", "-c", "exit 4"]))),
    };
    await shim.call("Exec", { execId: "e", spec });
    fill(filler);
    const denied = await faultOf("Start", shim.call("Start", { execId: "e" }));
    assertSentence("Start", denied, [Code.RESOURCE_EXHAUSTED], /exec e .*ENOSPC/);
    rmSync(filler);
    await shim.call("Start", { execId: "e" });
    assert.equal((await shim.call("Wait", { execId: "e" })).exitStatus, 4);
    await shim.end(scene);
  } finally {
    execFileSync("umount", ["-l", disk]);
  }
});

test("bad surroundings: a socket path of more than 107 bytes is refused by start, in a sentence, and no shim is left", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const bundle = new TestBundle(scene, ["/bin/true"]);
  const socketDir = join(scene.dir, "d".repeat(60));
  const params = {
    ...BootstrapParams.decode(new Uint8Array()),
    instanceId: bundle.id,
    namespace: scene.namespace,
    socketDir,
  };
  const result = await shimAction(scene, bundle, ["start"], {
    input: Buffer.from(BootstrapParams.encode(params).finish()),
  });
  assert.notEqual(result.status, 0);
  assert.match(result.stderr, /the socket path .* has \d+ bytes, and a unix socket's may have 107/);
  assert.equal(result.stdout, "");
  assert.equal(existsSync(socketDir), false);
  assert.equal(existsSync(join(bundle.dir, "address")), false);
  bundle.remove();
});

test("bad surroundings: without -address and without TTRPC_ADDRESS a whole life works", async (t) => {
  if (onlyMoor(t, "no-log-no-harm")) return;
  for (const address of [[], ["-address", ""], ["-address="]]) {
    const bundle = new TestBundle(scene, ["/bin/sleep", "1000"]);
    const flags = ["-namespace", scene.namespace, ...address, "-id", bundle.id];
    const options = { cwd: bundle.dir, env: { PATH: process.env["PATH"], TMPDIR: join(scene.dir, "tmp") }, input: "" };
    const started = await run([shimPath(), ...flags, "start"], options);
    assert.equal(started.status, 0, started.stderr);
    const path = started.stdout.replace(/^unix:\/\//, "");
    const shim = DirectShim.over(bundle, path, await RawClient.connect(path));
    const pid = await shim.shimPid();
    const init = await shim.create();
    await shim.call("Start");
    await shim.call("Exec", {
      execId: "e",
      spec: { typeUrl: "x", value: new TextEncoder().encode(JSON.stringify(ociProcess(["/bin/true"]))) },
    });
    await shim.call("Start", { execId: "e" });
    assert.equal((await shim.call("Wait", { execId: "e" })).exitStatus, 0);
    await shim.call("Delete", { execId: "e" });
    await shim.call("Kill", { signal: 15 });
    await shim.call("Kill", { signal: 9 });
    assert.equal((await shim.call("Wait")).exitStatus, 137);
    assert.equal((await shim.call("Delete")).pid, init.pid);
    await shim.call("Shutdown").catch(() => undefined);
    await within("the connection to end", 10_000, shim.client.closed);
    assert.equal(isAlive(init.pid), false);
    const deleted = await run([shimPath(), ...flags, "-bundle", bundle.dir, "delete"], options);
    assert.equal(deleted.status, 0, deleted.stderr);
    assert.equal(DeleteResponse.decode(deleted.stdoutBytes).exitStatus, 137);
    assert.equal(existsSync(path), false);
    assert.ok(pid > 0);
    bundle.remove();
  }
});

test("bad surroundings: frames that are none, or not in place, are refused on their stream or cost their own connection", async (t) => {
  if (onlyMoor(t, "refusals-have-a-code")) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { pid } = await shim.create();
  const state = encodeRequest(TASK_V2, "State", StateRequest.encode({ id: shim.id, execId: "" }).finish());
  const client = await RawClient.connect(shim.socketPath);
  // An even id, one that was used, one below the last.
  for (const [id, words] of [
    [2, /even/],
    [5, /./],
    [5, /used/],
    [3, /used/],
    [0, /even/],
  ] as const) {
    const call = client.send(1, state, id);
    if (words.source === ".") await call;
    else assertSentence(`stream ${id}`, await faultOf(`stream ${id}`, call), [Code.INVALID_ARGUMENT], words);
  }
  // Data for no stream; a payload that is no request.
  for (const [type, payload] of [
    [3, state],
    [1, Uint8Array.of(0x0a, 0xff)],
    [1, new Uint8Array(100).fill(0xff)],
  ] as const) {
    const id = 101 + 2 * payload.length + type;
    assertSentence(
      `type ${type}`,
      await faultOf("frame", client.send(type, payload, id % 2 === 0 ? id + 1 : id)),
      [Code.INVALID_ARGUMENT],
      /./,
    );
  }
  // Types that nobody knows, and a response: passed over.
  for (const type of [0, 2, 4, 99, 255])
    client.socket.write(encodeFrame({ streamId: 1001, type, flags: 0, payload: state }));
  // All flags at once on a plain call, and none of it matters.
  client.socket.write(encodeFrame({ streamId: 1003, type: 1, flags: 0x80, payload: state }));
  await client.send(1, state, 1005);
  // Above the limit: refused at its header, and what comes after its end is served.
  const large = faultOf("large", client.send(1, new Uint8Array((4 << 20) + 1), 1007));
  assertSentence("large", await large, [Code.RESOURCE_EXHAUSTED], /limit/);
  await client.send(1, state, 1009);
  // No ttrpc at all.
  for (const text of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u00ff".repeat(64)]) {
    const stranger = await RawClient.connect(shim.socketPath);
    stranger.socket.write(Buffer.from(text, "latin1"));
    await within(`${JSON.stringify(text)} to be hung up on`, 5_000, stranger.closed);
  }
  // Truncated in the header and in the payload, and then the end.
  const frame = encodeFrame({ streamId: 1, type: 1, flags: 0, payload: state });
  for (const length of [1, 5, 9, 10, frame.length - 1]) {
    const half = await RawClient.connect(shim.socketPath);
    half.socket.end(frame.subarray(0, length));
    await within("half a frame's connection to end", 5_000, half.closed);
  }
  // A client that closes its sending side is gone, as for the stock shim; its requests were done.
  const closing = await RawClient.connect(shim.socketPath);
  closing.socket.end(frame);
  await within("a half-closed connection to end", 5_000, closing.closed);
  assert.equal((await shim.call("State")).status, Status.CREATED);
  assert.equal((await shim.call("State")).pid, pid);
  assert.doesNotMatch(readFileSync(`/proc/${await shim.shimPid()}/status`, "utf8"), /State:\s+Z/);
  client.close();
  await shim.end(scene);
});
