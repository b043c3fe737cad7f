// Bad input: each refusal is an error in words with the right code, and the shim goes on. With the stock shim only the
// second half is checked where its codes differ.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Options } from "../src/api/runc-options.ts";
import { DirectShim, type Method, type RequestOf } from "./harness/direct-shim.ts";
import { meantDifference, onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { ociProcess } from "./harness/oci-spec.ts";
import { isAlive } from "./harness/processes.ts";
import { StatusError } from "./harness/raw-ttrpc.ts";
import { useScene } from "./harness/scene.ts";

let sink: EventSink;
const scene = useScene({
  withoutDaemon: true,
  prepare: async (opened) => {
    sink = new EventSink(`${opened.daemon.address}.ttrpc`);
    opened.onClose(() => void sink.close());
    await sink.open();
  },
});

const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;
const PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";
/** Texts in which Docker sees something else than meant, and which only the runtime's own words may hold. */
const MISLEADING = /no such container|container does not exist|executable file not found|permission denied/i;

async function refused<M extends Method>(
  t: TestContext,
  shim: DirectShim,
  method: M,
  fields: Partial<RequestOf<M>>,
  codes: readonly number[],
  words: RegExp,
): Promise<void> {
  const what = `${method} ${JSON.stringify(fields, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value))}`;
  const fault: unknown = await shim.call(method, fields).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (meantDifference(t, "refusals-have-a-code")) {
    assert.ok(fault instanceof StatusError, `${what} was not refused: ${String(fault)}`);
    assert.ok(codes.includes(fault.code), `${what}: code ${fault.code}, ${fault.message}`);
    assert.match(fault.message, words, what);
    assert.doesNotMatch(fault.message, MISLEADING, what);
  } else assert.ok(fault === undefined || fault instanceof StatusError, `${what}: ${String(fault)}`);
  await shim.call("Connect");
}

function bytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}

async function running(): Promise<DirectShim> {
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await shim.create();
  await shim.call("Start");
  return shim;
}

test("refusals: Create with an id, a bundle, or options that cannot be", async (t) => {
  if (onlyMoor(t, "refusals-have-a-code")) return;
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const { dir } = shim.bundle;
  await refused(t, shim, "Create", { id: "" }, [INVALID_ARGUMENT], /id/);
  await refused(t, shim, "Create", { id: "../up", bundle: dir }, [INVALID_ARGUMENT], /id/);
  await refused(t, shim, "Create", { bundle: "" }, [INVALID_ARGUMENT], /bundle/);
  await refused(
    t,
    shim,
    "Create",
    { bundle: "/no/such/bundle" },
    [INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION],
    /bundle/,
  );
  const options = { typeUrl: "nobody.knows.Options", value: new Uint8Array([1]) };
  await refused(t, shim, "Create", { bundle: dir, options }, [INVALID_ARGUMENT], /nobody\.knows\.Options/);
  const broken = { typeUrl: "containerd.runc.v1.Options", value: new Uint8Array([0xff, 0xff]) };
  await refused(t, shim, "Create", { bundle: dir, options: broken }, [INVALID_ARGUMENT], /options/i);
  await shim.end(scene);
});

test("refusals: Create whose config.json is no JSON", async (t) => {
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  writeFileSync(join(shim.bundle.dir, "config.json"), "{ no json");
  await refused(
    t,
    shim,
    "Create",
    { bundle: shim.bundle.dir },
    [INVALID_ARGUMENT, FAILED_PRECONDITION],
    /config\.json/,
  );
  await shim.end(scene);
});

test("refusals: signals are 0 to 64", async (t) => {
  const shim = await running();
  for (const signal of [65, 4096, 0xffffffff]) {
    await refused(t, shim, "Kill", { signal }, [INVALID_ARGUMENT], /signal/);
  }
  await shim.call("Kill", { signal: 0 });
  await shim.end(scene);
});

test("refusals: Exec without an id, without a spec, with one that is no JSON, of no known type", async (t) => {
  if (onlyMoor(t, "bad-requests-do-not-crash")) return;
  const shim = await running();
  const spec = { typeUrl: PROCESS_TYPE, value: bytes(ociProcess(["/bin/true"])) };
  await refused(t, shim, "Exec", { execId: "", spec }, [INVALID_ARGUMENT, 6], /exec/i);
  await refused(t, shim, "Exec", { execId: "e1" }, [INVALID_ARGUMENT], /spec/);
  await refused(
    t,
    shim,
    "Exec",
    { execId: "e2", spec: { typeUrl: PROCESS_TYPE, value: bytes("{") } },
    [INVALID_ARGUMENT],
    /JSON|spec/,
  );
  await refused(t, shim, "Exec", { execId: "../e3", spec }, [INVALID_ARGUMENT], /id/);
  await refused(t, shim, "State", { execId: "e9" }, [NOT_FOUND], /e9/);
  await refused(t, shim, "Start", { execId: "e9" }, [NOT_FOUND], /e9/);
  await refused(t, shim, "Delete", { execId: "e9" }, [NOT_FOUND], /e9/);
  await refused(t, shim, "Kill", { execId: "e9", signal: 9 }, [NOT_FOUND], /e9/);
  await shim.end(scene);
});

test("refusals: stdio that cannot be opened is an error that names it, and the container is not left half made", async (t) => {
  if (onlyMoor(t, "start-needs-no-reader")) return;
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const missing = join(scene.dir, "no-such-fifo");
  const any = [INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, 2];
  await refused(t, shim, "Create", { bundle: shim.bundle.dir, stdout: missing }, any, /no-such-fifo/);
  await refused(
    t,
    shim,
    "Create",
    { bundle: shim.bundle.dir, stdout: "pigeon://coop" },
    [INVALID_ARGUMENT, 12],
    /pigeon/,
  );
  await refused(t, shim, "State", {}, [NOT_FOUND], /./);
  const { pid } = await shim.create();
  assert.ok(isAlive(pid));
  await shim.end(scene);
});

test("refusals: Update without resources or with wrong ones, Checkpoint without a path", async (t) => {
  if (onlyMoor(t, "bad-requests-do-not-crash")) return;
  const shim = await running();
  await refused(t, shim, "Update", {}, [INVALID_ARGUMENT], /resources/);
  const resources = { typeUrl: "x", value: bytes("[") };
  await refused(t, shim, "Update", { resources }, [INVALID_ARGUMENT], /resources|JSON/);
  await refused(t, shim, "Checkpoint", { path: "" }, [INVALID_ARGUMENT], /path/);
  await shim.end(scene);
});

// Without a terminal what the runtime prints is the container's output, and its cause stands in its log.
test("refusals: a runtime that prints more than a pipe holds does not hang, and its cause is told", async (t) => {
  const dir = join(scene.dir, "loud");
  mkdirSync(dir, { recursive: true });
  const runtime = join(dir, "runtime");
  const noise = "dd if=/dev/zero bs=1024 count=1024 2>/dev/null | tr '\\0' x";
  writeFileSync(runtime, `#!/bin/sh\n${noise}\n${noise} >&2\necho 'the very cause' >&2\nexit 1\n`, { mode: 0o755 });
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const value = Options.encode({ ...Options.decode(new Uint8Array()), binaryName: runtime }).finish();
  const options = { typeUrl: "containerd.runc.v1.Options", value };
  await assert.rejects(shim.create({ options }), StatusError);
  await assert.rejects(shim.create({ terminal: true, options }), (fault) => {
    assert.ok(fault instanceof StatusError, String(fault));
    if (meantDifference(t, "refusals-have-a-code")) {
      assert.match(fault.message, /the very cause/);
      assert.ok(fault.message.length < 64_000, `an error of ${fault.message.length} characters`);
    }
    return true;
  });
  await shim.call("Connect");
  await shim.end(scene);
});

test("refusals: while one runtime call hangs, everything else is answered at once", async (t) => {
  if (onlyMoor(t, "no-lock-across-a-wait")) return;
  const dir = join(scene.dir, "slow");
  mkdirSync(dir, { recursive: true });
  const runtime = join(dir, "runtime");
  const gate = join(dir, "gate");
  const script = [
    "#!/bin/sh",
    'case " $* " in *" exec "*) while [ ! -e ' + gate + " ]; do sleep 0.05; done;; esac",
    'exec runc "$@"',
    "",
  ].join("\n");
  writeFileSync(runtime, script, { mode: 0o755 });
  const value = Options.encode({ ...Options.decode(new Uint8Array()), binaryName: runtime }).finish();
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { pid } = await shim.create({ options: { typeUrl: "containerd.runc.v1.Options", value } });
  await shim.call("Start");
  const spec = { typeUrl: PROCESS_TYPE, value: bytes(ociProcess(["/bin/true"])) };
  await shim.call("Exec", { execId: "slow", spec });
  const hanging = shim.call("Start", { execId: "slow" });
  const begin = performance.now();
  assert.equal((await shim.call("State")).pid, pid);
  assert.equal((await shim.call("State", { execId: "slow" })).execId, "slow");
  await shim.call("Pids");
  await shim.call("Stats");
  await shim.call("Kill", { signal: 0 });
  assert.equal((await shim.call("Connect")).taskPid, pid);
  assert.ok(performance.now() - begin < 2_000, `${performance.now() - begin} ms`);
  writeFileSync(gate, "");
  await hanging;
  assert.equal((await shim.call("Wait", { execId: "slow" })).exitStatus, 0);
  await shim.call("Delete", { execId: "slow" });
  await shim.end(scene);
});
