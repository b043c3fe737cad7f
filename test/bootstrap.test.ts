// containerd 2.3 and later, played by hand as its public source has it: BootstrapParams on standard input,
// BootstrapResult on standard output, a folder for the socket of the daemon's choice. What is sent is written field by
// field in here and not by the encoder that Moor has of these messages, and what comes back is read in the same way.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Status } from "../src/api/process.ts";
import { DeleteResponse } from "../src/api/task.ts";
import { callTask, DirectShim, shimAction, TASK_V2, TASK_V3, TestBundle } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { FifoReader, makeFifo } from "./harness/fifo.ts";
import { sceneCgroups } from "./harness/leaks.ts";
import type { OciSpec } from "./harness/oci-spec.ts";
import { isAlive, markedProcesses } from "./harness/processes.ts";
import { fieldsOf, group, text, varint } from "./harness/raw-protobuf.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const LOG_LEVEL_DEBUG = -4;
const sink = { value: undefined as EventSink | undefined };
// The daemon takes no folder of more than 42 characters: a socket's name has 64, its path at most 107.
const socketDir = mkdtempSync(join(tmpdir(), "moor-s-"));
after(() => rmSync(socketDir, { recursive: true }));

const scene = useScene({
  withoutDaemon: true,
  prepare: async (opened) => {
    sink.value = new EventSink(join(opened.dir, "events.sock"));
    opened.onClose(() => void sink.value?.close());
    await sink.value.open();
  },
});

function events(): EventSink {
  assert.ok(sink.value !== undefined);
  return sink.value;
}

interface Asked {
  readonly socketDir?: string;
  readonly optionsRoot?: string;
  readonly instanceId?: string;
  readonly namespace?: string;
}

/** BootstrapParams as the daemon's Command() fills them. */
function params(bundle: TestBundle, asked: Asked = {}): Buffer {
  // containerd.runc.v1.Options: root is field 7.
  const options = Buffer.concat([text(1, "containerd.runc.v1.Options"), group(2, text(7, asked.optionsRoot ?? ""))]);
  return Buffer.concat([
    text(1, asked.instanceId ?? bundle.id),
    text(2, asked.namespace ?? scene.namespace),
    varint(3, LOG_LEVEL_DEBUG),
    text(4, "v2.3.4"),
    text(5, events().path),
    text(6, scene.daemon.address),
    text(7, "/usr/bin/containerd"),
    // An extension of somebody else's, and the runtime's options.
    group(8, group(1, Buffer.concat([text(1, "example.org/other.v1.Thing"), group(2, Buffer.from([1, 2, 3]))]))),
    group(8, group(1, options)),
    text(9, asked.socketDir ?? socketDir),
  ]);
}

/** The environment that the daemon adds; where events go is said by the parameters, and wrongly here. */
function environment(): Record<string, string> {
  return {
    GOMAXPROCS: "2",
    MAX_SHIM_VERSION: "2",
    TTRPC_ADDRESS: join(scene.dir, "nobody.ttrpc"),
    GRPC_ADDRESS: scene.daemon.address,
    NAMESPACE: scene.namespace,
  };
}

interface Answer {
  readonly version: number;
  readonly address: string;
  readonly protocol: string;
}

/** As the daemon reads a BootstrapResult. */
function readAnswer(stdout: Buffer): Answer {
  const fields = fieldsOf(stdout);
  assert.deepEqual([...fields.keys()].sort(), [1, 2, 3], "version, address and protocol, and nothing else");
  const [version, address, protocol] = [fields.get(1)?.[0], fields.get(2)?.[0], fields.get(3)?.[0]];
  assert.ok(typeof version === "bigint" && Buffer.isBuffer(address) && Buffer.isBuffer(protocol));
  return { version: Number(version), address: address.toString(), protocol: protocol.toString() };
}

async function start(bundle: TestBundle, asked: Asked = {}): Promise<{ shim: DirectShim; answer: Answer }> {
  let answer: Answer | undefined;
  const shim = await DirectShim.startIn(scene, bundle, {
    input: params(bundle, asked),
    environment: environment(),
    readAddress: (stdout) => {
      answer = readAnswer(stdout);
      return answer.address;
    },
  });
  assert.ok(answer !== undefined);
  return { shim, answer };
}

/** What the daemon does with each container of a version 2 shim once it is over. */
async function cleanUp(shim: DirectShim): Promise<DeleteResponse> {
  const deleted = await shimAction(scene, shim.bundle, ["-bundle", shim.bundle.dir, "delete"], {
    environment: environment(),
  });
  assert.equal(deleted.status, 0, deleted.stderr);
  assert.equal(deleted.stderr, "");
  shim.client.close();
  shim.bundle.remove();
  return DeleteResponse.decode(deleted.stdoutBytes);
}

for (const service of [TASK_V2, TASK_V3]) {
  test(`bootstrap: the life of a container, by ${service}`, async (t) => {
    if (onlyMoor(t, "one-binary-for-every-containerd")) return;
    const from = events().events.length;
    const root = join(scene.dir, "runtime-root");
    const bundle = new TestBundle(scene, ["/bin/sh", "-c", "echo hello; read line; exit 7"]);
    const { shim, answer } = await start(bundle, { optionsRoot: root });
    assert.deepEqual(
      { ...answer, address: answer.address.startsWith(`unix://${socketDir}/`) },
      { version: 2, address: true, protocol: "ttrpc" },
    );
    const call: DirectShim["call"] = (method, fields) =>
      callTask(shim.client, method, { id: shim.id, ...fields } as never, service);
    const { shimPid } = await call("Connect");
    const [stdin, stdout] = [join(bundle.dir, "in"), join(bundle.dir, "out")];
    for (const path of [stdin, stdout]) makeFifo(path);
    const output = new FifoReader(stdout, true);
    // The runtime's options come again with Create; those of start concern the shim alone.
    const options = { typeUrl: "containerd.runc.v1.Options", value: Uint8Array.from(text(7, root)) };
    const { pid } = await call("Create", { bundle: bundle.dir, stdin, stdout, options });
    assert.ok(existsSync(join(root, scene.namespace, shim.id)));
    assert.equal((await call("Start")).pid, pid);
    await output.untilText(/hello/);
    assert.equal((await call("State")).status, Status.RUNNING);
    const waiting = call("Wait");
    await call("CloseIO", { stdin: true });
    assert.equal((await waiting).exitStatus, 7);
    assert.deepEqual(
      (await call("Pids")).processes.map((process) => process.pid),
      [pid],
      "a daemon that restarts keeps the task",
    );
    assert.equal((await call("Delete")).exitStatus, 7);
    output.close();
    await call("Shutdown");
    await until("the shim to end", 10_000, () => !isAlive(shimPid));
    await events().untilCount(from + 4);
    assert.deepEqual(events().topics().slice(from), ["create", "start", "exit", "delete"]);
    await bundle.log.untilText(/level=debug/, 5_000);
    assert.equal((await cleanUp(shim)).exitStatus, 7);
    assert.deepEqual(readdirSync(socketDir), []);
  });
}

/** A pod: its sandbox's container and two more. */
async function pod(): Promise<DirectShim[]> {
  const name = scene.newId("pod");
  const annotate = (spec: OciSpec): void => {
    spec.annotations["io.kubernetes.cri.sandbox-id"] = name;
  };
  const members: DirectShim[] = [];
  for (let i = 0; i < 3; i++) {
    const { shim, answer } = await start(new TestBundle(scene, ["/bin/sleep", "1000"], annotate));
    assert.equal(answer.version, 2, "each container of the pod gets start, Shutdown and delete");
    assert.equal(shim.socketPath, members[0]?.socketPath ?? shim.socketPath);
    await shim.create();
    await shim.call("Start");
    members.push(shim);
  }
  assert.equal(new Set(await Promise.all(members.map((member) => member.shimPid()))).size, 1);
  return members;
}

test("bootstrap: the life of a pod, whose containers come and go in one shim", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const members = await pod();
  const shimPid = (await members[0]?.shimPid()) ?? 0;
  for (const [index, member] of members.entries()) {
    await member.call("Kill", { signal: 9 });
    assert.equal((await member.call("Wait")).exitStatus, 137);
    await member.call("Delete");
    await member.call("Shutdown").catch(() => undefined);
    const isLast = index === members.length - 1;
    if (isLast) await until("the shim to go with the last", 10_000, () => !isAlive(shimPid));
    else assert.ok(isAlive(shimPid));
    assert.equal((await cleanUp(member)).exitStatus, 137);
    assert.equal(readdirSync(socketDir).length, isLast ? 0 : 1);
  }
});

test("bootstrap: a pod's shim is killed: delete of each container leaves nothing of any", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const members = await pod();
  const pids = await Promise.all(members.map(async (member) => (await member.call("State")).pid));
  process.kill((await members[0]?.shimPid()) ?? 0, "SIGKILL");
  for (const [index, member] of members.entries()) {
    const told = await cleanUp(member);
    assert.deepEqual([told.pid, told.exitStatus], [pids[index], 137]);
  }
  // Init reaps the orphans of the dead shim when it gets to it.
  await until("all processes to be gone", 5_000, () => markedProcesses(scene.tag).length === 0);
  assert.deepEqual(sceneCgroups(scene.namespace), []);
  assert.deepEqual(readdirSync(socketDir), []);
});

test("bootstrap: a daemon that restarts finds the shim by what the answer said", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const bundle = new TestBundle(scene, ["/bin/sleep", "1000"]);
  const { shim, answer } = await start(bundle);
  await shim.create();
  // A daemon of 2.x reads bootstrap.json, which it made of the answer; one of 1.x, after a downgrade, reads this.
  assert.equal(readFileSync(join(bundle.dir, "address"), "utf8"), answer.address);
  await shim.end(scene);
});

test("bootstrap: parameters for another container or namespace, a relative folder, a path too long: refused in words", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const long = join(socketDir, "x".repeat(40));
  mkdirSync(long);
  const cases: readonly (readonly [Asked, RegExp])[] = [
    [{ instanceId: "another" }, /another/],
    [{ namespace: "elsewhere" }, /elsewhere/],
    [{ socketDir: "relative/path" }, /relative\/path/],
    [{ socketDir: long }, /107/],
  ];
  for (const [asked, words] of cases) {
    const bundle = new TestBundle(scene, ["/bin/true"]);
    const input = params(bundle, asked);
    const refused = await shimAction(scene, bundle, ["start"], { input, environment: environment() });
    assert.equal(refused.status, 1, JSON.stringify(asked));
    assert.match(refused.stdout + refused.stderr, words);
    bundle.remove();
  }
  rmSync(long, { recursive: true });
  assert.deepEqual(markedProcesses(scene.tag), []);
  assert.deepEqual(readdirSync(socketDir), []);
});
