// A running shim is taken its resources away: file descriptors, processes, memory, room on disk, its bundle, its daemon. What
// needs them fails in one clear sentence, everything else goes on, and once they are back nothing is missing.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Status } from "../src/api/process.ts";
import { runOk } from "./harness/command.ts";
import { DirectShim, shimAction, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { deleteRemains, execSpec, fifoReader, nothingIsLeft, useFaultScene } from "./harness/fault-scene.ts";
import { isAlive, openFdCount } from "./harness/processes.ts";
import { assertSentence, Code, faultOf } from "./harness/refusal.ts";
import { until } from "./harness/until.ts";

const { scene, sink: sinkOf } = useFaultScene();
const CONTROLLERS = "/sys/fs/cgroup";

function stockDiffers(t: TestContext): boolean {
  return onlyMoor(t, "delete-knows-the-status");
}

async function running(args = ["/bin/sleep", "1000"]): Promise<{ shim: DirectShim; shimPid: number; pid: number }> {
  const shim = await DirectShim.start(scene, args);
  const { pid } = await shim.create();
  await shim.call("Start");
  return { shim, shimPid: await shim.shimPid(), pid };
}

async function limit(pid: number, resource: string, value: string | number): Promise<void> {
  await runOk(["prlimit", "--pid", String(pid), `--${resource}=${value}`]);
}

/** An exec that says a word and ends with a status; the proof that all is well. */
async function execWorks(shim: DirectShim, execId: string): Promise<void> {
  const out = fifoReader(scene, `${shim.id}.${execId}`, true);
  await shim.call("Exec", { execId, stdout: out.path, spec: execSpec("/bin/sh", "-c", "echo well; exit 9") });
  await shim.call("Start", { execId });
  assert.equal((await shim.call("Wait", { execId })).exitStatus, 9);
  assert.equal(await out.fifo.allText(), "well\n");
  await shim.call("Delete", { execId });
  out.remove();
}

/** What has ended, killed, is told to everyone once, with its own status. */
async function isToldTruly(shim: DirectShim): Promise<void> {
  assert.equal((await shim.call("Wait")).exitStatus, 137);
  assert.equal((await shim.call("Delete")).exitStatus, 137);
  const own = () => sinkOf().events.filter(({ containerId }) => containerId === shim.id);
  await until("the delete to be told", 10_000, () => own().at(-1)?.topic === "/tasks/delete");
  const exits = own().filter(({ topic, processId }) => topic === "/tasks/exit" && processId === shim.id);
  const statuses = exits.map(({ fields }) => fields["exitStatus"]);
  assert.deepEqual(statuses, [137]);
  await shim.end(scene);
}

test("resources: out of descriptors, an exec fails in words, all else is answered, and later it works", async (t) => {
  if (stockDiffers(t)) return;
  const { shim, shimPid } = await running();
  await shim.call("Exec", { execId: "poor", spec: execSpec("/bin/true") });
  const [soft, hard] =
    /open files\s+(\d+)\s+(\d+)/.exec(readFileSync(`/proc/${shimPid}/limits`, "utf8"))?.slice(1) ?? [];
  for (const more of [0, 1, 2, 3, 5, 8]) {
    await limit(shimPid, "nofile", `${openFdCount(shimPid) + more}:${hard}`);
    const fault = await shim.call("Start", { execId: "poor" }).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    if (fault === undefined) break;
    const told = await faultOf("Start", Promise.reject(fault as Error));
    assertSentence("Start", told, [Code.UNKNOWN, Code.RESOURCE_EXHAUSTED, Code.INTERNAL], /poor|exec/);
    assert.equal((await shim.call("State", { execId: "poor" })).status, Status.CREATED);
    assert.equal((await shim.call("State")).status, Status.RUNNING);
  }
  await limit(shimPid, "nofile", `${soft}:${hard}`);
  await shim.call("Delete", { execId: "poor" }).catch(async () => {
    await shim.call("Wait", { execId: "poor" });
    await shim.call("Delete", { execId: "poor" });
  });
  await execWorks(shim, "rich");
  await shim.call("Kill", { signal: 9 });
  await isToldTruly(shim);
});

test("resources: out of descriptors at the exit itself, it is told all the same", async (t) => {
  if (stockDiffers(t)) return;
  const { shim, shimPid, pid } = await running();
  const hard = /open files\s+\d+\s+(\d+)/.exec(readFileSync(`/proc/${shimPid}/limits`, "utf8"))?.[1] ?? "";
  const waiting = shim.call("Wait");
  await limit(shimPid, "nofile", `${openFdCount(shimPid)}:${hard}`);
  process.kill(pid, "SIGKILL");
  assert.equal((await waiting).exitStatus, 137);
  await limit(shimPid, "nofile", `1024:${hard}`);
  await isToldTruly(shim);
});

test("resources: the shim may write no file any more (RLIMIT_FSIZE): it lives, says so, and exits are told", async (t) => {
  if (stockDiffers(t)) return;
  const { shim, shimPid } = await running();
  await limit(shimPid, "fsize", "0:unlimited");
  await shim.call("Exec", { execId: "unwritten", spec: execSpec("/bin/true") });
  const fault = await faultOf("Start", shim.call("Start", { execId: "unwritten" }));
  assertSentence("Start", fault, [Code.UNKNOWN, Code.INTERNAL], /unwritten/);
  await shim.call("Delete", { execId: "unwritten" });
  assert.ok(isAlive(shimPid), "SIGXFSZ has not ended it");
  await limit(shimPid, "fsize", "unlimited:unlimited");
  await execWorks(shim, "written");
  await limit(shimPid, "fsize", "0:unlimited");
  await shim.call("Kill", { signal: 9 });
  assert.equal((await shim.call("Wait")).exitStatus, 137);
  await limit(shimPid, "fsize", "unlimited:unlimited");
  await isToldTruly(shim);
});

test("resources: the bundle is gone under the shim: execs fail in words, exits are told, Delete and Shutdown work", async (t) => {
  if (stockDiffers(t)) return;
  const { shim, shimPid } = await running();
  const away = `${shim.bundle.dir}-away`;
  renameSync(shim.bundle.dir, away);
  await shim.call("Exec", { execId: "e", spec: execSpec("/bin/true") });
  const fault = await faultOf("Start", shim.call("Start", { execId: "e" }));
  assertSentence("Start", fault, [Code.UNKNOWN, Code.INTERNAL], /exec e|bundle/);
  await shim.call("Delete", { execId: "e" });
  await shim.call("Kill", { signal: 9 });
  assert.equal((await shim.call("Wait")).exitStatus, 137);
  const deleting = shim.call("Delete");
  const answer = await deleting.catch((cause: unknown) => cause as Error);
  if (answer instanceof Error) {
    // The runtime runs in the bundle. With the folder back the same request does.
    renameSync(away, shim.bundle.dir);
    assert.equal((await shim.call("Delete")).exitStatus, 137);
  }
  await shim.call("Shutdown").catch(() => undefined);
  await until("the shim to end", 10_000, () => !isAlive(shimPid));
  if (existsSync(away)) renameSync(away, shim.bundle.dir);
  shim.client.close();
  await deleteRemains(scene, shim);
  await nothingIsLeft(scene, shim);
  shim.bundle.remove();
});

test("resources: out of pids for the shim's own runtime: the call fails in words, and later it works", async (t) => {
  if (stockDiffers(t)) return;
  if (!existsSync(join(CONTROLLERS, "pids/cgroup.procs"))) return t.diagnostic("the pids controller is not mounted");
  const { shim, shimPid } = await running();
  const group = join(CONTROLLERS, "pids", `moor-pids-${scene.tag}`);
  mkdirSync(group);
  try {
    writeFileSync(join(group, "cgroup.procs"), String(shimPid));
    for (const most of [1, 3]) {
      // One: the runtime cannot be started. Three: it can, and has no threads.
      writeFileSync(join(group, "pids.max"), String(most));
      const execId = `e${most}`;
      await shim.call("Exec", { execId, spec: execSpec("/bin/true") });
      const fault = await faultOf("Start", shim.call("Start", { execId }));
      assertSentence("Start", fault, [Code.UNKNOWN, Code.RESOURCE_EXHAUSTED], /exec|runc/);
      await shim.call("Delete", { execId });
      assert.equal((await shim.call("State")).status, Status.RUNNING);
    }
    writeFileSync(join(group, "pids.max"), "max");
    await execWorks(shim, "later");
  } finally {
    if (isAlive(shimPid)) writeFileSync(join(CONTROLLERS, "pids/cgroup.procs"), String(shimPid));
    await until("the cgroup to be empty", 5_000, () => readFileSync(join(group, "cgroup.procs"), "utf8") === "");
    rmdirSync(group);
  }
  await shim.call("Kill", { signal: 9 });
  await isToldTruly(shim);
});

test("resources: the kernel ends the shim for want of memory: delete tells the truth and leaves nothing", async (t) => {
  if (stockDiffers(t)) return;
  const controller = join(CONTROLLERS, "memory");
  if (!existsSync(join(controller, "cgroup.procs"))) return t.diagnostic("the memory controller is not mounted");
  const { shim, shimPid } = await running();
  const group = join(controller, `moor-memory-${scene.tag}`);
  mkdirSync(group);
  try {
    writeFileSync(join(group, "cgroup.procs"), String(shimPid));
    writeFileSync(join(group, "memory.limit_in_bytes"), String(3 << 20));
    // Requests that it may not refuse: execs whose specs it has to keep.
    const padding = "x".repeat(512 << 10);
    for (let i = 0; i < 64 && isAlive(shimPid); i++) {
      await shim.call("Exec", { execId: `e${i}`, spec: execSpec("/bin/true", padding) }).catch(() => undefined);
    }
    await until("the shim to be ended", 5_000, () => !isAlive(shimPid));
    shim.client.close();
    assert.equal((await deleteRemains(scene, shim)).exitStatus, 137);
    await nothingIsLeft(scene, shim);
  } finally {
    if (isAlive(shimPid)) process.kill(shimPid, "SIGKILL");
    await until("the cgroup to be empty", 5_000, () => readFileSync(join(group, "cgroup.procs"), "utf8") === "");
    rmdirSync(group);
  }
  shim.bundle.remove();
});

test("resources: a daemon that is away for thousands of events: memory is bounded, the rest waits on disk, all come in order", async (t) => {
  if (stockDiffers(t)) return;
  const COUNT = 3000;
  const sink = sinkOf();
  const { shim } = await running();
  await until("the start to be told", 5_000, () => sink.topics().at(-1) === "start");
  await sink.close();
  const from = sink.events.length;
  for (let i = 0; i < COUNT; i++) {
    await shim.call("Exec", { execId: `e${i}`, spec: execSpec("/bin/true") });
    await shim.call("Delete", { execId: `e${i}` });
  }
  const spool = join(shim.bundle.dir, "events");
  assert.ok(statSync(spool).size > 100_000, "the disk has the rest");
  await shim.call("Kill", { signal: 9 });
  await shim.call("Wait");
  await sink.open();
  await sink.untilCount(from + COUNT + 1, 30_000);
  const events = sink.events.slice(from);
  assert.deepEqual(
    events.slice(0, COUNT).map(({ processId }) => processId),
    Array.from({ length: COUNT }, (_, i) => `e${i}`),
  );
  assert.deepEqual([events.at(-1)?.topic, events.at(-1)?.fields["exitStatus"]], ["/tasks/exit", 137]);
  assert.equal(statSync(spool).size, 0);
  await shim.call("Delete");
  await shim.end(scene);
});

test("resources: a disk that is full at start: in words, and nothing is left", async (t) => {
  if (stockDiffers(t)) return;
  const small = join(scene.dir, "tiny");
  mkdirSync(small);
  await runOk(["mount", "-t", "tmpfs", "-o", "size=64k", "tiny", small]);
  try {
    const bundle = new TestBundle(scene, ["/bin/true"], undefined, small);
    assert.throws(() => writeFileSync(join(small, "filler"), Buffer.alloc(1 << 20)), /ENOSPC/);
    const result = await shimAction(scene, bundle, ["start"]);
    assert.equal(result.status, 1);
    assert.match(result.stdout + result.stderr, /^containerd-shim-moor-v2: write .*address.*: ENOSPC\n$/);
    bundle.remove();
  } finally {
    await runOk(["umount", small]);
  }
});
