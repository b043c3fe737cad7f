// Crashes of the shim of every kind (an exhausted heap is in test/native/crash.ts), in what a container may be doing then: the process goes on with its pid, connections
// and streams, and knows what has happened meanwhile. What containerd sees of it is nothing.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Status } from "../src/api/process.ts";
import * as api from "../src/api/task.ts";
import { DeleteResponse } from "../src/api/task.ts";
import { callOnce, crashesOf, crashShim, killSurely, statusOf, untilResumed } from "./harness/crash.ts";
import { DirectShim, shimAction, TASK_V2, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { FifoReader, makeFifo } from "./harness/fifo.ts";
import { HeldRuntime } from "./harness/held-runtime.ts";
import { ociProcess } from "./harness/oci-spec.ts";
import { isAlive, openFdCount, processInfo } from "./harness/processes.ts";
import { encodeFrame, encodeRequest, RawClient } from "./harness/raw-ttrpc.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

let sink: EventSink;
const scene = useScene({
  withoutDaemon: true,
  prepare: async (opened) => {
    sink = new EventSink(`${opened.daemon.address}.ttrpc`);
    opened.onClose(() => void sink.close());
    await sink.open();
  },
});

const PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const KB = 1024;

function crashTest(name: string, body: (t: TestContext) => Promise<void>): void {
  test(name, async (t) => {
    if (!onlyMoor(t, "a-crash-is-survived")) await body(t);
  });
}

/** A shim whose container writes to a FIFO that is read. */
async function startWithOutput(
  args: readonly string[],
  keep: boolean,
  more: Partial<api.CreateTaskRequest> = {},
): Promise<{ shim: DirectShim; pid: number; out: FifoReader }> {
  const terminal = more.terminal === true;
  const bundle = new TestBundle(scene, args, (spec) => {
    spec.process = ociProcess(args, terminal);
  });
  const shim = await DirectShim.startIn(scene, bundle);
  const path = join(bundle.dir, "out");
  makeFifo(path);
  const out = new FifoReader(path, keep);
  await shim.create({ stdout: path, ...more });
  return { shim, pid: await shim.shimPid(), out };
}

function seen(shim: DirectShim): string[] {
  const own = sink.events.filter(({ containerId }) => containerId === shim.id);
  return own.map(({ topic }) => topic.replace("/tasks/", ""));
}

for (const signal of ["SIGSEGV", "SIGABRT", "SIGILL", "SIGBUS", "SIGFPE"] as const) {
  crashTest(`crash: ${signal} with a running container, and once more`, async (t) => {
    const { shim, pid, out } = await startWithOutput(
      ["/bin/sh", "-c", "echo up; read x < /dev/zero; sleep 1000"],
      true,
    );
    await shim.call("Start");
    await out.untilText(/up/);
    const waiting = shim.call("Wait");
    const name = processInfo(pid)?.argv[0];
    const fds = openFdCount(pid);
    for (let count = 1; count <= 2; count++) {
      const before = process.hrtime.bigint();
      await crashShim(pid, shim.bundle.dir, signal);
      assert.equal(await statusOf(shim), Status.RUNNING);
      t.diagnostic(`answers ${Number((process.hrtime.bigint() - before) / 1000n)} us after the signal`);
    }
    assert.equal(processInfo(pid)?.argv[0], name);
    await until("no fd too many", 5_000, () => openFdCount(pid) <= fds);
    await killSurely(shim, 9);
    assert.equal((await waiting).exitStatus, 137);
    assert.equal((await shim.call("Delete")).exitStatus, 137);
    await until("the last event", 5_000, () => seen(shim).includes("delete"));
    assert.deepEqual(seen(shim), ["create", "start", "exit", "delete"]);
    out.close();
    await shim.end(scene);
  });
}

/** The real thing: the kernel gives the main thread no more stack. */
crashTest("crash: the C stack overflows in a request nested deeply", async () => {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const pid = await shim.shimPid();
  await shim.create();
  await shim.call("Start");
  execFileSync("prlimit", ["--pid", String(pid), `--stack=${136 * KB}:`]);
  const deep = new TextEncoder().encode(`{"a":${"[".repeat(3_000)}${"]".repeat(3_000)}}`);
  const answer = callOnce(shim, "Exec", { execId: "deep", spec: { typeUrl: PROCESS_TYPE, value: deep } });
  const note = await untilResumed(shim.bundle.dir, 1);
  assert.equal(note.cause, "SIGSEGV");
  assert.ok((note.sender ?? 0) === 0 && note.address !== undefined, "a fault of its own");
  assert.equal(await answer, undefined);
  assert.equal(await shim.shimPid(), pid);
  assert.equal(await statusOf(shim), Status.RUNNING);
  await shim.end(scene);
});

crashTest("crash: output flows through pipes, byte for byte", async () => {
  const bytes = 24 << 20;
  const { shim, pid, out } = await startWithOutput(["/bin/payload", "pattern", String(bytes), "3"], false);
  await shim.call("Start");
  for (let count = 1; count <= 4; count++) {
    await until("more output", 20_000, () => out.count > (bytes / 8) * count || out.isEnded);
    await crashShim(pid, shim.bundle.dir);
  }
  assert.equal((await shim.call("Wait")).exitStatus, 3);
  await out.allPattern(bytes);
  out.close();
  await shim.end(scene);
});

crashTest("crash: output flows through a terminal, which keeps its size", async () => {
  const lines = 20_000;
  const script = `stty -onlcr; read go; stty size; i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); done; read x; stty size`;
  const stdin = join(scene.dir, "terminal-in");
  makeFifo(stdin);
  const { shim, pid, out } = await startWithOutput(["/bin/sh", "-c", script], true, { terminal: true, stdin });
  await shim.call("ResizePty", { width: 91, height: 33 });
  await shim.call("Start");
  execFileSync("sh", ["-c", `echo go > ${stdin}`]);
  for (let count = 1; count <= 3; count++) {
    await out.untilText(new RegExp(`line ${(lines / 8) * count}\\n`));
    await crashShim(pid, shim.bundle.dir);
  }
  await out.untilText(new RegExp(`line ${lines - 1}\\n`));
  await shim.call("ResizePty", { width: 72, height: 21 });
  execFileSync("sh", ["-c", `echo over > ${stdin}`]);
  await shim.call("Wait");
  const text = await out.allText();
  const expected = Array.from({ length: lines }, (_, n) => `line ${n}\n`).join("");
  assert.ok(text.includes(`33 91\n${expected}`), "every line, once, in order");
  assert.match(text, /21 72\n$/);
  out.close();
  await shim.end(scene);
});

crashTest("crash: an exit during the crash, a paused container, one that has exited", async () => {
  const { shim, pid, out } = await startWithOutput(
    ["/bin/sh", "-c", "trap 'exit 6' TERM; echo up; sleep 1000 & wait"],
    true,
  );
  await shim.call("Start");
  await out.untilText(/up/);
  const waiting = shim.call("Wait");
  await shim.call("Pause");
  await crashShim(pid, shim.bundle.dir);
  assert.equal(await statusOf(shim), Status.PAUSED);
  await shim.call("Resume");
  const init = (await shim.call("State")).pid;
  process.kill(pid, "SIGSTOP");
  process.kill(init, "SIGTERM");
  await until("the zombie", 5_000, () => processInfo(init)?.state === "Z");
  process.kill(pid, "SIGSEGV");
  process.kill(pid, "SIGCONT");
  await untilResumed(shim.bundle.dir, 2);
  assert.equal((await waiting).exitStatus, 6);
  await crashShim(pid, shim.bundle.dir);
  assert.equal(await statusOf(shim), Status.STOPPED);
  assert.equal((await shim.call("Wait")).exitStatus, 6);
  assert.equal((await shim.call("Delete")).exitStatus, 6);
  await until("the last event", 5_000, () => seen(shim).includes("delete"));
  assert.deepEqual(seen(shim), ["create", "start", "paused", "resumed", "exit", "delete"]);
  out.close();
  await shim.end(scene);
});

crashTest("crash: a request half sent is taken when the rest comes, and is answered", async () => {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const pid = await shim.shimPid();
  await shim.create();
  const client = await RawClient.connect(shim.socketPath);
  const payload = api.StateRequest.encode({ id: shim.id, execId: "" }).finish();
  const frame = encodeFrame({ streamId: 1001, type: 1, flags: 0, payload: encodeRequest(TASK_V2, "State", payload) });
  for (const [count, cut] of [4, 25].entries()) {
    const streamId = 1001 + 2 * count;
    frame.writeUInt32BE(streamId, 4);
    const answered = new Promise<number>((resolve) => {
      client.socket.once("data", (bytes: Buffer) => resolve(bytes.readUInt32BE(4)));
    });
    client.socket.write(frame.subarray(0, cut));
    await until("the half to be read", 5_000, () => processInfo(pid)?.state === "S");
    await crashShim(pid, shim.bundle.dir);
    client.socket.write(frame.subarray(cut));
    assert.equal(await answered, streamId);
  }
  client.close();
  await shim.end(scene);
});

crashTest("crash: the daemon is away; what it has not got it gets, once and in order", async () => {
  const { shim, pid, out } = await startWithOutput(["/bin/sh", "-c", "echo up; exit 4"], true);
  await until("the first event", 5_000, () => seen(shim).length === 1);
  await sink.close();
  await shim.call("Start");
  assert.equal((await shim.call("Wait")).exitStatus, 4);
  await crashShim(pid, shim.bundle.dir);
  await shim.call("Delete");
  await crashShim(pid, shim.bundle.dir);
  await sink.open();
  await until("the last event", 10_000, () => seen(shim).includes("delete"));
  assert.deepEqual(seen(shim), ["create", "start", "exit", "delete"]);
  out.close();
  await shim.end(scene);
});

crashTest("crash: a Start that hangs in the runtime is refused, ended, and can be asked for again", async () => {
  const held = new HeldRuntime(scene, "start", "before");
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const pid = await shim.shimPid();
  await shim.create({ options: held.options });
  const starting = callOnce(shim, "Start");
  const runtime = await held.held();
  await crashShim(pid, shim.bundle.dir);
  held.letThrough();
  assert.equal(await starting, undefined);
  assert.ok(!isAlive(runtime), "the runtime's call is over");
  assert.equal(await statusOf(shim), Status.CREATED);
  await shim.call("Start");
  assert.equal(await statusOf(shim), Status.RUNNING);
  await shim.end(scene);
});

crashTest("crash: again and again ends the shim, with exits written down, so that delete tells the truth", async () => {
  const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 9"]);
  const pid = await shim.shimPid();
  await shim.create();
  const init = (await shim.call("State")).pid;
  for (let count = 1; count <= 5; count++) await crashShim(pid, shim.bundle.dir);
  await shim.call("Start");
  await shim.call("Wait");
  process.kill(pid, "SIGSEGV");
  await until("the shim to end", 10_000, () => !isAlive(pid));
  assert.equal(crashesOf(shim.bundle.dir).length, 6);
  const result = await shimAction(scene, shim.bundle, ["-bundle", shim.bundle.dir, "delete"]);
  const told = DeleteResponse.decode(result.stdoutBytes);
  assert.equal(told.exitStatus, 9);
  assert.equal(told.pid, init);
  shim.client.close();
  shim.bundle.remove();
});
