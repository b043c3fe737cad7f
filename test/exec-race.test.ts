// Five hundred execs race the death of their container's init, whose pid namespace is its own or the machine's: each start
// that was told has one exit, the execs' exits come before init's, and none starts after it.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { DirectShim, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { execSpec, useFaultScene } from "./harness/fault-scene.ts";
import { Gates, gatedShimPath } from "./harness/gates.ts";
import { until } from "./harness/until.ts";

const { scene, sink: sinkOf } = useFaultScene();
const EXECS = 500;
/** Started when init is killed; the others are added, and their starts are on the way. */
const STARTED_FIRST = 25;

for (const namespace of ["private", "shared"] as const) {
  test(`exec race: ${EXECS} execs and the death of init, ${namespace} pid namespace`, async (t) => {
    if (onlyMoor(t, "delete-knows-the-status")) return;
    const sink = sinkOf();
    const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"], (spec) => {
      if (namespace === "shared") spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
    });
    await shim.create();
    await shim.call("Start");
    const ids = Array.from({ length: EXECS }, (_, i) => `e${i}`);
    for (const execId of ids) await shim.call("Exec", { execId, spec: execSpec("/bin/sleep", "1000") });
    let done = 0;
    const starts = ids.map((execId) =>
      shim
        .call("Start", { execId })
        .then(() => true)
        .catch(() => false)
        .finally(() => done++),
    );
    const waits = ids.map((execId) => shim.call("Wait", { execId }));
    const initWait = shim.call("Wait");
    await until("some to have started", 60_000, () => done >= STARTED_FIRST);
    await shim.call("Kill", { signal: 9 });
    assert.equal((await initWait).exitStatus, 137);
    const started = await Promise.all(starts);
    for (const [i, wait] of waits.entries()) {
      const { exitStatus } = await wait;
      assert.equal(exitStatus, started[i] === true ? 137 : 255, `Wait of e${i}`);
    }
    const own = () => sink.events.filter(({ containerId }) => containerId === shim.id);
    await until("the exit of init to be told", 10_000, () => own().some(({ processId }) => processId === shim.id));
    const ran = own().filter(({ topic }) => topic === "/tasks/exec-started" || topic === "/tasks/exit");
    assert.equal(ran.at(-1)?.processId, shim.id, "the exit of init is the last");
    const topicsOf = new Map<string, string[]>();
    for (const { topic, processId } of ran) topicsOf.set(processId, [...(topicsOf.get(processId) ?? []), topic]);
    for (const [i, execId] of ids.entries()) {
      const expected = started[i] === true ? ["/tasks/exec-started", "/tasks/exit"] : undefined;
      assert.deepEqual(topicsOf.get(execId), expected, execId);
    }
    assert.deepEqual(topicsOf.get(shim.id), ["/tasks/exit"]);
    const count = started.filter(Boolean).length;
    t.diagnostic(`${count} of ${EXECS} had started`);
    assert.ok(count >= STARTED_FIRST && count < EXECS, "it was a race");
    for (const execId of ids) await shim.call("Delete", { execId });
    await shim.end(scene);
  });
}

for (const [namespace, step] of [
  ["private", "exec.spawned"],
  ["private", "exec.ended"],
  ["private", "exec.claimed"],
  ["private", "exec.attached"],
  ["private", "exec.told"],
  ["shared", "exec.spawned"],
  ["shared", "exec.ended"],
  ["shared", "exec.claimed"],
  ["shared", "exec.attached"],
  ["shared", "exec.told"],
] as const) {
  test(`exec race: init is killed just when the start of an exec is at ${step}, ${namespace} pid namespace`, async (t) => {
    if (onlyMoor(t, "delete-knows-the-status")) return;
    const stops = new Gates(join(scene.dir, `gates-${namespace}-${step}`));
    const bundle = new TestBundle(scene, ["/bin/sleep", "1000"], (spec) => {
      if (namespace === "shared") spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
    });
    const shim = await DirectShim.startIn(scene, bundle, { environment: stops.environment, shim: gatedShimPath() });
    const { pid } = await shim.create();
    await shim.call("Start");
    await shim.call("Exec", { execId: "e", spec: execSpec("/bin/sleep", "1000") });
    stops.arm(step);
    const starting = shim.call("Start", { execId: "e" }).then(
      () => true,
      () => false,
    );
    const waits = Promise.all([shim.call("Wait", { execId: "e" }), shim.call("Wait")]);
    await stops.reached(step);
    // Behind the shim's back, and while it cannot look.
    process.kill(pid, "SIGKILL");
    stops.pass(step);
    const started = await starting;
    const [exec, init] = await waits;
    assert.deepEqual([exec.exitStatus, init.exitStatus], [started ? 137 : 255, 137]);
    const own = () => sinkOf().events.filter(({ containerId }) => containerId === shim.id);
    await until("the exit of init to be told", 10_000, () => own().at(-1)?.processId === shim.id);
    const told = own().map(({ topic, processId }) => `${topic.replace("/tasks/", "")} ${processId === "e" ? "e" : ""}`);
    const ofExec = started ? ["exec-started e", "exit e"] : [];
    assert.deepEqual(told, ["create ", "start ", "exec-added e", ...ofExec, "exit "]);
    await shim.call("Delete", { execId: "e" });
    await shim.end(scene);
  });
}
