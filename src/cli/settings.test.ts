import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "./cli-error.ts";
import { checkConfig, settingsOf } from "./settings.ts";

test("settingsOf: the defaults", () => {
  const settings = settingsOf({}, {}, {});
  assert.equal(settings.address, "/run/containerd/containerd.sock");
  assert.equal(settings.namespace, undefined);
  assert.equal(settings.root, "/run/moor");
  assert.equal(settings.logLevel, "warn");
  assert.equal(settings.timeoutMs, 10_000);
});

test("settingsOf: flag before environment before file", () => {
  const file = { namespace: "file", address: "/file.sock", root: "/file" };
  const env = { CONTAINERD_NAMESPACE: "env", CONTAINERD_ADDRESS: "unix:///env.sock", MOOR_ROOT: "" };
  assert.equal(settingsOf({}, {}, file).namespace, "file");
  assert.equal(settingsOf({}, env, file).namespace, "env");
  assert.equal(settingsOf({ namespace: "flag" }, env, file).namespace, "flag");
  assert.equal(settingsOf({}, env, file).address, "/env.sock");
  assert.equal(settingsOf({}, env, file).root, "/file");
});

test("settingsOf: -D is the debug level", () => {
  assert.equal(settingsOf({ debug: true, logLevel: "error" }, {}, {}).logLevel, "debug");
});

test("settingsOf: values without sense are refused", () => {
  for (const flags of [
    { root: "run" },
    { timeout: "soon" },
    { timeout: "0" },
    { logLevel: "loud" },
    { logFormat: "xml" },
  ]) {
    assert.throws(() => settingsOf(flags, {}, {}), CliError);
  }
});

test("settingsOf: durations", () => {
  assert.equal(settingsOf({ timeout: "500ms" }, {}, {}).timeoutMs, 500);
  assert.equal(settingsOf({ timeout: "1.5m" }, {}, {}).timeoutMs, 90_000);
  assert.equal(settingsOf({ timeout: "3" }, {}, {}).timeoutMs, 3_000);
});

test("checkConfig: an unknown key and a wrong type are named", () => {
  assert.throws(() => checkConfig("/f", { adress: "x" }), /"adress", which is no setting/);
  assert.throws(() => checkConfig("/f", { timeout: 3 }), /timeout must be a string/);
});
