// The runtime is killed in each of its commands, before and after it has done its work: what is told afterwards is what is
// true, nothing half made is left, and the same request may be made again.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Status } from "../src/api/process.ts";
import { onlyMoor } from "./harness/difference.ts";
import { DirectShim, type Method } from "./harness/direct-shim.ts";
import { execSpec, fifoReader, onlyTheShimIsLeft, ownRootfs, useFaultScene, withMount } from "./harness/fault-scene.ts";
import { HeldRuntime, runtimeOptions, runtimeScript } from "./harness/held-runtime.ts";
import { isAlive } from "./harness/processes.ts";
import { assertSentence, Code, faultOf } from "./harness/refusal.ts";
import { until } from "./harness/until.ts";

const { scene, sink: sinkOf } = useFaultScene();

function stockDiffers(t: TestContext): boolean {
  return onlyMoor(t, "delete-knows-the-status");
}

async function refusedAgain(shim: DirectShim): Promise<void> {
  assertSentence("Start", await faultOf("Start", shim.call("Start")), [Code.FAILED_PRECONDITION], /started already/);
}

for (const when of ["before", "after"] as const) {
  test(`faults: the runtime is killed ${when} it has created`, async (t) => {
    if (stockDiffers(t)) return;
    const runtime = new HeldRuntime(scene, "create", when);
    const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 4"], ownRootfs);
    const creating = shim.create({ ...withMount(scene), options: runtime.options }).catch((cause: unknown) => cause);
    process.kill(await runtime.held(), "SIGKILL");
    const fault = await faultOf(
      "Create",
      creating.then((cause) => Promise.reject(cause as Error)),
    );
    assertSentence("Create", fault, [Code.UNKNOWN], /signal 9/);
    assert.ok(fault.message.includes(shim.id), fault.message);
    await onlyTheShimIsLeft(scene, shim);
    // The same request may be made again.
    runtime.letThrough();
    await shim.create({ ...withMount(scene), options: runtime.options });
    await shim.call("Start");
    assert.equal((await shim.call("Wait")).exitStatus, 4);
    await shim.end(scene);
  });

  test(`faults: the runtime is killed ${when} it has started the container: what is told is what is true`, async (t) => {
    if (stockDiffers(t)) return;
    const runtime = new HeldRuntime(scene, "start", when);
    const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
    const from = sinkOf().events.length;
    const { pid } = await shim.create({ options: runtime.options });
    const starting = shim.call("Start");
    const refused = when === "before" ? faultOf("Start", starting) : undefined;
    process.kill(await runtime.held(), "SIGKILL");
    runtime.letThrough();
    if (refused !== undefined) {
      assertSentence("Start", await refused, [Code.UNKNOWN], /signal 9/);
      assert.equal((await shim.call("State")).status, Status.CREATED);
      await shim.call("Start");
    } else assert.equal((await starting).pid, pid);
    assert.equal((await shim.call("State")).status, Status.RUNNING);
    await refusedAgain(shim);
    await shim.call("Kill", { signal: 9 });
    assert.equal((await shim.call("Wait")).exitStatus, 137);
    await shim.call("Delete");
    await until("the delete to be told", 5_000, () => sinkOf().topics().slice(from).includes("delete"));
    assert.deepEqual(sinkOf().topics().slice(from), ["create", "start", "exit", "delete"]);
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

/** Commands that make no process: what a client asks, and what there must be, whatever became of the runtime, once it is asked again. */
const others: readonly (readonly [
  command: string,
  ask: (shim: DirectShim) => Promise<unknown>,
  before: readonly Method[],
  state: Status,
])[] = [
  ["pause", (shim) => shim.call("Pause"), [], Status.PAUSED],
  ["resume", (shim) => shim.call("Resume"), ["Pause"], Status.RUNNING],
  [
    "update",
    (shim) => shim.call("Update", { resources: { typeUrl: "", value: Buffer.from("{}") } }),
    [],
    Status.RUNNING,
  ],
];

for (const [command, ask, before, state] of others) {
  for (const when of ["before", "after"] as const) {
    test(`faults: the runtime is killed ${when} its ${command}: asked again, it is done, and its event told once`, async (t) => {
      if (stockDiffers(t)) return;
      const runtime = new HeldRuntime(scene, command, when);
      const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
      await shim.create({ options: runtime.options });
      await shim.call("Start");
      for (const method of before) await shim.call(method);
      const asking = ask(shim).then(
        () => true,
        (fault: unknown) => fault,
      );
      process.kill(await runtime.held(), "SIGKILL");
      runtime.letThrough();
      const answer = await asking;
      if (answer !== true) {
        assertSentence(command, await faultOf(command, Promise.reject(answer as Error)), [Code.UNKNOWN], /signal 9/);
        await ask(shim);
      }
      assert.equal((await shim.call("State")).status, state);
      if (state === Status.PAUSED) await shim.call("Resume");
      await shim.call("Kill", { signal: 9 });
      assert.equal((await shim.call("Wait")).exitStatus, 137);
      await shim.call("Delete");
      const own = () => sinkOf().events.filter(({ containerId }) => containerId === shim.id);
      await until("the delete to be told", 5_000, () => own().at(-1)?.topic === "/tasks/delete");
      const change = command === "update" ? [] : ["/tasks/paused", "/tasks/resumed"];
      const topics = own().map(({ topic }) => topic);
      assert.deepEqual(topics, ["/tasks/create", "/tasks/start", ...change, "/tasks/exit", "/tasks/delete"]);
      await shim.end(scene);
    });
  }
}

for (const when of ["before", "after"] as const) {
  test(`faults: the runtime is killed ${when} its delete: asked again, it is done, told once, and nothing is left`, async (t) => {
    if (stockDiffers(t)) return;
    const runtime = new HeldRuntime(scene, "delete", when);
    const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 3"], ownRootfs);
    await shim.create({ ...withMount(scene), options: runtime.options });
    await shim.call("Start");
    assert.equal((await shim.call("Wait")).exitStatus, 3);
    const deleting = shim.call("Delete").then(
      () => true,
      (fault: unknown) => fault,
    );
    process.kill(await runtime.held(), "SIGKILL");
    runtime.letThrough();
    const answer = await deleting;
    if (answer !== true) {
      assertSentence("Delete", await faultOf("Delete", Promise.reject(answer as Error)), [Code.UNKNOWN], /signal 9/);
      assert.equal((await shim.call("State")).status, Status.STOPPED);
      assert.equal((await shim.call("Delete")).exitStatus, 3);
    }
    const own = () => sinkOf().events.filter(({ containerId }) => containerId === shim.id);
    await until("the delete to be told", 5_000, () => own().at(-1)?.topic === "/tasks/delete");
    const topics = own().map(({ topic }) => topic);
    assert.deepEqual(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
    await onlyTheShimIsLeft(scene, shim);
    await shim.end(scene);
  });
}

test("faults: the runtime is killed after init has run to its end: its start is told, and its own status", async (t) => {
  if (stockDiffers(t)) return;
  const runtime = new HeldRuntime(scene, "start", "after");
  const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 9"]);
  const from = sinkOf().events.length;
  const { pid } = await shim.create({ options: runtime.options });
  const starting = shim.call("Start");
  const runtimePid = await runtime.held();
  await until("init to end", 5_000, () => !isAlive(pid));
  process.kill(runtimePid, "SIGKILL");
  assert.equal((await starting).pid, pid);
  assert.equal((await shim.call("Wait")).exitStatus, 9);
  runtime.letThrough();
  await shim.call("Delete");
  await sinkOf().untilCount(from + 4);
  assert.deepEqual(sinkOf().topics().slice(from), ["create", "start", "exit", "delete"]);
  await shim.end(scene);
});

for (const pidNamespace of ["private", "shared"] as const) {
  test(`faults: the runtime is killed before it has told of an exec's process: that is ended (${pidNamespace} pid namespace)`, async (t) => {
    if (stockDiffers(t)) return;
    const dir = join(scene.dir, `untold-${pidNamespace}`);
    mkdirSync(dir);
    // Does all of runc's work, takes the pid file away again, says so, and stands still.
    const body = [
      'case " $* " in *" exec "*) ;; *) exec runc "$@" ;; esac',
      'runc "$@"; file=; for word; do [ "$file" = next ] && file=$word; [ "$word" = --pid-file ] && file=next; done',
      `mv "$file" ${dir}/pid; echo $$ > ${dir}/new; mv ${dir}/new ${dir}/here; exec tail -f ${dir}/here`,
    ];
    const options = runtimeOptions(runtimeScript(scene, `untold-script-${pidNamespace}`, body.join("\n")));
    const out = fifoReader(scene, `untold-${pidNamespace}-${scene.tag}`, true, "quick");
    const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"], (spec) => {
      if (pidNamespace === "shared") spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
    });
    const { pid } = await shim.create({ options });
    await shim.call("Start");
    await shim.call("Exec", { execId: "e", stdout: out.path, spec: execSpec("/bin/sleep", "1001") });
    const starting = faultOf("Start", shim.call("Start", { execId: "e" }));
    await until("the runtime to be done", 5_000, () => existsSync(join(dir, "here")));
    const untold = Number(readFileSync(join(dir, "pid"), "utf8"));
    assert.ok(isAlive(untold));
    process.kill(Number(readFileSync(join(dir, "here"), "utf8")), "SIGKILL");
    assertSentence("Start", await starting, [Code.UNKNOWN], /signal 9/);
    await until("the process nobody has told of to be gone", 5_000, () => !isAlive(untold));
    const { processes } = await shim.call("Pids");
    assert.deepEqual(
      processes.map((each) => each.pid),
      [pid],
    );
    assert.equal((await shim.call("State", { execId: "e" })).status, Status.CREATED);
    await shim.end(scene);
    out.remove();
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
  const creating = faultOf("Create", shim.create(withMount(scene)));
  const here = join(dir, "here");
  await until("the hook to run", 5_000, () => existsSync(here));
  const [runc, hooked] = readFileSync(here, "utf8").trim().split(" ").map(Number) as [number, number];
  process.kill(runc, "SIGKILL");
  assertSentence("Create", await creating, [Code.UNKNOWN], /signal 9/);
  await until("the hook to be gone", 5_000, () => !isAlive(hooked));
  await onlyTheShimIsLeft(scene, shim);
  writeFileSync(join(dir, "pass"), "");
  await shim.create(withMount(scene));
  await shim.call("Start");
  assert.equal((await shim.call("Wait")).exitStatus, 4);
  await shim.end(scene);
});

test("faults: init ends while the runtime still starts it: the start is told first, then the exit", async (t) => {
  if (stockDiffers(t)) return;
  const runtime = new HeldRuntime(scene, "start", "after");
  const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 8"]);
  const from = sinkOf().events.length;
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
  await sinkOf().untilCount(from + 4);
  assert.deepEqual(sinkOf().topics().slice(from), ["create", "start", "exit", "delete"]);
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
