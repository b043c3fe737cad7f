// Peers that mean no good, or are broken: callers of another user, ones that hold a thousand connections, send frames bit by
// bit, ask for what takes for ever. (Those that never read: unread-answers.test.ts.) Each costs a bounded amount of memory, and nobody else notices. Figures are printed as diagnostics,
// so that a run against the stock shim shows its own beside them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Status } from "../src/api/process.ts";
import { UpdateTaskRequest, WaitRequest } from "../src/api/task.ts";
import { boundsDiffer, peakKb, resetPeak, running, slowestState, stateRequest } from "./harness/beset-shim.ts";
import { run } from "./harness/command.ts";
import { callTask, DirectShim, TASK_V2 } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { HeldRuntime } from "./harness/held-runtime.ts";
import { isAlive, memoryOf, openFdCount } from "./harness/processes.ts";
import { encodeFrame, encodeRequest, RawClient, StatusError } from "./harness/raw-ttrpc.ts";
import { Code } from "./harness/refusal.ts";
import { useScene } from "./harness/scene.ts";
import { staysPending, until, within } from "./harness/until.ts";

const scene = useScene({ withoutDaemon: true });
const NOBODY = 65_534;

/** Processor time that the process has used, in ms (proc(5): ticks of 10 ms). */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Connects as another user and asks; what it was told, or that it was hung up on. */
function askAs(uid: number, path: string, request: Uint8Array): Promise<string> {
  const script = `
    const socket = require("node:net").connect(process.argv[1]);
    let bytes = 0;
    socket.on("data", (chunk) => { bytes += chunk.length; socket.destroy(); });
    socket.on("error", (fault) => console.log(fault.code));
    socket.on("close", () => console.log("closed after " + bytes));
    socket.write(Buffer.from(process.argv[2], "hex"));`;
  const frame = encodeFrame({ streamId: 1, type: 1, flags: 0, payload: request });
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["-e", script, path, frame.toString("hex")], {
      uid,
      gid: uid,
      cwd: "/",
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.on("error", reject);
    child.on("close", () => resolve(text));
  });
}

test("hostile peers: a caller of another user is hung up on, even where the socket's file lets it in", async () => {
  const shim = await running(scene);
  const request = stateRequest(shim.id);
  assert.equal(statSync(shim.socketPath).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(shim.socketPath)).mode & 0o077, 0, "its folder is its owner's alone");
  assert.match(await askAs(NOBODY, shim.socketPath, request), /EACCES/, "the folder keeps it out");
  // Another name of the same socket, on the same file system, in a folder that anybody may enter.
  const isOneDevice = statSync("/run/containerd").dev === statSync("/run").dev;
  const folder = `${isOneDevice ? "/run" : "/run/containerd"}/moor-open-${scene.tag}`;
  mkdirSync(folder, { mode: 0o755 });
  const open = join(folder, "s");
  linkSync(shim.socketPath, open);
  try {
    assert.match(await askAs(NOBODY, open, request), /EACCES/, "the file keeps it out");
    chmodSync(open, 0o666);
    assert.match(
      await askAs(NOBODY, open, request),
      /^(ECONNRESET\n|EPIPE\n)?closed after 0\n$/,
      "the shim keeps it out",
    );
    assert.match(await askAs(0, open, request), /^closed after [1-9]/, "root is served there");
  } finally {
    rmSync(folder, { recursive: true });
    chmodSync(shim.socketPath, 0o600);
  }
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  await shim.end(scene);
});

test("hostile peers: without fds for more connections the shim rests, serves those it has, and goes on", async (t) => {
  if (onlyMoor(t, "no-fds-no-spin")) return;
  const shim = await running(scene);
  const pid = await shim.shimPid();
  const limit = openFdCount(pid) + 20;
  await run(["prlimit", "--pid", String(pid), `--nofile=${limit}:${limit}`]);
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(shim.socketPath)));
  await shim.bundle.log.untilText(/connections cannot be taken.*EMFILE/);
  const before = cpuMs(pid);
  await staysPending("a look at the shim's rest", 1_000, new Promise(() => undefined));
  const spent = cpuMs(pid) - before;
  assert.ok(spent <= 100, `${spent} ms of processor time in a second of waiting for an fd`);
  t.diagnostic(`${spent} ms of processor time in a second without fds`);
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  const logged = shim.bundle.log.text().match(/connections cannot be taken/g)?.length;
  assert.equal(logged, 1, "the log is told once");
  for (const client of clients) client.close();
  const late = await RawClient.connect(shim.socketPath);
  await late.send(1, stateRequest(shim.id));
  late.close();
  await until("the fds to be given back", 5_000, () => openFdCount(pid) < limit - 15);
  await run(["prlimit", "--pid", String(pid), "--nofile=1024:4096"]);
  await shim.end(scene);
});

test("hostile peers: 1,000 idle connections are held, cost little each, and one too many is refused", async (t) => {
  const shim = await running(scene);
  const pid = await shim.shimPid();
  const before = memoryOf(pid);
  const fds = openFdCount(pid);
  const clients: RawClient[] = [];
  for (let i = 0; i < 1_000; i++) {
    clients.push(await RawClient.connect(shim.socketPath));
    if (i % 50 === 0) await shim.call("Connect");
  }
  await until("all to be taken", 5_000, () => openFdCount(pid) >= fds + 1_000);
  const slowest = await slowestState(shim, 200);
  const each = (memoryOf(pid).anonymousKb - before.anonymousKb) / 1_000;
  t.diagnostic(`1,000 idle: ${each.toFixed(1)} kB each, State takes ${slowest.toFixed(1)} ms at most`);
  for (const client of [clients[0], clients[999]]) await client?.send(1, stateRequest(shim.id));
  if (!boundsDiffer(t)) {
    assert.ok(each < 12, `${each} kB for each`);
    const more = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(shim.socketPath)));
    await within("one too many to be hung up on", 5_000, Promise.any(more.map(({ closed }) => closed)));
    await shim.bundle.log.untilText(/a connection too many is refused/);
    for (const client of more) client.close();
  }
  for (const client of clients) client.close();
  await until("the fds to be given back", 5_000, () => openFdCount(pid) <= fds + 2);
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  await shim.end(scene);
});

test("hostile peers: half frames, byte by byte and by the megabyte, hold up nobody and cost a bounded amount", async (t) => {
  if (onlyMoor(t, "peers-cost-a-fixed-amount")) return;
  const shim = await running(scene);
  const pid = await shim.shimPid();
  const before = memoryOf(pid).rssKb;
  resetPeak(pid);
  const half = encodeFrame({ streamId: 1, type: 1, flags: 0, payload: new Uint8Array(4 << 20) }).subarray(0, 4_000_000);
  const clients = await Promise.all(Array.from({ length: 60 }, () => RawClient.connect(shim.socketPath)));
  for (const client of clients) client.socket.write(half);
  // One that is honest and slow is served when its last byte has come.
  const slow = await RawClient.connect(shim.socketPath);
  const answer = new Promise<void>((resolve) => slow.socket.once("data", () => resolve()));
  for (const byte of encodeFrame({ streamId: 1, type: 1, flags: 0, payload: stateRequest(shim.id) })) {
    slow.socket.write(Uint8Array.of(byte));
    await shim.call("Connect");
  }
  await within("the answer to the slow one", 5_000, answer);
  await until("all of it to be sent", 20_000, () => clients.every(({ socket }) => socket.writableLength === 0));
  const slowest = await slowestState(shim, 100);
  const grown = peakKb(pid) - before;
  t.diagnostic(`60 half frames of 4 MB: ${grown} kB more at most, State takes ${slowest.toFixed(1)} ms at most`);
  assert.ok(grown < 32_768, `${grown} kB`);
  // A whole message of the longest length still finds room beside them.
  for (const client of clients.slice(1)) client.close();
  const value = new Uint8Array((4 << 20) - 200).fill(0x20);
  const fields = { ...UpdateTaskRequest.decode(new Uint8Array()), id: shim.id, resources: { typeUrl: "x", value } };
  const fault = await shim.client
    .call(TASK_V2, "Update", UpdateTaskRequest.encode(fields).finish())
    .catch((cause: unknown) => cause);
  assert.ok(fault instanceof StatusError && fault.code === Code.INVALID_ARGUMENT, String(fault));
  for (const client of [...clients, slow]) client.close();
  await shim.end(scene);
});

test("hostile peers: 40,000 requests that take for ever are bounded, and those of others are answered", async (t) => {
  if (onlyMoor(t, "peers-cost-a-fixed-amount")) return;
  const shim = await running(scene);
  const pid = await shim.shimPid();
  const before = memoryOf(pid).rssKb;
  resetPeak(pid);
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(shim.socketPath)));
  const payload = encodeRequest(TASK_V2, "Wait", WaitRequest.encode({ id: shim.id, execId: "" }).finish());
  const frames = Buffer.concat(
    Array.from({ length: 1_000 }, (_, i) => encodeFrame({ streamId: 2 * i + 1, type: 1, flags: 0, payload })),
  );
  const refused = clients.map((client) => new Promise<void>((resolve) => client.socket.once("data", () => resolve())));
  for (const client of clients) client.socket.write(frames);
  await within("each of them to be refused some", 30_000, Promise.all(refused));
  const slowest = await slowestState(shim, 100);
  const grown = peakKb(pid) - before;
  t.diagnostic(`40,000 Waits: ${grown} kB more at most, State takes ${slowest.toFixed(1)} ms at most`);
  assert.ok(grown < 32_768, `${grown} kB`);
  // A newcomer may wait too.
  const late = await RawClient.connect(shim.socketPath);
  const waiting = callTask(late, "Wait", { id: shim.id });
  await shim.call("State");
  for (const client of clients) client.close();
  await shim.call("Kill", { signal: 9 });
  assert.equal((await waiting).exitStatus, 137);
  late.close();
  await shim.end(scene);
});

test("hostile peers: a runtime call that hangs holds a whole connection's requests back, and nobody else's", async (t) => {
  if (onlyMoor(t, "peers-cost-a-fixed-amount")) return;
  const runtime = new HeldRuntime(scene, "update", "before");
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create({ options: runtime.options });
  await shim.call("Start");
  const pid = await shim.shimPid();
  resetPeak(pid);
  const greedy = await RawClient.connect(shim.socketPath);
  const value = new TextEncoder().encode(`{"pad":"${"p".repeat(3 << 20)}"}`);
  const ends = Array.from({ length: 12 }, () =>
    callTask(greedy, "Update", { id: shim.id, resources: { typeUrl: "x", value } }).then(
      () => 0,
      (cause: unknown) => (cause instanceof StatusError ? cause.code : -1),
    ),
  );
  await runtime.held();
  assert.equal(await Promise.race(ends), Code.RESOURCE_EXHAUSTED, "those beyond the bound are refused at once");
  const slowest = await slowestState(shim, 100);
  t.diagnostic(
    `12 Updates of 3 MiB that hang: ${peakKb(pid)} kB at most, State takes ${slowest.toFixed(1)} ms at most`,
  );
  assert.ok(isAlive(pid));
  greedy.close();
  runtime.release();
  await Promise.all(ends);
  await shim.end(scene);
});

test("hostile peers: execs that are added and never deleted are bounded, by number and by size", async (t) => {
  if (onlyMoor(t, "peers-cost-a-fixed-amount")) return;
  const shim = await running(scene);
  const spec = (pad: number) => ({
    typeUrl: "x",
    value: new TextEncoder().encode(`{"args":["/bin/true"],"cwd":"/","pad":"${"p".repeat(pad)}"}`),
  });
  for (const pad of [3 << 20, 100]) {
    let fault: unknown;
    let count = 0;
    for (; fault === undefined && count < 10_000; count++) {
      const added = shim.call("Exec", { execId: `e${pad}x${count}`, spec: spec(pad) });
      // One by one would take minutes; every hundredth tells how it goes.
      if (pad > 1_000 || count % 100 === 0)
        fault = await added.then(
          () => undefined,
          (cause: unknown) => cause,
        );
      else added.catch(() => undefined);
    }
    assert.ok(fault instanceof StatusError && fault.code === Code.RESOURCE_EXHAUSTED, String(fault));
    t.diagnostic(`execs with a spec of ${pad} bytes: ${count - 1} at most`);
    await shim.call("Delete", { execId: `e${pad}x0` });
    if (pad > 1_000) await shim.call("Delete", { execId: `e${pad}x1` });
  }
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  await shim.end(scene);
});
