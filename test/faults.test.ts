// Faults for real, on the real kernel: the shim is killed at each step of a life, the runtime in each of its commands; the
// shim is stopped and goes on, readers stall, the disk is full. After each: the true status where it was known, each exit
// once, all of the output, and nothing left.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Status } from "../src/api/process.ts";
import { DeleteResponse } from "../src/api/task.ts";
import { runOk } from "./harness/command.ts";
import { DirectShim, shimAction, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { FifoReader, makeFifo, type Reading } from "./harness/fifo.ts";
import { HeldRuntime } from "./harness/held-runtime.ts";
import { sceneCgroups } from "./harness/leaks.ts";
import { type OciSpec, ociProcess } from "./harness/oci-spec.ts";
import { isAlive, markedProcesses, processInfo } from "./harness/processes.ts";
import { assertSentence, Code, faultOf } from "./harness/refusal.ts";
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
const UNKNOWN_STATUS = 137;

function stockDiffers(t: TestContext): boolean {
  return onlyMoor(t, "delete-knows-the-status");
}

function execSpec(...args: string[]): { typeUrl: string; value: Uint8Array } {
  return { typeUrl: PROCESS_TYPE, value: new TextEncoder().encode(JSON.stringify(ociProcess(args))) };
}

function ownRootfs(spec: OciSpec): void {
  spec.root.path = "rootfs";
}

function withMount(): { rootfs: { type: string; source: string; target: string; options: string[] }[] } {
  return { rootfs: [{ type: "bind", source: scene.rootfs, target: "", options: ["rbind", "rw"] }] };
}

/** What is left of one container on the machine, in words; "" when nothing is. */
function leftOf(shim: DirectShim): string {
  // An orphan that has ended is for the machine's own init to reap, which takes its time on some.
  const processes = markedProcesses(shim.id).filter(({ state, ppid }) => state !== "Z" || ppid !== 1);
  const left = processes.map(({ pid, argv }) => `process ${pid} ${argv.join(" ")}`);
  left.push(...sceneCgroups(scene.namespace).filter((dir) => dir.includes(shim.id)));
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  left.push(...mounts.filter((line) => line.includes(shim.id)));
  const state = `/run/containerd/runc/${scene.namespace}/${shim.id}`;
  for (const path of [shim.socketPath, state]) if (existsSync(path)) left.push(path);
  return left.join("\n");
}

async function onlyTheShimIsLeft(shim: DirectShim): Promise<void> {
  const shimsOwn = [shim.socketPath, `process ${await shim.shimPid()} `];
  const others = (): string[] =>
    leftOf(shim)
      .split("\n")
      .filter((line) => line !== "" && !shimsOwn.some((own) => line.startsWith(own)));
  await until(
    "what was half made to be gone",
    5_000,
    () => others().length === 0,
    () => others().join("\n"),
  );
}

/** Runs the action `delete` as the daemon does when a shim has died. */
async function deleteRemains(shim: DirectShim): Promise<DeleteResponse> {
  const result = await shimAction(scene, shim.bundle, ["-bundle", shim.bundle.dir, "delete"]);
  assert.equal(result.status, 0, result.stderr);
  return DeleteResponse.decode(result.stdoutBytes);
}

type Step = readonly [what: string, step: (shim: DirectShim) => Promise<unknown>];

/** A life, step by step; the status that `delete` must tell after each is beside it. */
const life: readonly (readonly [Step, number])[] = [
  [["start", () => Promise.resolve()], UNKNOWN_STATUS],
  [["Create", (shim) => shim.create(withMount())], UNKNOWN_STATUS],
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
    assert.equal((await deleteRemains(shim)).exitStatus, status);
    await until(
      "all of it to be gone",
      5_000,
      () => leftOf(shim) === "",
      () => leftOf(shim),
    );
    // Once more does no harm and says the same.
    assert.equal((await deleteRemains(shim)).exitStatus, status);
    shim.client.close();
    shim.bundle.remove();
  });
}

for (const when of ["before", "after"] as const) {
  test(`faults: the runtime is killed ${when} it has created`, async (t) => {
    if (stockDiffers(t)) return;
    const runtime = new HeldRuntime(scene, "create", when);
    const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 4"], ownRootfs);
    const creating = shim.create({ ...withMount(), options: runtime.options }).catch((cause: unknown) => cause);
    process.kill(await runtime.held(), "SIGKILL");
    const fault = await faultOf(
      "Create",
      creating.then((cause) => Promise.reject(cause as Error)),
    );
    assertSentence("Create", fault, [Code.UNKNOWN], /signal 9/);
    assert.ok(fault.message.includes(shim.id), fault.message);
    await onlyTheShimIsLeft(shim);
    // The same request may be made again.
    runtime.letThrough();
    await shim.create({ ...withMount(), options: runtime.options });
    await shim.call("Start");
    assert.equal((await shim.call("Wait")).exitStatus, 4);
    await shim.end(scene);
  });

  test(`faults: the runtime is killed ${when} it has started the container`, async (t) => {
    if (stockDiffers(t)) return;
    const runtime = new HeldRuntime(scene, "start", when);
    const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
    const from = sink.events.length;
    const { pid } = await shim.create({ options: runtime.options });
    const starting = faultOf("Start", shim.call("Start"));
    process.kill(await runtime.held(), "SIGKILL");
    assertSentence("Start", await starting, [Code.UNKNOWN], /signal 9/);
    assert.ok(isAlive(pid));
    runtime.letThrough();
    // Whether it runs by now nobody was told; it can be ended, and its exit is told once.
    await shim.call("Kill", { signal: 9 });
    assert.equal((await shim.call("Wait")).exitStatus, 137);
    await shim.call("Delete");
    await until("the delete to be told", 5_000, () => sink.topics().slice(from).includes("delete"));
    assert.deepEqual(sink.topics().slice(from), ["create", "exit", "delete"]);
    await shim.end(scene);
  });

  test(`faults: the runtime is killed ${when} it has started an exec`, async (t) => {
    if (stockDiffers(t)) return;
    const runtime = new HeldRuntime(scene, "exec", when);
    const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
    const { pid } = await shim.create({ options: runtime.options });
    await shim.call("Start");
    await shim.call("Exec", { execId: "e", spec: execSpec("/bin/sleep", "1001") });
    const starting = faultOf("Start", shim.call("Start", { execId: "e" }));
    process.kill(await runtime.held(), "SIGKILL");
    assertSentence("Start", await starting, [Code.UNKNOWN], /signal 9/);
    const pids = async (): Promise<number[]> => (await shim.call("Pids")).processes.map((each) => each.pid);
    await until("no process of the exec's", 5_000, async () => (await pids()).join(" ") === String(pid));
    assert.equal((await shim.call("State", { execId: "e" })).status, Status.CREATED);
    runtime.letThrough();
    await shim.call("Start", { execId: "e" });
    await shim.call("Kill", { execId: "e", signal: 9 });
    assert.equal((await shim.call("Wait", { execId: "e" })).exitStatus, 137);
    await shim.call("Delete", { execId: "e" });
    await shim.end(scene);
  });
}

test("faults: runc itself is killed in the middle of Create, at a hook: hook, init, cgroup and mount are gone", async (t) => {
  if (stockDiffers(t)) return;
  const dir = join(scene.dir, "hook");
  mkdirSync(dir);
  const hook = join(dir, "hook");
  // It runs for ever, as a child of runc's, unless somebody ends it. The second time there is a file that lets it pass.
  const body = `[ -e ${dir}/pass ] && exit 0\necho $PPID $$ > ${dir}/new; mv ${dir}/new ${dir}/here; exec tail -f ${dir}/here`;
  writeFileSync(hook, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 4"], (spec) => {
    ownRootfs(spec);
    Object.assign(spec, { hooks: { createRuntime: [{ path: hook }] } });
  });
  const creating = faultOf("Create", shim.create(withMount()));
  const here = join(dir, "here");
  await until("the hook to run", 5_000, () => existsSync(here));
  const [runc, hooked] = readFileSync(here, "utf8").trim().split(" ").map(Number) as [number, number];
  process.kill(runc, "SIGKILL");
  assertSentence("Create", await creating, [Code.UNKNOWN], /signal 9/);
  await until("the hook to be gone", 5_000, () => !isAlive(hooked));
  await onlyTheShimIsLeft(shim);
  writeFileSync(join(dir, "pass"), "");
  await shim.create(withMount());
  await shim.call("Start");
  assert.equal((await shim.call("Wait")).exitStatus, 4);
  await shim.end(scene);
});

test("faults: init ends while the runtime still starts it: the start is told first, then the exit", async (t) => {
  if (stockDiffers(t)) return;
  const runtime = new HeldRuntime(scene, "start", "after");
  const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 8"]);
  const from = sink.events.length;
  const { pid } = await shim.create({ options: runtime.options });
  const starting = shim.call("Start");
  const waiting = shim.call("Wait");
  await runtime.held();
  await until("init to end", 5_000, () => !isAlive(pid));
  assert.equal((await shim.call("State")).status, Status.CREATED);
  runtime.release();
  assert.equal((await starting).pid, pid);
  assert.equal((await waiting).exitStatus, 8);
  await shim.call("Delete");
  await sink.untilCount(from + 4);
  assert.deepEqual(sink.topics().slice(from), ["create", "start", "exit", "delete"]);
  await shim.end(scene);
});

test("faults: init dies while the runtime starts an exec: the exec's start fails, both ends are told", async (t) => {
  if (stockDiffers(t)) return;
  const runtime = new HeldRuntime(scene, "exec", "before");
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create({ options: runtime.options });
  await shim.call("Start");
  await shim.call("Exec", { execId: "e", spec: execSpec("/bin/true") });
  const starting = faultOf("Start", shim.call("Start", { execId: "e" }));
  const waiting = shim.call("Wait", { execId: "e" });
  await runtime.held();
  await shim.call("Kill", { signal: 9 });
  runtime.release();
  assert.ok([Code.FAILED_PRECONDITION, Code.UNKNOWN].includes((await starting).code as 2));
  assert.equal((await shim.call("Wait")).exitStatus, 137);
  await waiting;
  await shim.call("Delete", { execId: "e" });
  await shim.end(scene);
});

/** A FIFO of the client's and its reader. */
function reader(name: string, keep: boolean, reading: Reading): { path: string; fifo: FifoReader; remove: () => void } {
  const path = join(scene.fifoDir, name);
  makeFifo(path);
  const fifo = new FifoReader(path, keep, reading);
  const remove = (): void => {
    fifo.close();
    rmSync(path, { force: true });
  };
  scene.onClose(remove);
  return { path, fifo, remove };
}

test("faults: the shim is stopped in the middle of output and exits, and goes on: nothing is lost", async (t) => {
  if (stockDiffers(t)) return;
  const size = 16 << 20;
  const out = reader(`stopped-${scene.tag}`, false, "slow");
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
  const out = reader(`stalled-${scene.tag}`, false, "stalled");
  const shim = await DirectShim.start(scene, ["/bin/payload", "pattern", String(size), "2"]);
  await shim.create({ stdout: out.path });
  await shim.call("Start");
  const one = async (i: number): Promise<void> => {
    const execId = `e${i}`;
    const said = reader(`exec-${i}-${scene.tag}`, true, "quick");
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
    assertSentence("Start", fault, [Code.UNKNOWN, Code.INTERNAL], /late|exec/);
    await shim.call("Kill", { execId: "e", signal: 9 });
    assert.equal((await shim.call("Wait", { execId: "e" })).exitStatus, 137);
    await shim.call("Kill", { signal: 9 });
    assert.equal((await shim.call("Wait")).exitStatus, 137);
    const from = sink.events.length;
    await shim.call("Delete", { execId: "e" });
    assert.equal((await shim.call("Delete")).exitStatus, 137);
    await until("the delete to be told", 5_000, () => sink.topics().slice(from).includes("delete"));
    await shim.end(scene);
  } finally {
    await runOk(["umount", small]);
  }
});
