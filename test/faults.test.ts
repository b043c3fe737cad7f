// Faults for real, on the real kernel: the shim is killed at each step of a life, the runtime in each of its commands; the
// shim is stopped and goes on, readers stall, the disk is full. After each: the true status where it was known, each exit
// once, all of the output, and nothing left.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Status } from "../src/api/process.ts";
import { runOk } from "./harness/command.ts";
import { DirectShim, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import {
  deleteRemains,
  execSpec,
  fifoReader,
  nothingIsLeft,
  ownRootfs,
  useFaultScene,
  withMount,
} from "./harness/fault-scene.ts";
import { isAlive, processInfo } from "./harness/processes.ts";
import { assertSentence, Code, faultOf } from "./harness/refusal.ts";
import { until } from "./harness/until.ts";

const { scene, sink: sinkOf } = useFaultScene();
const UNKNOWN_STATUS = 137;

function stockDiffers(t: TestContext): boolean {
  return onlyMoor(t, "delete-knows-the-status");
}

type Step = readonly [what: string, step: (shim: DirectShim) => Promise<unknown>];

/** A life, step by step; the status that `delete` must tell after each is beside it. */
const life: readonly (readonly [Step, number])[] = [
  [["start", () => Promise.resolve()], UNKNOWN_STATUS],
  [["Create", (shim) => shim.create(withMount(scene))], UNKNOWN_STATUS],
  [["Start", (shim) => shim.call("Start")], UNKNOWN_STATUS],
  [["an exec is added", (shim) => shim.call("Exec", { execId: "e", spec: execSpec("/bin/sleep", "1000") })], 137],
  [["an exec is started", (shim) => shim.call("Start", { execId: "e" })], UNKNOWN_STATUS],
  [
    [
      "an exec has exited",
      async (shim) => {
        await shim.call("Kill", { execId: "e", signal: 9 });
        await shim.call("Wait", { execId: "e" });
      },
    ],
    UNKNOWN_STATUS,
  ],
  [["Pause", (shim) => shim.call("Pause")], UNKNOWN_STATUS],
  [
    [
      "the exit",
      async (shim) => {
        await shim.call("Resume");
        await shim.call("Kill", { signal: 15 });
        assert.equal((await shim.call("Wait")).exitStatus, 5);
      },
    ],
    5,
  ],
  [["Delete", (shim) => shim.call("Delete")], 5],
];

for (const [last, [[what], status]] of life.entries()) {
  test(`faults: the shim is killed after ${what}; delete leaves nothing and tells the truth`, async (t) => {
    if (stockDiffers(t)) return;
    const init = ["/bin/sh", "-c", "trap 'exit 5' TERM; sleep 1000 & touch /tmp/ready; wait"];
    const shim = await DirectShim.start(scene, init, ownRootfs);
    const pid = await shim.shimPid();
    for (const [[name, step]] of life.slice(0, last + 1)) {
      await step(shim);
      if (name === "Start") await until("the trap", 5_000, () => existsSync(join(scene.rootfs, "tmp/ready")));
    }
    rmSync(join(scene.rootfs, "tmp/ready"), { force: true });
    process.kill(pid, "SIGKILL");
    await until("the shim to be gone", 5_000, () => !isAlive(pid));
    assert.equal((await deleteRemains(scene, shim)).exitStatus, status);
    await nothingIsLeft(scene, shim);
    // Once more does no harm and says the same.
    assert.equal((await deleteRemains(scene, shim)).exitStatus, status);
    shim.client.close();
    shim.bundle.remove();
  });
}

test("faults: the shim is stopped in the middle of output and exits, and goes on: nothing is lost", async (t) => {
  if (stockDiffers(t)) return;
  const size = 16 << 20;
  const out = fifoReader(scene, `stopped-${scene.tag}`, false, "slow");
  const shim = await DirectShim.start(scene, ["/bin/payload", "pattern", String(size), "3"]);
  const shimPid = await shim.shimPid();
  await shim.create({ stdout: out.path });
  const execs = ["e0", "e1", "e2", "e3", "e4"];
  await shim.call("Start");
  const pids: number[] = [];
  for (const execId of execs) {
    await shim.call("Exec", { execId, spec: execSpec("/bin/sleep", "1000") });
    pids.push((await shim.call("Start", { execId })).pid);
  }
  assert.ok(out.fifo.count < size, "the output is still on its way");
  const waits = execs.map((execId) => shim.call("Wait", { execId }));
  const waiting = shim.call("Wait");
  process.kill(shimPid, "SIGSTOP");
  await until("the shim to stand still", 5_000, () => processInfo(shimPid)?.state === "T");
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until("the execs to be zombies", 5_000, () => pids.every((pid) => processInfo(pid)?.state === "Z"));
  process.kill(shimPid, "SIGCONT");
  for (const { exitStatus } of await Promise.all(waits)) assert.equal(exitStatus, 137);
  out.fifo.read("quick");
  assert.equal((await waiting).exitStatus, 3);
  await out.fifo.allPattern(size);
  for (const execId of execs) await shim.call("Delete", { execId });
  await shim.call("Delete");
  await shim.end(scene);
  out.remove();
});

test("faults: a reader that stalls holds up none of 20 execs, and misses nothing", async (t) => {
  if (stockDiffers(t)) return;
  const size = 1 << 20;
  const out = fifoReader(scene, `stalled-${scene.tag}`, false, "stalled");
  const shim = await DirectShim.start(scene, ["/bin/payload", "pattern", String(size), "2"]);
  await shim.create({ stdout: out.path });
  await shim.call("Start");
  const one = async (i: number): Promise<void> => {
    const execId = `e${i}`;
    const said = fifoReader(scene, `exec-${i}-${scene.tag}`, true, "quick");
    await shim.call("Exec", { execId, stdout: said.path, spec: execSpec("/bin/sh", "-c", `echo ${i}; exit ${i}`) });
    await shim.call("Start", { execId });
    assert.equal((await shim.call("Wait", { execId })).exitStatus, i);
    assert.equal(await said.fifo.allText(), `${i}\n`);
    await shim.call("Delete", { execId });
    said.remove();
  };
  await Promise.all(Array.from({ length: 20 }, (_, i) => one(i)));
  assert.equal((await shim.call("State")).status, Status.RUNNING, "its output is still not read");
  out.fifo.read("quick");
  assert.equal((await shim.call("Wait")).exitStatus, 2);
  await out.fifo.allPattern(size);
  await shim.call("Delete");
  await shim.end(scene);
  out.remove();
});

test("faults: with a full disk under the bundle, exits are still told and everything can be deleted", async (t) => {
  if (stockDiffers(t)) return;
  const small = join(scene.dir, "small");
  mkdirSync(small);
  await runOk(["mount", "-t", "tmpfs", "-o", "size=256k", "small", small]);
  try {
    const bundle = new TestBundle(
      scene,
      ["/bin/sh", "-c", "trap 'exit 6' TERM; while :; do wait; done"],
      undefined,
      small,
    );
    const shim = await DirectShim.startIn(scene, bundle);
    await shim.create();
    await shim.call("Start");
    await shim.call("Exec", { execId: "e", spec: execSpec("/bin/sleep", "1000") });
    await shim.call("Start", { execId: "e" });
    assert.throws(() => writeFileSync(join(small, "filler"), Buffer.alloc(1 << 20)), /ENOSPC/);
    await shim.call("Exec", { execId: "late", spec: execSpec("/bin/true") });
    const fault = await faultOf("Start", shim.call("Start", { execId: "late" }));
    assertSentence("Start", fault, [Code.RESOURCE_EXHAUSTED], /late|exec/);
    await shim.call("Kill", { execId: "e", signal: 9 });
    assert.equal((await shim.call("Wait", { execId: "e" })).exitStatus, 137);
    await shim.call("Kill", { signal: 9 });
    assert.equal((await shim.call("Wait")).exitStatus, 137);
    const from = sinkOf().events.length;
    await shim.call("Delete", { execId: "e" });
    assert.equal((await shim.call("Delete")).exitStatus, 137);
    await until("the delete to be told", 5_000, () => sinkOf().topics().slice(from).includes("delete"));
    await shim.end(scene);
  } finally {
    // Lazily, so that a failure above is told and not that the mount is busy.
    await runOk(["umount", "--lazy", small]);
  }
});
