// Bad input beyond refusals.test.ts: bundles, names, sizes, messages and requests that cannot be. Each is answered with
// the right code in one sentence, leaves nothing behind and changes nothing, and the shim serves on.

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Status } from "../src/api/process.ts";
import { UpdateTaskRequest } from "../src/api/task.ts";
import { DirectShim, METHOD_NAMES, TASK_V2, TASK_V3, type Method, type RequestOf } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { runtimeUnderTest } from "./harness/oci-runtime.ts";
import type { OciSpec } from "./harness/oci-spec.ts";
import { ociProcess } from "./harness/oci-spec.ts";
import { isAlive } from "./harness/processes.ts";
import { encodeFrame, encodeRequest, RawClient, StatusError } from "./harness/raw-ttrpc.ts";
import { assertSentence, Code, faultOf, refused } from "./harness/refusal.ts";
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
/** ttrpc's bound of a message. */
const MAX_MESSAGE = 4 << 20;

function stockDiffers(t: TestContext): boolean {
  return onlyMoor(t, "refusals-have-a-code");
}

function bytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}

function processSpec(...args: string[]): { typeUrl: string; value: Uint8Array } {
  return { typeUrl: PROCESS_TYPE, value: bytes(ociProcess(args)) };
}

async function running(args: readonly string[] = ["/bin/sleep", "1000"]): Promise<DirectShim> {
  const shim = await DirectShim.start(scene, args);
  await shim.create();
  await shim.call("Start");
  return shim;
}

function mountsBelow(dir: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => line.split(" ")[4]?.startsWith(dir) === true);
}

/** The bind mount of the scene's root file system, as a snapshotter would ask for it. */
function bind(): { type: string; source: string; target: string; options: string[] } {
  return { type: "bind", source: scene.rootfs, target: "", options: ["rbind", "rw"] };
}

test("bad input: config.json whose content cannot be is told by its name and its fault", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const path = join(shim.bundle.dir, "config.json");
  const good = JSON.parse(readFileSync(path, "utf8")) as OciSpec;
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  const cases: readonly (readonly [string, RegExp])[] = [
    [JSON.stringify({ ...good, process: undefined }), /has no process/],
    [JSON.stringify({ ...good, process: null }), /has no process/],
    [JSON.stringify({ ...good, process: [] }), /process that is not an object/],
    [JSON.stringify({ ...good, root: "rootfs" }), /root/],
    [JSON.stringify({ ...good, annotations: { a: 1 } }), /annotation/],
    ["", /not JSON/],
    ["null", /not a JSON object/],
    [`{"process":{},"deep":${deep}}`, /config\.json/],
    ["\u0000\ufffd\n", /not JSON/],
  ];
  for (const [text, words] of cases) {
    writeFileSync(path, text);
    const fault = await refused(shim, "Create", { bundle: shim.bundle.dir }, [Code.INVALID_ARGUMENT], words);
    assert.ok(fault.message.includes(shim.id) && fault.message.includes("config.json"), fault.message);
    await refused(shim, "State", {}, [Code.NOT_FOUND], shim.id);
  }
  assert.equal(existsSync(join(shim.bundle.dir, "init.pid")), false);
  writeFileSync(path, JSON.stringify(good));
  const { pid } = await shim.create();
  assert.ok(isAlive(pid));
  await shim.end(scene);
});

test("bad input: a bundle whose config.json is missing, a folder, or a file in the place of the bundle", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const dir = join(scene.dir, "odd-bundle");
  mkdirSync(join(dir, "rootfs"), { recursive: true });
  await refused(shim, "Create", { bundle: dir }, [Code.INVALID_ARGUMENT], /config\.json/);
  mkdirSync(join(dir, "config.json"));
  await refused(shim, "Create", { bundle: dir }, [Code.INVALID_ARGUMENT], /config\.json/);
  assert.deepEqual(readdirSync(dir).sort(), ["config.json", "rootfs"]);
  const file = join(scene.dir, "a-file");
  writeFileSync(file, "");
  await refused(shim, "Create", { bundle: file }, [Code.INVALID_ARGUMENT], /bundle/);
  await refused(shim, "Create", { bundle: "relative" }, [Code.INVALID_ARGUMENT], /bundle/);
  await shim.end(scene);
});

test("bad input: root.path may be absolute, relative, and not called rootfs", async () => {
  const shapes: readonly (readonly [string, (dir: string) => string, boolean])[] = [
    ["absolute, elsewhere", () => scene.rootfs, false],
    ["absolute, in the bundle", (dir) => join(dir, "rootfs"), true],
    ["relative", () => "rootfs", true],
    [
      "relative, of another name",
      (dir) => {
        mkdirSync(join(dir, "system"));
        cpSync(join(scene.rootfs, "bin"), join(dir, "system/bin"), { recursive: true, verbatimSymlinks: true });
        for (const sub of ["proc", "dev"]) mkdirSync(join(dir, "system", sub));
        return "system";
      },
      false,
    ],
  ];
  for (const [what, pathIn, mounted] of shapes) {
    const shim = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 9"]);
    const { dir } = shim.bundle;
    const config = join(dir, "config.json");
    const spec = JSON.parse(readFileSync(config, "utf8")) as OciSpec;
    spec.root.path = pathIn(dir);
    writeFileSync(config, JSON.stringify(spec));
    await shim.create(mounted ? { rootfs: [bind()] } : {});
    await shim.call("Start");
    assert.equal((await shim.call("Wait")).exitStatus, 9, what);
    await shim.call("Delete");
    assert.deepEqual(mountsBelow(dir), [], what);
    await shim.end(scene);
  }
});

test("bad input: ids that are no names, in every method", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await running();
  const rest: Partial<{ [M in Method]: Partial<RequestOf<M>> }> = {
    Create: { bundle: shim.bundle.dir },
    Kill: { signal: 9 },
    Exec: { execId: "e", spec: processSpec("/bin/true") },
    Checkpoint: { path: "/nowhere" },
    Update: { resources: { typeUrl: "x", value: bytes({}) } },
  };
  const long = "x".repeat(300);
  const either = [Code.INVALID_ARGUMENT, Code.NOT_FOUND];
  for (const id of ["a/b", "..", "", long, "a\nb", "\u0007", "x".repeat(1 << 20)]) {
    for (const method of METHOD_NAMES) {
      if (method === "Connect" || method === "Shutdown") continue;
      await refused(shim, method, { ...rest[method], id } as never, either, /./);
    }
    const spec = processSpec("/bin/true");
    await refused(shim, "Exec", { execId: id, spec }, [Code.INVALID_ARGUMENT], /id/);
    if (id === "") continue;
    for (const method of ["State", "Start", "Delete", "Wait", "CloseIO", "ResizePty"] as const) {
      await refused(shim, method, { execId: id }, either, shim.id);
    }
    await refused(shim, "Kill", { execId: id, signal: 9 }, either, shim.id);
  }
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  await shim.end(scene);
});

test("bad input: options and specs of a wrong type or cut short", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { dir } = shim.bundle;
  const cut = new Uint8Array([0x0a, 0x7f, 0x41]);
  for (const typeUrl of ["containerd.runc.v1.CheckpointOptions", "x", "/", "types/\n", "containerd.runc.v1.Options"]) {
    const fields = { bundle: dir, options: { typeUrl, value: cut } };
    await refused(shim, "Create", fields, [Code.INVALID_ARGUMENT], shim.id);
  }
  assert.equal(existsSync(join(dir, "options.json")), false, "a refused request writes nothing");
  await shim.create();
  await shim.call("Start");
  for (const typeUrl of ["containerd.runc.v1.Options", "containerd.runc.v1.CheckpointOptions"]) {
    const options = { typeUrl, value: cut };
    await refused(shim, "Checkpoint", { path: join(scene.dir, "image"), options }, [Code.INVALID_ARGUMENT], /options/i);
  }
  await shim.end(scene);
});

test("bad input: requests cut short are errors on their stream, in every method of both services", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await running();
  for (const service of [TASK_V2, TASK_V3]) {
    for (const method of METHOD_NAMES) {
      // A text of 127 bytes of which one comes; a group that never ends.
      for (const request of [Uint8Array.of(0x0a, 0x7f, 0x41), Uint8Array.of(0xff, 0xff, 0xff)]) {
        const fault = await faultOf(method, shim.client.call(service, method, request));
        assertSentence(method, fault, [Code.INVALID_ARGUMENT], /cannot be decoded/);
      }
    }
  }
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  await shim.end(scene);
});

test("bad input: a message of 4 MiB is taken, one byte more is ResourceExhausted, and the connection goes on", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await running();
  const resources = (length: number): Uint8Array => {
    const value = bytes(`{"pad":"${"p".repeat(length)}"}`);
    const fields = { ...UpdateTaskRequest.decode(new Uint8Array()), id: shim.id };
    const message = UpdateTaskRequest.encode({ ...fields, resources: { typeUrl: "x", value } }).finish();
    return encodeRequest(TASK_V2, "Update", message);
  };
  const overhead = resources(MAX_MESSAGE >> 1).length - (MAX_MESSAGE >> 1);
  const fits = resources(MAX_MESSAGE - overhead - 16);
  assert.ok(fits.length <= MAX_MESSAGE && fits.length > MAX_MESSAGE - 32, String(fits.length));
  await shim.client.send(1, fits);
  const fault = await faultOf("a large message", shim.client.send(1, new Uint8Array(MAX_MESSAGE + 1)));
  assertSentence("a large message", fault, [Code.RESOURCE_EXHAUSTED], /./);
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  // One that is announced and never comes costs its own connection only.
  const half = await RawClient.connect(shim.socketPath);
  half.socket.write(encodeFrame({ streamId: 1, type: 1, flags: 0, payload: fits }).subarray(0, 1 << 20));
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  half.close();
  await shim.end(scene);
});

test("bad input: Update with JSON that is huge, deep, or of another kind", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await running();
  const update = (text: string) => ({ resources: { typeUrl: "x", value: bytes(text) } });
  const deep = (depth: number): string => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  for (const text of ["[]", "null", "1", '"text"', "{", deep(1_000_000), `{"a":${"[".repeat(2_000_000)}`]) {
    await refused(shim, "Update", update(text), [Code.INVALID_ARGUMENT], shim.id);
  }
  const nonsense = shim.call("Update", update('{"memory":{"limit":"much"}}'));
  // crun takes what it does not understand for nothing said.
  if (runtimeUnderTest() === "crun") await nonsense;
  else {
    const words = new RegExp(`^update container ${shim.id}: OCI runtime update failed`);
    assertSentence("Update", await faultOf("Update", nonsense), [Code.UNKNOWN], words);
  }
  // What the runtime has no use for it passes over.
  await shim.call("Update", update(JSON.stringify(many(20_000))));
  const left = readdirSync(shim.bundle.dir).filter((name) => name.startsWith("resources-"));
  assert.deepEqual(left, []);
  await shim.end(scene);
});

function many(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`unknown${i}`, "x".repeat(100)]));
}

test("bad input: Exec with a spec that is deep, or that the runtime refuses", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await running();
  for (const depth of [100, 1_000, 5_000, 20_000, 100_000, 1_000_000]) {
    const nested = `${"[".repeat(depth)}${"]".repeat(depth)}`;
    const value = bytes(`{"args":["/bin/true"],"cwd":"/","deep":${nested}}`);
    const execId = `deep${depth}`;
    const added = await shim.call("Exec", { execId, spec: { typeUrl: PROCESS_TYPE, value } }).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    if (added === undefined) await shim.call("Delete", { execId });
    else {
      assert.ok(added instanceof StatusError);
      assertSentence(execId, added, [Code.INVALID_ARGUMENT], shim.id);
    }
  }
  for (const [i, text] of ["{}", '{"args":[]}', '{"args":"/bin/true"}', '{"args":["/bin/true"],"cwd":"x"}'].entries()) {
    const execId = `bad${i}`;
    await shim.call("Exec", { execId, spec: { typeUrl: PROCESS_TYPE, value: bytes(text) } });
    const fault = await faultOf(text, shim.call("Start", { execId }));
    assertSentence(text, fault, [Code.UNKNOWN], /OCI runtime exec failed/);
    await shim.call("Delete", { execId });
  }
  assert.deepEqual(
    (await shim.call("Pids")).processes.map(({ pid }) => pid),
    [(await shim.call("State")).pid],
  );
  await shim.end(scene);
});

test("bad input: ResizePty of sizes that are none", async (t) => {
  if (stockDiffers(t)) return;
  const plain = await running();
  await refused(plain, "ResizePty", { width: 80, height: 24 }, [Code.FAILED_PRECONDITION], /terminal/);
  await plain.end(scene);
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"], (spec) => {
    spec.process.terminal = true;
  });
  await shim.create({ terminal: true });
  await shim.call("Start");
  await shim.call("ResizePty", { width: 0, height: 0 });
  await shim.call("ResizePty", { width: 65_535, height: 65_535 });
  for (const size of [65_536, 0xffff_ffff]) {
    await refused(shim, "ResizePty", { width: size, height: 24 }, [Code.INVALID_ARGUMENT], shim.id);
    await refused(shim, "ResizePty", { width: 80, height: size }, [Code.INVALID_ARGUMENT], shim.id);
  }
  await shim.call("Exec", { execId: "e", terminal: true, spec: processSpec("/bin/true") });
  await refused(shim, "ResizePty", { execId: "e", width: 65_536, height: 1 }, [Code.INVALID_ARGUMENT], shim.id);
  await shim.end(scene);
});

test("bad input: a stopped container takes no Exec, no Pause, no Start and no Kill", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await running(["/bin/true"]);
  await shim.call("Exec", { execId: "early", spec: processSpec("/bin/true") }).catch(() => undefined);
  await shim.call("Wait");
  const spec = processSpec("/bin/true");
  await refused(shim, "Exec", { execId: "late", spec }, [Code.FAILED_PRECONDITION], shim.id);
  for (const method of ["Start", "Pause", "Resume"] as const) {
    await refused(shim, method, {}, [Code.FAILED_PRECONDITION], shim.id);
  }
  await refused(shim, "Checkpoint", { path: "/tmp/nowhere" }, [Code.FAILED_PRECONDITION], shim.id);
  await refused(shim, "Kill", { signal: 9 }, [Code.NOT_FOUND], /process already finished/);
  await refused(shim, "State", { execId: "late" }, [Code.NOT_FOUND], /late/);
  await shim.end(scene);
});

test("bad input: many Deletes at once delete once", async (t) => {
  if (stockDiffers(t)) return;
  const from = sink.events.length;
  const shim = await running(["/bin/sh", "-c", "exit 6"]);
  await shim.call("Wait");
  const settled = await Promise.allSettled(Array.from({ length: 6 }, () => shim.call("Delete")));
  for (const outcome of settled) {
    if (outcome.status === "fulfilled") assert.equal(outcome.value.exitStatus, 6);
    else assert.equal((outcome.reason as StatusError).code, Code.NOT_FOUND);
  }
  assert.ok(settled.some(({ status }) => status === "fulfilled"));
  await refused(shim, "Delete", {}, [Code.NOT_FOUND], shim.id);
  await until("the delete to be told", 5_000, () => sink.topics().slice(from).includes("delete"));
  assert.equal(sink.topics().filter((topic, i) => i >= from && topic === "delete").length, 1);
  await shim.end(scene);
});

test("bad input: Kill of what is not there, Checkpoint to where nothing can be, methods nobody knows", async (t) => {
  if (stockDiffers(t)) return;
  const shim = await running();
  await refused(shim, "Kill", { id: "nobody", signal: 9 }, [Code.NOT_FOUND], /nobody/);
  await refused(shim, "Kill", { execId: "none", signal: 9 }, [Code.NOT_FOUND], /none/);
  const path = join(scene.dir, "rootfs/bin/busybox/image");
  const fault = await faultOf("Checkpoint", shim.call("Checkpoint", { path }));
  assertSentence("Checkpoint", fault, [Code.UNKNOWN, Code.INVALID_ARGUMENT], /checkpoint/);
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  const names: readonly (readonly [string, string])[] = [
    ["containerd.task.v1.Task", "State"],
    ["containerd.runtime.sandbox.v1.Sandbox", "CreateSandbox"],
    ["", ""],
    [TASK_V2, "state"],
    [TASK_V2, "__proto__"],
    [TASK_V2, "constructor"],
    ["__proto__", "toString"],
    [TASK_V3, "x".repeat(100_000)],
    [TASK_V2, "a\nb"],
  ];
  for (const [service, method] of names) {
    const unknown = await faultOf(method, shim.client.call(service, method, new Uint8Array()));
    assertSentence(`${service}/${method}`.slice(0, 80), unknown, [Code.UNIMPLEMENTED], /./);
  }
  assert.equal((await shim.call("State")).status, Status.RUNNING);
  await shim.end(scene);
});
