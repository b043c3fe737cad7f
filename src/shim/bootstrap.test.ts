import assert from "node:assert/strict";
import { test } from "node:test";
import { BootstrapParams, BootstrapResult, LogLevel } from "../api/bootstrap.ts";
import { Any } from "../api/google/protobuf/any.ts";
import { Options } from "../api/runc-options.ts";
import { MoorError } from "../sys/error.ts";
import type { Sys } from "../sys/sys.d.ts";
import { encodeResult, readStartInput } from "./bootstrap.ts";

const sys = {} as Sys;

function options(shimCgroup: string): Any {
  const value = Options.encode({ ...Options.decode(new Uint8Array()), shimCgroup }).finish();
  return { typeUrl: "containerd.runc.v1.Options", value };
}

function params(changed: Partial<BootstrapParams>): Uint8Array {
  return BootstrapParams.encode({ ...BootstrapParams.decode(new Uint8Array()), namespace: "ns", ...changed }).finish();
}

test("readStartInput: an Any with options is answered by a plain address", async () => {
  assert.deepEqual(await readStartInput(sys, Any.encode(options("/moor")).finish(), "c1", "ns"), {
    answer: "address",
    shimCgroup: "/moor",
    ttrpcAddress: "",
    grpcAddress: "",
    socketFolder: "",
    logLevel: "info",
  });
});

test("readStartInput: BootstrapParams are known by the id; all they say is taken", async () => {
  const bytes = params({
    instanceId: "c1",
    namespace: "ns",
    logLevel: LogLevel.LOG_LEVEL_TRACE,
    containerdTtrpcAddress: "/run/x.ttrpc",
    containerdGrpcAddress: "/run/x",
    socketDir: "/run/sockets",
    extensions: [{ value: { typeUrl: "of.another.shim", value: new Uint8Array([1]) } }, { value: options("/moor") }],
  });
  assert.deepEqual(await readStartInput(sys, bytes, "c1", "ns"), {
    answer: "result",
    shimCgroup: "/moor",
    ttrpcAddress: "/run/x.ttrpc",
    grpcAddress: "/run/x",
    socketFolder: "/run/sockets",
    logLevel: "debug",
  });
  const levels = { DEBUG: "debug", INFO: "info", WARN: "warning", ERROR: "error", PANIC: "error" } as const;
  for (const [name, expected] of Object.entries(levels)) {
    const logLevel = LogLevel[`LOG_LEVEL_${name as keyof typeof levels}`];
    assert.equal((await readStartInput(sys, params({ instanceId: "c1", logLevel }), "c1", "ns")).logLevel, expected);
  }
});

test("readStartInput: what is neither, or makes no sense, is refused", async () => {
  const refused = (bytes: Uint8Array, text: RegExp) =>
    assert.rejects(readStartInput(sys, bytes, "c1", "ns"), (thrown) => {
      assert.ok(thrown instanceof MoorError);
      assert.equal(thrown.code, "invalid_argument");
      assert.match(thrown.message, text);
      return true;
    });
  await refused(Uint8Array.of(0x0a, 0x7f, 0x41), /standard input/);
  await refused(params({ instanceId: "another" }), /"another"/);
  await refused(params({ instanceId: "c1", namespace: "other" }), /namespace "other".*ns$/);
  await refused(params({ instanceId: "c1", socketDir: "sockets" }), /socket_dir.*"sockets"/);
  await refused(Any.encode({ typeUrl: "some.Options", value: new Uint8Array() }).finish(), /some\.Options/);
});

test("encodeResult: the version of the task API, and the address over ttrpc", () => {
  for (const spoken of [2, 3] as const) {
    const { version, address, protocol } = BootstrapResult.decode(encodeResult("unix:///run/s/1", spoken));
    assert.deepEqual(
      { version, address, protocol },
      { version: spoken, address: "unix:///run/s/1", protocol: "ttrpc" },
    );
  }
});
