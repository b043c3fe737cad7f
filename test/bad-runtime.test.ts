// Runtimes that are missing, that fail, that hang, and that refuse: what the client is told, word for word where clients
// read it, and that nothing is left and nothing else waits.

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Status } from "../src/api/process.ts";
import { DeleteResponse } from "../src/api/task.ts";
import { DirectShim, shimAction } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { HeldRuntime, runtimeOptions, runtimeScript } from "./harness/held-runtime.ts";
import { saysForbidden, saysMissing } from "./harness/oci-runtime.ts";
import { type OciSpec, ociProcess } from "./harness/oci-spec.ts";
import { isAlive } from "./harness/processes.ts";
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

function processSpec(...args: string[]): { typeUrl: string; value: Uint8Array } {
  return { typeUrl: PROCESS_TYPE, value: new TextEncoder().encode(JSON.stringify(ociProcess(args))) };
}

/** The last error in the runtime's own log of its last call. */
function runtimesWords(bundle: string): string {
  const lines = readFileSync(join(bundle, "log.json"), "utf8").trim().split("\n");
  const entries = lines.map((line) => JSON.parse(line) as { level: string; msg: string });
  return entries.filter(({ level }) => level === "error").at(-1)?.msg ?? "";
}

test("bad runtime: one that is missing, is no program, or fails, is told by its name, and nothing is left", async (t) => {
  if (onlyMoor(t, "refusals-have-a-code")) return;
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const plain = join(scene.dir, "plain-file");
  writeFileSync(plain, "no program");
  const cases: readonly (readonly [string, RegExp])[] = [
    ["/no/such/runtime", /\/no\/such\/runtime.*ENOENT/],
    ["no-such-runtime-in-path", /no-such-runtime-in-path.*ENOENT/],
    [plain, /plain-file.*EACCES/],
    [scene.dir, /EACCES/],
    [runtimeScript(scene, "silent", "exit 3"), /status 3/],
    [runtimeScript(scene, "suicide", "kill -9 $$"), /signal 9/],
    [runtimeScript(scene, "idle", "exit 0"), /pid file/],
  ];
  for (const [binary, words] of cases) {
    const fault = await faultOf(binary, shim.create({ options: runtimeOptions(binary) }));
    assertSentence(binary, fault, [Code.UNKNOWN, Code.INTERNAL], words);
    assert.ok(fault.message.includes(shim.id), fault.message);
    assert.doesNotMatch(
      fault.message,
      /not found|no such file|permission denied/,
      "Docker would take it for another fault",
    );
    await refused(shim, "State", {}, [Code.NOT_FOUND], shim.id);
  }
  const { pid } = await shim.create();
  assert.ok(isAlive(pid));
  await shim.end(scene);
});

test("bad runtime: a command that is missing or may not run is told in the runtime's own words, for init and exec", async (t) => {
  if (onlyMoor(t, "refusals-have-a-code")) return;
  const cases: readonly (readonly [string, RegExp])[] = [
    ["no-such-program", saysMissing("no-such-program")],
    ["/no/such/program", saysMissing("/no/such/program")],
    ["/etc/passwd", saysForbidden("/etc/passwd")],
  ];
  const running = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  await running.create();
  await running.call("Start");
  for (const [i, [program, words]] of cases.entries()) {
    const shim = await DirectShim.start(scene, [program]);
    const fault = await faultOf(program, shim.create());
    assertSentence(program, fault, [Code.UNKNOWN], words);
    assert.equal(
      fault.message,
      `create container ${shim.id}: OCI runtime create failed: ${runtimesWords(shim.bundle.dir)}`,
    );
    await refused(shim, "State", {}, [Code.NOT_FOUND], shim.id);
    await shim.end(scene);

    const execId = `e${i}`;
    await running.call("Exec", { execId, spec: processSpec(program) });
    const denied = await faultOf(program, running.call("Start", { execId }));
    assertSentence(program, denied, [Code.UNKNOWN], words);
    assert.equal(
      denied.message,
      `start exec ${execId} of container ${running.id}: OCI runtime exec failed: ${runtimesWords(running.bundle.dir)}`,
    );
    assert.equal((await running.call("State", { execId })).status, Status.CREATED);
    // What Wait says of it, Delete says too.
    assert.equal((await running.call("Wait", { execId })).exitStatus, 255);
    assert.equal((await running.call("Delete", { execId })).exitStatus, 255);
  }
  await running.end(scene);
});

test("bad runtime: one that hangs in Create holds up nobody else, and goes with the shim", async (t) => {
  if (onlyMoor(t, "no-lock-across-a-wait")) return;
  const runtime = new HeldRuntime(scene, "", "before");
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const shimPid = await shim.shimPid();
  const creating = shim.create({ options: runtime.options }).catch((cause: unknown) => cause);
  const runtimePid = await runtime.held();
  await refused(shim, "State", {}, [Code.NOT_FOUND], shim.id);
  await refused(shim, "Kill", { signal: 9 }, [Code.NOT_FOUND], shim.id);
  await refused(shim, "Delete", {}, [Code.NOT_FOUND], shim.id);
  await refused(shim, "Create", { bundle: shim.bundle.dir }, [Code.ALREADY_EXISTS], shim.id);
  // Another container of the same shim lives its whole life meanwhile.
  const other = await DirectShim.start(scene, ["/bin/sh", "-c", "exit 3"]);
  const id = other.id;
  await shim.call("Create", { id, bundle: other.bundle.dir });
  await shim.call("Start", { id });
  assert.equal((await shim.call("Wait", { id })).exitStatus, 3);
  await shim.call("Delete", { id });
  await other.end(scene);
  // Shutdown with a Create under way is a success that does nothing.
  await shim.call("Shutdown");
  assert.equal(await shim.shimPid(), shimPid);
  process.kill(shimPid, "SIGKILL");
  await until("the shim and its runtime to be gone", 5_000, () => !isAlive(shimPid) && !isAlive(runtimePid));
  await creating;
  shim.client.close();
  // `delete` calls the same runtime, which hangs again.
  const began = performance.now();
  const result = await shimAction(scene, shim.bundle, ["-bundle", shim.bundle.dir, "delete"]);
  assert.ok(performance.now() - began < 5_000, `${performance.now() - began} ms`);
  assert.equal(DeleteResponse.decode(result.stdoutBytes).exitStatus, 137);
  assert.equal(existsSync(shim.socketPath), false);
  shim.bundle.remove();
});

test("bad runtime: one that hangs in delete keeps the action delete neither from its answer nor from the rest", async (t) => {
  if (onlyMoor(t, "no-lock-across-a-wait")) return;
  const runtime = new HeldRuntime(scene, "delete", "before");
  const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
  const { pid } = await shim.create({ options: runtime.options });
  await shim.call("Start");
  const shimPid = await shim.shimPid();
  process.kill(shimPid, "SIGKILL");
  await until("the shim to be gone", 5_000, () => !isAlive(shimPid));
  shim.client.close();
  const remains = ["-bundle", shim.bundle.dir, "delete"];
  const began = performance.now();
  const result = await shimAction(scene, shim.bundle, remains);
  const tookMs = performance.now() - began;
  assert.ok(tookMs < 5_000, `${tookMs} ms`);
  assert.equal(DeleteResponse.decode(result.stdoutBytes).exitStatus, 137);
  assert.match(result.stderr, /no end within/);
  assert.equal(isAlive(pid), false);
  assert.equal(existsSync(shim.socketPath), false);
  // What the runtime alone knows goes when it answers again.
  runtime.letThrough();
  await shimAction(scene, shim.bundle, remains);
  shim.bundle.remove();
});

test("bad runtime: Create in a bundle whose spec the runtime refuses leaves no mount", async (t) => {
  if (onlyMoor(t, "refusals-have-a-code")) return;
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const config = join(shim.bundle.dir, "config.json");
  const spec = JSON.parse(readFileSync(config, "utf8")) as OciSpec;
  const bind = { type: "bind", source: scene.rootfs, target: "", options: ["rbind", "rw"] };
  const linux = { ...spec.linux, namespaces: [{ type: "nonsense" }] };
  const bad = { ...spec, root: { path: "rootfs", readonly: false }, linux };
  writeFileSync(config, JSON.stringify(bad));
  const fault = await faultOf("Create", shim.create({ rootfs: [bind, bind] }));
  assertSentence("Create", fault, [Code.UNKNOWN], /OCI runtime create failed.*nonsense/);
  assert.doesNotMatch(readFileSync("/proc/self/mountinfo", "utf8"), new RegExp(shim.id));
  await refused(shim, "State", {}, [Code.NOT_FOUND], shim.id);
  await shim.end(scene);
});
