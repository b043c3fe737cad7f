// The shim by itself, without a daemon: its Task service over ttrpc, call by call, with the codes and the exact answers
// that daemons rely on.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Status } from "../src/api/process.ts";
import { callTask, DirectShim, METHOD_NAMES, TASK_V3, type Method, type RequestOf } from "./harness/direct-shim.ts";
import { meantDifference, onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { isAlive } from "./harness/processes.ts";
import { RawClient, StatusError } from "./harness/raw-ttrpc.ts";
import { useScene } from "./harness/scene.ts";
import { staysPending, until } from "./harness/until.ts";

let sink: EventSink;
const scene = useScene({
  withoutDaemon: true,
  prepare: async (scene) => {
    sink = new EventSink(`${scene.daemon.address}.ttrpc`);
    scene.onClose(() => void sink.close());
    await sink.open();
  },
});

const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;
const YEAR_ONE = -62_135_596_800n;

function code(...codes: number[]) {
  return (fault: unknown): boolean => {
    assert.ok(fault instanceof StatusError, String(fault));
    assert.ok(codes.includes(fault.code), `code ${fault.code}: ${fault.message}`);
    return true;
  };
}

test("task service: the life of a container, with every answer", async () => {
  const shim = await DirectShim.start(scene, ["/bin/payload", "signals"]);
  const { id } = shim;
  assert.deepEqual(
    await shim.call("Connect"),
    { shimPid: await shim.shimPid(), taskPid: 0, version: "" },
    "before Create",
  );
  const { pid } = await shim.create();
  const created = await shim.call("State");
  assert.deepEqual(
    { id: created.id, bundle: created.bundle, pid: created.pid, status: created.status, execId: created.execId },
    { id, bundle: shim.bundle.dir, pid, status: Status.CREATED, execId: "" },
  );
  assert.equal(created.exitedAt?.seconds, YEAR_ONE);
  assert.equal((await shim.call("Start")).pid, pid);
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  assert.equal((await shim.call("Connect")).taskPid, pid);
  assert.deepEqual(
    (await shim.call("Pids")).processes.map((info) => info.pid),
    [pid],
  );
  assert.ok(((await shim.call("Stats")).stats?.value.length ?? 0) > 0);
  const waiting = shim.call("Wait");
  await staysPending("Wait for a running container", 50, waiting);
  await shim.call("Kill", { signal: 9 });
  const exit = await waiting;
  assert.equal(exit.exitStatus, 137);
  const stopped = await shim.call("State");
  assert.deepEqual([stopped.status, stopped.pid, stopped.exitStatus], [Status.STOPPED, pid, 137]);
  assert.deepEqual(stopped.exitedAt, exit.exitedAt);
  const deleted = await shim.call("Delete");
  assert.deepEqual(deleted, { pid, exitStatus: 137, exitedAt: exit.exitedAt });
  await assert.rejects(shim.call("State"), code(NOT_FOUND));
  await shim.end(scene);
});

test("task service: events reach TTRPC_ADDRESS in order, each with time, namespace and topic", async () => {
  const from = sink.events.length;
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  await shim.create();
  await shim.call("Start");
  await shim.call("Wait");
  await shim.call("Delete");
  await sink.untilCount(from + 4);
  assert.deepEqual(sink.topics().slice(from), ["create", "start", "exit", "delete"]);
  for (const envelope of sink.envelopes.slice(from)) {
    assert.ok((envelope.timestamp?.seconds ?? 0n) > 1_600_000_000n);
    assert.equal(envelope.namespace, scene.namespace);
    assert.match(envelope.event?.typeUrl ?? "", /^containerd\.events\.Task/);
  }
  await shim.end(scene);
});

test("task service: of an id it does not know, each method says NotFound; Connect has no pid", async () => {
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const rest: Partial<{ [M in Method]: Partial<RequestOf<M>> }> = {
    Kill: { signal: 9 },
    Exec: { execId: "e" },
    Checkpoint: { path: "/nowhere" },
  };
  for (const method of METHOD_NAMES) {
    if (method === "Create" || method === "Connect" || method === "Shutdown") continue;
    await assert.rejects(shim.call(method, { id: "nobody", ...rest[method] } as never), (fault) => {
      assert.ok(code(NOT_FOUND, FAILED_PRECONDITION)(fault), method);
      return true;
    });
  }
  assert.equal((await shim.call("Connect", { id: "nobody" })).taskPid, 0);
  await shim.end(scene);
});

test("task service: Create of an id that is there is AlreadyExists", async (t) => {
  if (onlyMoor(t, "create-twice-is-refused")) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { pid } = await shim.create();
  await assert.rejects(shim.create(), code(ALREADY_EXISTS));
  assert.equal((await shim.call("State")).pid, pid);
  assert.ok(isAlive(pid));
  await shim.end(scene);
});

test("task service: Start twice, Delete of a running one, Resume of one that runs", async (t) => {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  const refusal = meantDifference(t, "refusals-have-a-code") ? code(FAILED_PRECONDITION) : code(FAILED_PRECONDITION, 2);
  await assert.rejects(shim.call("Start"), refusal);
  await assert.rejects(shim.call("Delete"), refusal);
  await assert.rejects(shim.call("Resume"), refusal);
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  await shim.end(scene);
});

test("task service: Delete of a created container that was never started ends it", async () => {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { pid } = await shim.create();
  await shim.call("Delete").catch(async () => {
    await shim.call("Kill", { signal: 9 });
    await shim.call("Wait");
    await shim.call("Delete");
  });
  await until("the created init to be gone", 5_000, () => !isAlive(pid));
  await shim.end(scene);
});

test("task service: an unknown service and an unknown method are Unimplemented", async () => {
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const nothing = new Uint8Array();
  await assert.rejects(shim.client.call("no.such.Service", "State", nothing), code(UNIMPLEMENTED));
  await assert.rejects(shim.client.call("containerd.task.v2.Task", "NoSuchMethod", nothing), code(UNIMPLEMENTED));
  await shim.end(scene);
});

test("task service: version 3 is served beside version 2", async (t) => {
  if (onlyMoor(t, "both-task-versions")) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { id, client } = shim;
  const { pid } = await callTask(client, "Create", { id, bundle: shim.bundle.dir }, TASK_V3);
  await callTask(client, "Start", { id }, TASK_V3);
  assert.equal((await callTask(client, "State", { id }, TASK_V3)).pid, pid);
  assert.equal((await shim.call("State")).pid, pid);
  await shim.end(scene);
});

test("task service: Shutdown with a container in it does nothing", async () => {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { pid } = await shim.create();
  await shim.call("Start");
  await shim.call("Shutdown");
  assert.equal((await shim.call("State")).pid, pid);
  await shim.end(scene);
});

test("task service: garbage from one client costs that connection only", async () => {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  const bad = await RawClient.connect(shim.socketPath);
  // A frame that claims 4 GiB: the server may cut the connection or go on waiting for it, but serves the others.
  bad.socket.write(Buffer.alloc(64, 0xff));
  const half = await RawClient.connect(shim.socketPath);
  half.socket.write(Buffer.from([0, 0, 1, 0, 0, 0]));
  assert.equal((await shim.call("State")).status, Status.CREATED);
  half.close();
  bad.close();
  assert.equal((await shim.call("State")).status, Status.CREATED);
  await shim.end(scene);
});

test("task service: a request that does not decode is an error on its stream", async () => {
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  await assert.rejects(
    shim.client.call("containerd.task.v2.Task", "State", Uint8Array.of(0x0a, 0x7f, 0x41)),
    StatusError,
  );
  assert.equal((await shim.call("Connect")).taskPid, 0);
  await shim.end(scene);
});

test("task service: many clients wait at once, and one that goes away disturbs none", async () => {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(shim.socketPath)));
  const waits = clients.map((client) => callTask(client, "Wait", { id: shim.id }));
  const lost = clients.splice(0, 5);
  const gone = Promise.allSettled(waits.splice(0, 5));
  for (const client of lost) client.close();
  await gone;
  await shim.call("Kill", { signal: 9 });
  for (const { exitStatus } of await Promise.all(waits)) assert.equal(exitStatus, 137);
  for (const client of clients) client.close();
  await shim.end(scene);
});

test("task service: Pids of a stopped container names its init until Delete", async (t) => {
  if (onlyMoor(t, "pids-of-a-stopped-task")) return;
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const { pid } = await shim.create();
  await shim.call("Start");
  await shim.call("Wait");
  assert.deepEqual(
    (await shim.call("Pids")).processes.map((info) => info.pid),
    [pid],
  );
  await shim.call("Delete");
  await assert.rejects(shim.call("Pids"), code(NOT_FOUND));
  await shim.end(scene);
});

test("task service: the bundle's address file names the socket", async () => {
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  await shim.create();
  assert.equal(readFileSync(join(shim.bundle.dir, "address"), "utf8"), `unix://${shim.socketPath}`);
  await shim.end(scene);
});

test("task service: a Create that fails leaves a shim that can try again", async () => {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const bad = shim.create({ rootfs: [{ type: "no-such-type", source: "nothing", target: "", options: [] }] });
  await assert.rejects(bad, StatusError);
  await assert.rejects(shim.call("State"), code(NOT_FOUND));
  const { pid } = await shim.create();
  assert.equal((await shim.call("State")).pid, pid);
  await shim.end(scene);
});
