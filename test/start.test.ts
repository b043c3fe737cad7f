// The shim's actions as containerd calls them: start, delete, -info, -v; the answer on stdout and nothing else, the
// socket, the group, stale sockets, and what happens to a shim that is left alone.

import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, statSync, unlinkSync } from "node:fs";
import { test } from "node:test";
import { BootstrapParams, BootstrapResult } from "../src/api/bootstrap.ts";
import { Options } from "../src/api/runc-options.ts";
import { DeleteResponse } from "../src/api/task.ts";
import { RuntimeInfo } from "../src/api/types.ts";
import { run } from "./harness/command.ts";
import { callTask, DirectShim, shimAction, TestBundle } from "./harness/direct-shim.ts";
import { meantDifference, onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { shimSocketPath } from "./harness/leaks.ts";
import { isAlive, markedProcesses } from "./harness/processes.ts";
import { RawClient, StatusError } from "./harness/raw-ttrpc.ts";
import { shimPath } from "./harness/repository.ts";
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

function socketOf(id: string): string {
  return shimSocketPath(scene.daemon.address, scene.namespace, id);
}

/** An Any with runtime options, as containerd 1.6 to 2.2 send it on stdin. */
function optionsInput(): Buffer {
  const value = Options.encode(Options.decode(new Uint8Array())).finish();
  const typeUrl = Buffer.from("containerd.runc.v1.Options");
  return Buffer.concat([Buffer.from([0x0a, typeUrl.length]), typeUrl, Buffer.from([0x12, value.length]), value]);
}

test("start: answers with the plain address and nothing else, whatever MAX_SHIM_VERSION says", async () => {
  for (const environment of [{}, { MAX_SHIM_VERSION: "2" }]) {
    for (const input of [Buffer.alloc(0), optionsInput()]) {
      const bundle = new TestBundle(scene, ["/bin/true"]);
      const result = await shimAction(scene, bundle, ["start"], { environment, input });
      assert.equal(result.stdout.trimEnd(), `unix://${socketOf(bundle.id)}`);
      assert.equal(result.stderr, "");
      const shim = await DirectShim.startIn(scene, bundle).catch(() => undefined);
      if (shim !== undefined) await shim.end(scene);
      else await endByAddress(bundle);
    }
  }
});

/** Ends the shim of a bundle whose second start was refused. */
async function endByAddress(bundle: TestBundle): Promise<void> {
  const client = await RawClient.connect(socketOf(bundle.id));
  const { shimPid } = await callTask(client, "Connect", { id: bundle.id });
  await callTask(client, "Shutdown", { id: bundle.id }).catch(() => undefined);
  client.close();
  await until("the shim to end", 10_000, () => !isAlive(shimPid));
  await shimAction(scene, bundle, ["-bundle", bundle.dir, "delete"]);
  bundle.remove();
}

test("start: socket and folder are their owner's alone", async () => {
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  assert.equal(statSync(shim.socketPath).mode & 0o777, 0o600);
  assert.equal(statSync("/run/containerd/s").mode & 0o066, 0, "nobody else reads or writes the folder");
  await shim.end(scene);
});

test("start: the shim is a daemon of its own: its parent is init, its session its own", async () => {
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const pid = await shim.shimPid();
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [, ppid, group] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  assert.equal(ppid, 1);
  assert.equal(group, pid);
  await shim.end(scene);
});

test("start: a BootstrapParams on stdin is answered by a BootstrapResult", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const bundle = new TestBundle(scene, ["/bin/true"]);
  const params = { ...BootstrapParams.decode(new Uint8Array()), instanceId: bundle.id, namespace: scene.namespace };
  const input = Buffer.from(BootstrapParams.encode(params).finish());
  const result = await shimAction(scene, bundle, ["start"], { input });
  assert.equal(result.status, 0, result.stderr);
  const answer = BootstrapResult.decode(result.stdoutBytes);
  assert.equal(answer.address, `unix://${socketOf(bundle.id)}`);
  assert.equal(answer.protocol, "ttrpc");
  assert.ok([2, 3].includes(answer.version));
  await endByAddress(bundle);
});

test("start: of a group that is served answers with the same address and makes no new process", async () => {
  const group = scene.newId("group");
  const annotate = (spec: { annotations: Record<string, string> }): void => {
    spec.annotations["io.containerd.runc.v2.group"] = group;
  };
  const first = await DirectShim.start(scene, ["/bin/true"], annotate);
  assert.equal(first.socketPath, socketOf(group));
  const before = markedProcesses(scene.tag).length;
  const second = await DirectShim.start(scene, ["/bin/true"], annotate);
  assert.equal(second.socketPath, first.socketPath);
  assert.equal(markedProcesses(scene.tag).length, before);
  assert.equal(await second.shimPid(), await first.shimPid());
  second.client.close();
  second.bundle.remove();
  await first.end(scene);
});

test("start: a stale socket is replaced", async () => {
  const bundle = new TestBundle(scene, ["/bin/true"]);
  const first = await DirectShim.startIn(scene, bundle);
  const pid = await first.shimPid();
  process.kill(pid, "SIGKILL");
  await until("the shim to be gone", 5_000, () => !isAlive(pid));
  assert.ok(existsSync(socketOf(bundle.id)), "a killed shim leaves its socket");
  const second = await DirectShim.startIn(scene, bundle);
  assert.notEqual(await second.shimPid(), pid);
  await second.end(scene);
});

test("start: two at once in one group, both meeting a stale socket, end up with one shim", async (t) => {
  if (onlyMoor(t, "one-shim-however-many-starts")) return;
  const group = scene.newId("group");
  const annotate = (spec: { annotations: Record<string, string> }): void => {
    spec.annotations["io.containerd.runc.v2.group"] = group;
  };
  for (let round = 0; round < 5; round++) {
    const stale = await DirectShim.start(scene, ["/bin/true"], annotate);
    const pid = await stale.shimPid();
    process.kill(pid, "SIGKILL");
    await until("the shim to be gone", 5_000, () => !isAlive(pid));
    stale.bundle.remove();
    const shims = await Promise.all([1, 2, 3, 4].map(() => DirectShim.start(scene, ["/bin/true"], annotate)));
    assert.equal(new Set(await Promise.all(shims.map((shim) => shim.shimPid()))).size, 1);
    const [first, ...others] = shims;
    for (const shim of others) {
      shim.client.close();
      shim.bundle.remove();
    }
    await first?.end(scene);
  }
});

test("start: without config.json, with an unknown flag, or without an id it fails in words and leaves nothing", async () => {
  const bundle = new TestBundle(scene, ["/bin/true"]);
  unlinkSync(`${bundle.dir}/config.json`);
  const noSpec = await shimAction(scene, bundle, ["start"]);
  assert.notEqual(noSpec.status, 0);
  assert.match(noSpec.stdout + noSpec.stderr, /config\.json/);
  const noFlag = await run([shimPath(), "-no-such-flag", "start"], { cwd: bundle.dir });
  assert.notEqual(noFlag.status, 0);
  assert.match(noFlag.stdout + noFlag.stderr, /no-such-flag/);
  const noNamespace = await run([shimPath(), "-id", bundle.id, "start"], { cwd: bundle.dir });
  assert.notEqual(noNamespace.status, 0);
  assert.match(noNamespace.stdout + noNamespace.stderr, /namespace/);
  bundle.remove();
  assert.deepEqual(markedProcesses(scene.tag), []);
});

test("delete: of a bundle nothing was ever started in is a DeleteResponse", async (t) => {
  if (onlyMoor(t, "delete-of-nothing-succeeds")) return;
  const bundle = new TestBundle(scene, ["/bin/true"]);
  const result = await shimAction(scene, bundle, ["-bundle", bundle.dir, "delete"]);
  assert.equal(result.status, 0, result.stderr);
  assert.equal(DeleteResponse.decode(result.stdoutBytes).exitStatus, 137);
  bundle.remove();
});

test("delete: of a running shim's member touches neither socket nor siblings", async () => {
  const group = scene.newId("group");
  const annotate = (spec: { annotations: Record<string, string> }): void => {
    spec.annotations["io.containerd.runc.v2.group"] = group;
  };
  const first = await DirectShim.start(scene, ["/bin/sleep", "1000"], annotate);
  await first.create();
  await first.call("Start");
  const second = await DirectShim.start(scene, ["/bin/sleep", "1000"], annotate);
  await second.create();
  await second.call("Start");
  await second.call("Kill", { signal: 9 });
  await second.call("Wait");
  await second.call("Delete");
  const result = await shimAction(scene, second.bundle, ["-bundle", second.bundle.dir, "delete"]);
  assert.equal(result.status, 0, result.stderr);
  second.client.close();
  second.bundle.remove();
  assert.ok(existsSync(first.socketPath));
  assert.equal((await first.call("State")).id, first.id);
  await first.end(scene);
});

test("-v names the program and its version", async () => {
  const result = await run([shimPath(), "-v"], { env: {} });
  assert.equal(result.status, 0);
  assert.match(result.stdout, /containerd-shim-\w+-v2|moor/i);
  assert.match(result.stdout, /\d+\.\d+\.\d+/);
});

test("-info tells name, version and features", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const result = await run([shimPath(), "-info"], { input: Buffer.alloc(0) });
  assert.equal(result.status, 0, result.stderr);
  const info = RuntimeInfo.decode(result.stdoutBytes);
  assert.match(info.name, /moor/);
  assert.notEqual(info.version?.version, "");
  const features = JSON.parse(new TextDecoder().decode(info.features?.value)) as Record<string, unknown>;
  assert.ok("ociVersionMin" in features, JSON.stringify(features).slice(0, 200));
});

test("log: lines in logrus's form reach the bundle's log FIFO", async () => {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  // Something worth a line for either shim: a signal to write its state.
  process.kill(await shim.shimPid(), "SIGUSR1");
  await shim.bundle.log.untilText(/^time="[^"]+" level=\w+ msg=/m, 5_000);
  await shim.end(scene);
});

test("log: without the FIFO everything else works", async (t) => {
  if (onlyMoor(t, "no-log-no-harm")) return;
  const bundle = new TestBundle(scene, ["/bin/true"]);
  rmSync(`${bundle.dir}/log`);
  const shim = await DirectShim.startIn(scene, bundle);
  await shim.create();
  await shim.call("Start");
  assert.equal((await shim.call("Wait")).exitStatus, 0);
  await shim.end(scene);
});

test("SIGTERM does not end a shim that has a container", async (t) => {
  if (onlyMoor(t, "sigterm-does-not-kill-containers")) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { pid } = await shim.create();
  await shim.call("Start");
  const shimPid = await shim.shimPid();
  process.kill(shimPid, "SIGTERM");
  await shim.bundle.log.untilText(/SIGTERM/, 5_000);
  assert.equal((await shim.call("State")).pid, pid);
  await shim.call("Kill", { signal: 9 });
  // After the last exit it goes by itself.
  await until("the shim to end after its last container", 10_000, () => !isAlive(shimPid));
  await shimAction(scene, shim.bundle, ["-bundle", shim.bundle.dir, "delete"]);
  shim.client.close();
  shim.bundle.remove();
});

test("SIGTERM right after start ends the empty shim in order, whatever it is still doing", async (t) => {
  if (onlyMoor(t, "sigterm-does-not-kill-containers")) return;
  for (let round = 0; round < 5; round++) {
    const bundle = new TestBundle(scene, ["/bin/true"]);
    assert.equal((await shimAction(scene, bundle, ["start"])).status, 0);
    const [shim] = markedProcesses(bundle.id);
    assert.ok(shim !== undefined);
    process.kill(shim.pid, "SIGTERM");
    await until("the shim to end", 5_000, () => !isAlive(shim.pid));
    assert.equal(existsSync(socketOf(bundle.id)), false, "its socket is gone");
    bundle.remove();
  }
});

test("events: nobody at TTRPC_ADDRESS hinders nothing, and all come in order once someone is there", async (t) => {
  const keeps = meantDifference(t, "events-outlast-the-daemon");
  await sink.close();
  const from = sink.events.length;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  await shim.call("Pause");
  await shim.call("Resume");
  await shim.call("Kill", { signal: 9 });
  await shim.call("Wait");
  await shim.call("Delete");
  await sink.open();
  if (keeps) {
    await sink.untilCount(from + 6, 20_000);
    assert.deepEqual(sink.topics().slice(from), ["create", "start", "paused", "resumed", "exit", "delete"]);
  }
  await shim.end(scene);
});

test("events: a broken connection in their midst loses none and changes no order", async (t) => {
  if (onlyMoor(t, "events-outlast-the-daemon")) return;
  const from = sink.events.length;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  for (let round = 0; round < 10; round++) {
    if (round % 3 === 1) await sink.close();
    await shim.call("Pause");
    if (round % 3 === 2) await sink.open();
    await shim.call("Resume");
  }
  if (!sink.isOpen) await sink.open();
  const expected = ["create", "start", ...Array.from({ length: 10 }, () => ["paused", "resumed"]).flat()];
  // At least once: the one in flight when the connection broke may come twice, next to itself.
  const seen = (): string[] =>
    sink
      .topics()
      .slice(from)
      .filter((topic, index, all) => topic !== all[index - 1]);
  await until(
    "all events",
    20_000,
    () => seen().length >= expected.length,
    () => JSON.stringify(seen()),
  );
  assert.deepEqual(seen(), expected);
  await shim.end(scene);
});

test("events: one that the receiver refuses does not stand in the way of the next", async (t) => {
  if (onlyMoor(t, "events-outlast-the-daemon")) return;
  const from = sink.events.length;
  sink.onForward = (event) => {
    if (event.topic === "/tasks/start") throw new StatusError(3, "refused");
  };
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  await shim.create();
  await shim.call("Start");
  await shim.call("Wait");
  await sink.untilCount(from + 2, 20_000);
  assert.deepEqual(sink.topics().slice(from), ["create", "exit"]);
  sink.onForward = () => undefined;
  await shim.end(scene);
});

test("events: without TTRPC_ADDRESS all else works", async () => {
  const bundle = new TestBundle(scene, ["/bin/true"]);
  const shim = await DirectShim.startIn(scene, bundle, { environment: { TTRPC_ADDRESS: undefined } }).catch(
    () => undefined,
  );
  // The stock shim of 1.6 may refuse to start; Moor does not.
  if (shim === undefined) {
    bundle.remove();
    return;
  }
  await shim.create();
  await shim.call("Start");
  assert.equal((await shim.call("Wait")).exitStatus, 0);
  await shim.end(scene);
});
