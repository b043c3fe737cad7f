// A shim that leaves: nobody is given the address of one that will not serve, and what it knows and could not tell is told
// by `delete`.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { onlyMoor } from "./harness/difference.ts";
import { DirectShim, shimAction, TestBundle } from "./harness/direct-shim.ts";
import { deleteRemains, nothingIsLeft, useFaultScene } from "./harness/fault-scene.ts";
import { Gates, gatedShimPath } from "./harness/gates.ts";
import { HeldRuntime } from "./harness/held-runtime.ts";
import type { OciSpec } from "./harness/oci-spec.ts";
import { isAlive } from "./harness/processes.ts";
import { findInPath } from "./harness/repository.ts";
import { until } from "./harness/until.ts";

const { scene, sink: sinkOf } = useFaultScene();

function stockDiffers(t: TestContext): boolean {
  return onlyMoor(t, "delete-knows-the-status");
}

function inGroup(group: string): (spec: OciSpec) => void {
  return (spec) => {
    spec.annotations["io.containerd.runc.v2.group"] = group;
  };
}

let count = 0;
function gates(): Gates {
  return new Gates(join(scene.dir, `gates-${count++}`));
}

/** How many sockets the kernel knows by this path: the listening one, and each connection's end that belongs to it. */
function socketsAt(path: string): number {
  const lines = readFileSync("/proc/net/unix", "utf8").split("\n");
  return lines.filter((line) => line.endsWith(` ${path}`)).length;
}

for (const step of ["shutdown.asked", "shutdown.unlinked", "shutdown.settled"] as const) {
  test(`leaving: a start that meets a shim at ${step} makes another`, async (t) => {
    if (stockDiffers(t)) return;
    const stops = gates();
    const options = { environment: stops.environment, shim: gatedShimPath() };
    const group = inGroup(scene.newId("group"));
    const first = await DirectShim.startIn(scene, new TestBundle(scene, ["/bin/true"], group), options);
    const oldPid = await first.shimPid();
    stops.arm(step);
    const leaving = first.call("Shutdown").catch(() => undefined);
    assert.equal(await stops.reached(step), oldPid);
    const before = socketsAt(first.socketPath);
    const secondStart = DirectShim.startIn(scene, new TestBundle(scene, ["/bin/sh", "-c", "exit 3"], group), options);
    if (step === "shutdown.asked") {
      // It has connected, and waits for an answer.
      await until("the second start to have connected", 5_000, () => socketsAt(first.socketPath) > before);
      stops.pass(step);
    }
    const second = await secondStart;
    assert.notEqual(await second.shimPid(), oldPid);
    stops.pass(step);
    await leaving;
    await until("the first shim to be gone", 10_000, () => !isAlive(oldPid));
    assert.ok(existsSync(second.socketPath), "the first has not taken the second's socket away");
    await second.create();
    await second.call("Start");
    assert.equal((await second.call("Wait")).exitStatus, 3);
    await second.end(scene);
    await deleteRemains(scene, first);
    first.bundle.remove();
  });
}

test("leaving: a shim that a start was promised stays until that container has come and gone", async (t) => {
  if (stockDiffers(t)) return;
  const group = inGroup(scene.newId("group"));
  const first = await DirectShim.start(scene, ["/bin/true"], group);
  const pid = await first.shimPid();
  const second = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 4"], group);
  await first.call("Shutdown");
  assert.equal(await second.shimPid(), pid);
  await second.create();
  await second.call("Start");
  assert.equal((await second.call("Wait")).exitStatus, 4);
  await second.call("Delete");
  // More are promised, which never come: of one its own Shutdown is the last word, on the other time is.
  const third = await DirectShim.start(scene, ["/bin/true"], group);
  const fourth = await DirectShim.start(scene, ["/bin/true"], group);
  await second.call("Shutdown");
  await third.call("Shutdown");
  assert.equal(await third.shimPid(), pid);
  await until("the shim to be gone", 10_000, () => !isAlive(pid));
  for (const shim of [first, second, third, fourth]) {
    shim.client.close();
    await deleteRemains(scene, shim);
    shim.bundle.remove();
  }
});

test("leaving: a start whose group's shim stands still gets its address after a bounded time", async (t) => {
  if (stockDiffers(t)) return;
  const group = inGroup(scene.newId("group"));
  const first = await DirectShim.start(scene, ["/bin/true"], group);
  const pid = await first.shimPid();
  const bundle = new TestBundle(scene, ["/bin/true"], group);
  process.kill(pid, "SIGSTOP");
  const began = performance.now();
  const result = await shimAction(scene, bundle, ["start"]);
  const tookMs = performance.now() - began;
  process.kill(pid, "SIGCONT");
  assert.equal(result.stdout, `unix://${first.socketPath}`, result.stderr);
  assert.ok(tookMs > 1_000 && tookMs < 5_000, `${tookMs} ms`);
  // It reads the question now, and waits for that container for a while.
  await first.end(scene);
  bundle.remove();
});

test("leaving: events that the daemon did not take are delivered by delete, in order, and the file goes", async (t) => {
  if (stockDiffers(t)) return;
  const sink = sinkOf();
  const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 6"]);
  const pid = await shim.shimPid();
  await sink.close();
  const from = sink.events.length;
  await shim.create();
  await shim.call("Start");
  assert.equal((await shim.call("Wait")).exitStatus, 6);
  await shim.call("Delete");
  await shim.call("Shutdown").catch(() => undefined);
  await until("the shim to be gone", 10_000, () => !isAlive(pid));
  const files = (): string[] => readdirSync(shim.bundle.dir).filter((name) => name.startsWith("events"));
  assert.deepEqual(files(), ["events.left"]);
  // A daemon that is away costs delete nothing, and the events stay.
  assert.equal((await deleteRemains(scene, shim)).exitStatus, 6);
  assert.deepEqual(files(), ["events.left"]);
  await sink.open();
  assert.equal((await deleteRemains(scene, shim)).exitStatus, 6);
  assert.deepEqual(sink.topics().slice(from), ["create", "start", "exit", "delete"]);
  assert.deepEqual(files(), []);
  await deleteRemains(scene, shim);
  assert.equal(sink.events.length, from + 4);
  shim.client.close();
  shim.bundle.remove();
});

test("leaving: a group whose shim is of another make goes on with that one, whose address start gives", async (t) => {
  if (stockDiffers(t)) return;
  const stock = findInPath("containerd-shim-runc-v2");
  if (stock === undefined) return t.diagnostic("there is no stock shim");
  const group = inGroup(scene.newId("group"));
  const first = await DirectShim.startIn(scene, new TestBundle(scene, ["/bin/true"], group), { shim: stock });
  const pid = await first.shimPid();
  const second = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 7"], group);
  assert.equal(second.socketPath, first.socketPath);
  assert.equal(await second.shimPid(), pid);
  await second.create();
  await second.call("Start");
  assert.equal((await second.call("Wait")).exitStatus, 7);
  await second.call("Delete");
  await second.call("Shutdown").catch(() => undefined);
  await until("the stock shim to be gone", 10_000, () => !isAlive(pid));
  for (const shim of [first, second]) {
    shim.client.close();
    await deleteRemains(scene, shim);
    shim.bundle.remove();
  }
});

test("leaving: a Create that Shutdown has given up meanwhile is taken back when it is done, and the shim goes", async (t) => {
  if (stockDiffers(t)) return;
  const runtime = new HeldRuntime(scene, "create", "after");
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const pid = await shim.shimPid();
  const creating = shim.create({ options: runtime.options }).catch((cause: unknown) => cause);
  await runtime.held();
  await shim.call("Shutdown");
  assert.equal(await shim.shimPid(), pid, "a Shutdown alone ends nothing that is under way");
  runtime.release();
  await creating;
  await until("the shim to be gone", 10_000, () => !isAlive(pid));
  const topics = () => sinkOf().events.filter(({ containerId }) => containerId === shim.id);
  assert.deepEqual(
    topics().map(({ topic }) => topic),
    ["/tasks/create", "/tasks/exit", "/tasks/delete"],
  );
  assert.equal(existsSync(shim.socketPath), false);
  await nothingIsLeft(scene, shim);
  shim.client.close();
  await deleteRemains(scene, shim);
  shim.bundle.remove();
});
