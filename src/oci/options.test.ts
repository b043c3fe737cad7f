import assert from "node:assert/strict";
import { test } from "node:test";
import { CheckpointOptions, Options } from "../api/runc-options.ts";
import { Options as TomlOptions } from "../api/runtime-options.ts";
import { MoorError } from "../sys/error.ts";
import { FakeSystem } from "./fake-system.fixture.ts";
import { readOptions, writeOptions } from "./options-file.ts";
import { type RuntimeOptions, decodeCheckpointOptions, decodeOptions, defaultOptions } from "./options.ts";

const full: RuntimeOptions = {
  binaryName: "/usr/bin/crun",
  root: "/run/other",
  systemdCgroup: true,
  noPivotRoot: true,
  noNewKeyring: true,
  shimCgroup: "/moor",
  ioUid: 1000,
  ioGid: 4294967295,
  criuPath: "/usr/sbin/criu",
  criuImagePath: "/img",
  criuWorkPath: "/work",
};

const invalid = (text: RegExp) => (thrown: unknown) => {
  assert.ok(thrown instanceof MoorError);
  assert.equal(thrown.code, "invalid_argument");
  assert.match(thrown.message, text);
  return true;
};

function toml(body: string, configPath = ""): { typeUrl: string; value: Uint8Array } {
  const message = { typeUrl: "runtimeoptions.v1.Options", configPath, configBody: new TextEncoder().encode(body) };
  return { typeUrl: "runtimeoptions.v1.Options", value: TomlOptions.encode(message).finish() };
}

test("decodeOptions: nothing sent means all defaults", async () => {
  const { sys } = new FakeSystem();
  assert.deepEqual(await decodeOptions(sys, undefined), defaultOptions);
  assert.deepEqual(await decodeOptions(sys, { typeUrl: "", value: new Uint8Array() }), defaultOptions);
});

test("decodeOptions: runc's options, with and without a host before the type", async () => {
  const { sys } = new FakeSystem();
  const value = Options.encode({ ...full, taskApiAddress: "unix:///x", taskApiVersion: 3 }).finish();
  for (const typeUrl of ["containerd.runc.v1.Options", "types.containerd.io/containerd.runc.v1.Options"]) {
    assert.deepEqual(await decodeOptions(sys, { typeUrl, value }), full);
  }
});

test("decodeOptions: TOML in the body, with containerd's names or the message's", async () => {
  const { sys } = new FakeSystem();
  const camel = `TypeUrl = "x"\nBinaryName = "/usr/bin/crun"\nRoot = "/run/other"\nSystemdCgroup = true\nNoPivotRoot = true
NoNewKeyring = true\nShimCgroup = "/moor"\nIoUid = 1000\nIoGid = 4294967295\nCriuPath = "/usr/sbin/criu"
CriuImagePath = "/img"\nCriuWorkPath = "/work"`;
  assert.deepEqual(await decodeOptions(sys, toml(camel)), full);
  const snake = await decodeOptions(sys, toml('binary_name = "crun"\nsystemd_cgroup = true'));
  assert.deepEqual(snake, { ...defaultOptions, binaryName: "crun", systemdCgroup: true });
});

test("decodeOptions: TOML in a file; the body wins over the path", async () => {
  const { sys, files } = new FakeSystem();
  files.set("/etc/moor.toml", 'Root = "/from/file"');
  assert.equal((await decodeOptions(sys, toml("", "/etc/moor.toml"))).root, "/from/file");
  assert.equal((await decodeOptions(sys, toml('Root = "/from/body"', "/etc/moor.toml"))).root, "/from/body");
  await assert.rejects(decodeOptions(sys, toml("", "/etc/none.toml")), invalid(/\/etc\/none\.toml: ENOENT/));
});

test("decodeOptions: an unknown type, name or value is refused by name", async () => {
  const { sys } = new FakeSystem();
  const other = { typeUrl: "io.example.Options", value: new Uint8Array() };
  await assert.rejects(decodeOptions(sys, other), invalid(/"io\.example\.Options"/));
  const broken = { typeUrl: "containerd.runc.v1.Options", value: Uint8Array.of(0x32, 0xff) };
  await assert.rejects(decodeOptions(sys, broken), invalid(/containerd\.runc\.v1\.Options/));
  await assert.rejects(decodeOptions(sys, toml("Turbo = true")), invalid(/"Turbo" is no known option/));
  await assert.rejects(decodeOptions(sys, toml("BinaryName = 7")), invalid(/BinaryName must be a string/));
  await assert.rejects(decodeOptions(sys, toml("IoUid = -1")), invalid(/IoUid/));
  await assert.rejects(decodeOptions(sys, toml("IoUid = 1.5")), invalid(/IoUid/));
  await assert.rejects(decodeOptions(sys, toml("BinaryName = ")), invalid(/config_body: Invalid TOML/));
});

test("decodeCheckpointOptions: containerd's, none, another type", () => {
  const options = {
    exit: true,
    openTcp: false,
    externalUnixSockets: false,
    terminal: false,
    fileLocks: false,
    emptyNamespaces: ["network"],
    cgroupsMode: "",
    imagePath: "/i",
    workPath: "",
    parentPath: "",
  };
  const value = CheckpointOptions.encode(options).finish();
  assert.deepEqual(decodeCheckpointOptions({ typeUrl: "containerd.runc.v1.CheckpointOptions", value }), options);
  assert.equal(decodeCheckpointOptions(undefined), undefined);
  assert.throws(() => decodeCheckpointOptions({ typeUrl: "a.B", value }), invalid(/"a\.B"/));
});

test("writeOptions: what the stock shim reads; readOptions: what it wrote", () => {
  const { sys, files } = new FakeSystem();
  writeOptions(sys, "/b", { ...defaultOptions, binaryName: "crun", root: "/r", ioUid: 7, systemdCgroup: true });
  assert.deepEqual(JSON.parse(files.get("/b/options.json") ?? ""), {
    binary_name: "crun",
    root: "/r",
    io_uid: 7,
    systemd_cgroup: true,
  });
  assert.equal(files.get("/b/runtime"), "crun");
  writeOptions(sys, "/b", full);
  assert.deepEqual(readOptions(sys, "/b"), full);
  files.set("/b/options.json", '{"binary_name":"a","root":"/x","task_api_version":3}');
  files.set("/b/runtime", "b");
  assert.deepEqual(readOptions(sys, "/b"), { ...defaultOptions, binaryName: "b", root: "/x" });
});

test("readOptions: a bundle that Create never saw has the defaults; a broken file is an error", () => {
  const { sys, files } = new FakeSystem();
  assert.deepEqual(readOptions(sys, "/b"), defaultOptions);
  files.set("/b/options.json", "{");
  assert.throws(() => readOptions(sys, "/b"), /options\.json is not JSON/);
});
