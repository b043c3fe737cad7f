// Every request in every state in which it does not belong, on the real binary: the state table says which these are, with
// what code and why. Each is told in a sentence that names container (and exec), operation and cause; it changes nothing.
// States that pass are held still by a runtime that stands still.
//
// Left out are an exec's `exiting` and `deleting`, which are over before a client could ask; the unit tests have them.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Status } from "../src/api/process.ts";
import { execTable, initTable, next, type ProcessState, type Request, type Table } from "../src/shim/state-table.ts";
import { grpcCodes } from "../src/sys/error.ts";
import { DirectShim } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { HeldRuntime } from "./harness/held-runtime.ts";
import { type OciSpec, ociProcess } from "./harness/oci-spec.ts";
import { assertSentence, Code, faultOf } from "./harness/refusal.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene({ withoutDaemon: true });

const spec = {
  typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
  value: new TextEncoder().encode(JSON.stringify(ociProcess(["/bin/sleep", "1000"]))),
};
const resources = { typeUrl: "x", value: new TextEncoder().encode("{}") };
/** An exec that each container has, added before it was started. */
const early = "early";

/** How a client asks for each thing, and the word for it in a refusal. */
const askInit: Readonly<Record<Request, readonly [word: string, (shim: DirectShim) => Promise<unknown>]>> = {
  start: ["start", (shim) => shim.call("Start")],
  pause: ["pause", (shim) => shim.call("Pause")],
  resume: ["resume", (shim) => shim.call("Resume")],
  kill: ["kill", (shim) => shim.call("Kill", { signal: 9 })],
  exec: ["add an exec", (shim) => shim.call("Exec", { execId: "late", spec })],
  startExec: ["start an exec", (shim) => shim.call("Start", { execId: early })],
  update: ["update", (shim) => shim.call("Update", { resources })],
  checkpoint: ["checkpoint", (shim) => shim.call("Checkpoint", { path: join(scene.dir, "image") })],
  resize: ["resize", (shim) => shim.call("ResizePty", { width: 80, height: 24 })],
  closeIo: ["close the stdin", (shim) => shim.call("CloseIO", { stdin: true })],
  delete: ["delete", (shim) => shim.call("Delete")],
};

/** The same of an exec; the others cannot be asked of one. */
const askExec: Partial<typeof askInit> = {
  start: ["start", (shim) => shim.call("Start", { execId: early })],
  kill: ["kill", (shim) => shim.call("Kill", { execId: early, signal: 9 })],
  resize: ["resize", (shim) => shim.call("ResizePty", { execId: early, width: 80, height: 24 })],
  closeIo: ["close the stdin", (shim) => shim.call("CloseIO", { execId: early, stdin: true })],
  delete: ["delete", (shim) => shim.call("Delete", { execId: early })],
};

/** What clients see of everything, to be compared. */
async function look(shim: DirectShim): Promise<unknown> {
  const state = await shim.call("State");
  const { processes } = await shim.call("Pids");
  const exec = await shim.call("State", { execId: early }).catch(() => undefined);
  return { state, exec, pids: processes.map(({ pid }) => pid), taskPid: (await shim.call("Connect")).taskPid };
}

/** Asks for all that the table refuses in this state. @returns how much that was. */
async function askAll(shim: DirectShim, table: Table, state: ProcessState, asks: Partial<typeof askInit>) {
  const before = await look(shim);
  let count = 0;
  for (const [request, [word, ask]] of Object.entries(asks)) {
    const cell = next(table, state, request as Request);
    if (cell.kind !== "no") continue;
    count++;
    const what = `${request} while ${state}`;
    const fault = await faultOf(what, ask(shim));
    assertSentence(what, fault, [grpcCodes[cell.code]], cell.why);
    assert.ok(fault.message.startsWith(word), `${what}: ${fault.message}`);
    assert.ok(fault.message.includes(`container ${shim.id}`), `${what}: ${fault.message}`);
    if (asks === askExec) assert.ok(fault.message.includes(`exec ${early} of`), `${what}: ${fault.message}`);
    assert.deepEqual(await look(shim), before, `${what} has changed something`);
  }
  return count;
}

/** A container with an exec that was added; `held` is the runtime's command that stands still when its time comes. */
async function make(held: string | undefined, change?: (spec: OciSpec) => void) {
  const runtime = held === undefined ? undefined : new HeldRuntime(scene, held, "before");
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"], change);
  await shim.create(runtime === undefined ? {} : { options: runtime.options });
  await shim.call("Exec", { execId: early, spec });
  return { shim, runtime };
}

/** Checks one state: gets there, asks, goes on. */
async function inState(
  t: TestContext,
  state: ProcessState,
  held: string | undefined,
  steps: (shim: DirectShim) => Promise<{ readonly pending?: Promise<unknown> }>,
  change?: (spec: OciSpec) => void,
): Promise<void> {
  if (onlyMoor(t, "refusals-have-a-code")) return;
  const { shim, runtime } = await make(held, change);
  const { pending } = await steps(shim);
  if (runtime !== undefined) await runtime.held();
  const count = await askAll(shim, initTable, state, askInit);
  t.diagnostic(`${count} requests are refused to a container that is ${state}`);
  assert.ok(count > 0);
  runtime?.release();
  await pending;
  await shim.end(scene);
}

async function started(shim: DirectShim): Promise<object> {
  await shim.call("Start");
  return {};
}

test("state refusals: created", (t) => inState(t, "created", undefined, async () => ({})));

test("state refusals: starting", (t) =>
  inState(t, "starting", "start", async (shim) => ({ pending: shim.call("Start") })));

test("state refusals: running", (t) => inState(t, "running", undefined, started));

test("state refusals: pausing", (t) =>
  inState(t, "pausing", "pause", async (shim) => {
    await shim.call("Start");
    return { pending: shim.call("Pause") };
  }));

test("state refusals: paused", (t) =>
  inState(t, "paused", undefined, async (shim) => {
    await shim.call("Start");
    await shim.call("Pause");
    return {};
  }));

test("state refusals: resuming", (t) =>
  inState(t, "resuming", "resume", async (shim) => {
    await shim.call("Start");
    await shim.call("Pause");
    return { pending: shim.call("Resume") };
  }));

// In a pid namespace that is not its own, the runtime kills what init has left before the exit is told.
test("state refusals: exiting", (t) =>
  inState(
    t,
    "exiting",
    "kill",
    async (shim) => {
      await shim.call("Start");
      await shim.call("Kill", { signal: 9 });
      return { pending: shim.call("Wait") };
    },
    (spec) => {
      spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "pid");
    },
  ));

async function stopped(shim: DirectShim): Promise<void> {
  await shim.call("Start");
  await shim.call("Kill", { signal: 9 });
  assert.equal((await shim.call("Wait")).exitStatus, 137);
}

test("state refusals: stopped", (t) =>
  inState(t, "stopped", undefined, async (shim) => {
    await stopped(shim);
    return {};
  }));

test("state refusals: deleting", (t) =>
  inState(t, "deleting", "delete", async (shim) => {
    await stopped(shim);
    return { pending: shim.call("Delete") };
  }));

test("state refusals: deleted, of a container and of an exec, is as if it had never been", async (t) => {
  if (onlyMoor(t, "refusals-have-a-code")) return;
  const { shim } = await make(undefined);
  await shim.call("Delete", { execId: early });
  for (const [request, [, ask]] of Object.entries(askExec)) {
    const fault = await faultOf(request, ask(shim));
    assertSentence(request, fault, [Code.NOT_FOUND], `container ${shim.id} has no exec ${early}`);
  }
  await shim.call("Delete");
  for (const asks of [askInit, askExec]) {
    for (const [request, [, ask]] of Object.entries(asks)) {
      const fault = await faultOf(request, ask(shim));
      assertSentence(request, fault, [Code.NOT_FOUND], `there is no container ${shim.id}`);
    }
  }
  await shim.end(scene);
});

test("state refusals: an exec that is created, starting, running, stopped", async (t) => {
  if (onlyMoor(t, "refusals-have-a-code")) return;
  const { shim, runtime } = await make("exec");
  const counts: number[] = [];
  const ask = async (state: ProcessState): Promise<void> =>
    void counts.push(await askAll(shim, execTable, state, askExec));
  await shim.call("Start");
  await ask("created");
  const starting = shim.call("Start", { execId: early });
  await runtime?.held();
  await ask("starting");
  runtime?.release();
  await starting;
  await ask("running");
  await shim.call("Kill", { execId: early, signal: 9 });
  await until("the exec to have ended", 5_000, async () => {
    return (await shim.call("State", { execId: early })).status === Status.STOPPED;
  });
  await ask("stopped");
  t.diagnostic(`${counts.join(", ")} requests are refused to an exec in these states`);
  assert.ok(counts.every((count) => count > 0));
  await shim.end(scene);
});
