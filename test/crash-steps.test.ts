// The shim crashes at each numbered step of a life (docs/faults.md): the process lives on with its pid and connections, a
// Wait is not disturbed, a call that was under way is refused once, the state is true, no exit and no output is lost,
// each event comes once, and nothing is left behind.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Status } from "../src/api/process.ts";
import type { WaitResponse } from "../src/api/task.ts";
import { gates } from "../src/sys/gates.ts";
import { callOnce, callUntilDone, crashesOf, crashShim, killSurely, statusOf } from "./harness/crash.ts";
import { DirectShim, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { FifoReader, makeFifo } from "./harness/fifo.ts";
import { type GateName, Gates, gatedShimPath } from "./harness/gates.ts";
import { ociProcess } from "./harness/oci-spec.ts";
import { useScene } from "./harness/scene.ts";
import { until, within } from "./harness/until.ts";

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
const init = ["/bin/sh", "-c", "trap 'echo ended; exit 5' TERM; echo began; sleep 1000 & wait"];
const exec = ["/bin/sh", "-c", "echo from the exec; exit 3"];

const steps = (Object.keys(gates) as GateName[]).filter((name) => !/^(launch|remains|shutdown)/.test(name));

/** One life of a container and an exec; crashes are none of its business, but for calls that were cut short. */
class Life {
  readonly shim: DirectShim;
  out: FifoReader;
  execOut: FifoReader;
  readonly #paths: { readonly out: string; readonly execOut: string };
  waiting: Promise<WaitResponse> | undefined;
  isOver = false;

  constructor(shim: DirectShim) {
    this.shim = shim;
    this.#paths = { out: join(shim.bundle.dir, "out"), execOut: join(shim.bundle.dir, "exec-out") };
    makeFifo(this.#paths.out);
    makeFifo(this.#paths.execOut);
    this.out = new FifoReader(this.#paths.out, true);
    this.execOut = new FifoReader(this.#paths.execOut, true);
  }

  async run(): Promise<void> {
    const { shim } = this;
    const is = async (status: number, execId = ""): Promise<boolean> => (await statusOf(shim, execId)) === status;
    const rootfs = [{ type: "bind", source: scene.rootfs, target: "", options: ["rbind", "rw"] }];
    const create = { bundle: shim.bundle.dir, rootfs, stdout: this.#paths.out };
    await callUntilDone(shim, "Create", create, async () => {
      if (await is(Status.CREATED)) return true;
      // A Create that was taken back has ended the stream.
      this.out.close();
      this.out = new FifoReader(this.#paths.out, true);
      return false;
    });
    this.waiting = shim.call("Wait");
    // It may fail before it is awaited; then it says so there.
    this.waiting.catch(() => undefined);
    await callUntilDone(shim, "Start", {}, () => is(Status.RUNNING));
    await this.out.untilText(/began/);
    await this.#exec();
    await killSurely(shim, 15);
    assert.equal((await this.waiting).exitStatus, 5);
    assert.equal(await this.out.allText(), "began\nended\n");
    assert.ok(await is(Status.STOPPED));
    for (let isThere = true; isThere; isThere = await is(Status.STOPPED)) {
      const deleted = await callOnce(shim, "Delete");
      if (deleted !== undefined) assert.equal(deleted.exitStatus, 5);
    }
    assert.equal(await statusOf(shim), undefined, "it is deleted");
    this.isOver = true;
  }

  async #exec(): Promise<void> {
    const { shim } = this;
    const execId = "e";
    const spec = { typeUrl: PROCESS_TYPE, value: new TextEncoder().encode(JSON.stringify(ociProcess(exec))) };
    const request = { execId, spec, stdout: this.#paths.execOut };
    await callUntilDone(shim, "Exec", request, async () => (await statusOf(shim, execId)) === Status.CREATED);
    const isStarted = async (): Promise<boolean> => (await statusOf(shim, execId)) !== Status.CREATED;
    await callUntilDone(shim, "Start", { execId }, async () => {
      if (await isStarted()) return true;
      this.execOut.close();
      this.execOut = new FifoReader(this.#paths.execOut, true);
      return false;
    });
    assert.equal((await shim.call("Wait", { execId })).exitStatus, 3);
    assert.equal(await this.execOut.allText(), "from the exec\n");
    const deleted = await callOnce(shim, "Delete", { execId });
    if (deleted !== undefined) assert.equal(deleted.exitStatus, 3);
    else if (await isStarted()) await callUntilDone(shim, "Delete", { execId }, async () => !(await isStarted()));
  }
}

const whole = ["create", "start", "exec-added", "exec-started", "exit", "exit", "delete"];

for (const step of steps) {
  test(`crash at ${step}: the life goes on as if nothing had happened`, async () => {
    const stops = new Gates(join(scene.dir, `gates-${step}`));
    const bundle = new TestBundle(scene, init, (spec) => {
      spec.root.path = "rootfs";
    });
    const shim = await DirectShim.startIn(scene, bundle, { environment: stops.environment, shim: gatedShimPath() });
    const pid = await shim.shimPid();
    stops.arm(step);
    const life = new Life(shim);
    const crashed = stops.reached(step, 20_000).then(async (stopped) => {
      assert.equal(stopped, pid);
      const note = await crashShim(pid, bundle.dir);
      stops.pass(step);
      return note;
    });
    await within("the whole life", 15_000, Promise.all([life.run(), crashed])).catch((cause: unknown) => {
      throw new Error(`the shim's log: ${bundle.log.text()}`, { cause });
    });
    assert.equal(crashesOf(bundle.dir).length, 1);
    assert.equal(await shim.shimPid(), pid);
    const seen = (): string[] =>
      sink.events.filter(({ containerId }) => containerId === shim.id).map(({ topic }) => topic.replace("/tasks/", ""));
    await until("the event of the deletion", 5_000, () => seen().includes("delete"));
    // What the daemon has taken and the shim does not know to be so is sent again; then it is the one event that was under way.
    const once = seen();
    const twice = once.findIndex((topic, index) => topic === once[index - 1] && topic !== "exit");
    if (twice > 0) once.splice(twice, 1);
    assert.deepEqual(once, whole);
    const exits = sink.events.filter(({ containerId, topic }) => containerId === shim.id && topic === "/tasks/exit");
    assert.deepEqual(
      exits.map(({ fields }) => fields["exitStatus"]),
      [3, 5],
    );
    assert.match(shim.bundle.log.text(), /level=error msg="the shim has crashed and goes on".* cause=SIGSEGV/);
    life.out.close();
    life.execOut.close();
    await shim.end(scene);
  });
}

/** Processor time of a process, microseconds. */
function usedUs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1000;
}

const randomLives = 12;
test(`crash at any moment: ${randomLives} lives, each with two crashes somewhere`, async (t) => {
  if (onlyMoor(t, "a-crash-is-survived")) return;
  for (let n = 0; n < randomLives; n++) {
    const bundle = new TestBundle(scene, init, (spec) => {
      spec.root.path = "rootfs";
    });
    const shim = await DirectShim.startIn(scene, bundle);
    const pid = await shim.shimPid();
    const life = new Life(shim);
    // A moment is so much of the shim's own time, microseconds.
    const moments = [randomInt(6_000), randomInt(6_000)];
    const crashes = (async () => {
      for (const moment of moments) {
        const goal = usedUs(pid) + moment;
        await until("the moment", 20_000, () => life.isOver || usedUs(pid) >= goal);
        if (!life.isOver) await crashShim(pid, bundle.dir);
      }
    })();
    await within("the whole life", 20_000, Promise.all([life.run(), crashes])).catch((cause: unknown) => {
      throw new Error(`crashes after ${moments.join(" and ")} us; the shim's log: ${bundle.log.text()}`, { cause });
    });
    assert.equal(await shim.shimPid(), pid);
    const exits = (): unknown[] =>
      sink.events
        .filter(({ containerId, topic }) => containerId === shim.id && topic === "/tasks/exit")
        .map(({ fields }) => fields["exitStatus"]);
    await until("the exits", 5_000, () => new Set(exits()).size === 2);
    assert.deepEqual([...new Set(exits())], [3, 5]);
    life.out.close();
    life.execOut.close();
    await shim.end(scene);
  }
});
