import assert from "node:assert/strict";
import { test } from "node:test";
import type { Runtime } from "../oci/runtime.ts";
import type { Pid } from "../sys/sys.d.ts";
import type { ContainerCgroup } from "./container-cgroup.ts";
import { Freezing } from "./freezing.ts";
import { Process } from "./process.ts";
import type { TaskEvents } from "./task-events.ts";

/** A running container whose runtime ends when the test says so, and what was told of it. */
function scene() {
  const init = new Process({
    kind: "init",
    containerId: "c1",
    execId: "",
    stdin: "",
    stdout: "",
    stderr: "",
    terminal: false,
  });
  init.ask("start");
  init.happened("started");
  const told: string[] = [];
  let resolve: () => void = () => undefined;
  let reject: (thrown: Error) => void = () => undefined;
  const promise = new Promise<void>((onEnd, onFailure) => {
    resolve = onEnd;
    reject = onFailure;
  });
  const freezing = new Freezing(
    { id: "c1", init, runtime: { pause: () => promise, resume: () => promise } as unknown as Runtime },
    { paused: () => told.push("paused"), resumed: () => told.push("resumed") } as unknown as TaskEvents,
    { thaw: (why: string) => told.push(`thawed: ${why}`), known: undefined } as unknown as ContainerCgroup,
  );
  return { init, told, runtime: { resolve, reject }, freezing };
}

test("pause: told once the runtime has done it", async () => {
  const { init, told, runtime, freezing } = scene();
  const asked = freezing.pause();
  assert.deepEqual(told, []);
  runtime.resolve();
  await asked;
  assert.deepEqual([told, init.data.state], [["paused"], "paused"]);
});

test("pause: of a container that has ended meanwhile nothing is told", async () => {
  const { init, told, runtime, freezing } = scene();
  const asked = freezing.pause();
  init.setExit({ pid: 7 as Pid, status: 3, signal: 0, atNs: 5n });
  init.happened("exited");
  runtime.resolve();
  await asked;
  assert.deepEqual(told, []);
});

test("pause: what a failing runtime may have frozen is thawed", async () => {
  const { init, told, runtime, freezing } = scene();
  const asked = freezing.pause();
  runtime.reject(new Error("no freezer"));
  await assert.rejects(asked, /no freezer/);
  assert.deepEqual([told, init.data.state], [["thawed: that could not be paused"], "running"]);
});
