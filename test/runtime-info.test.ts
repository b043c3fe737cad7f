// What the shim tells of itself and of its runtime: `-info` by hand, and as containerd 2 passes it on to its clients. containerd
// 1.6 and 1.7 have no such call; there its refusal is checked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Any } from "../src/api/google/protobuf/any.ts";
import { PluginInfoRequest, PluginInfoResponse } from "../src/api/daemon/introspection.ts";
import { RuntimeInfo, RuntimeRequest } from "../src/api/types.ts";
import { run, runOk } from "./harness/command.ts";
import { codeOf, GrpcCode } from "./harness/containerd-api.ts";
import { onlyMoor } from "./harness/difference.ts";
import { runtimeOptions, runtimeScript } from "./harness/held-runtime.ts";
import { daemonVersion, runtimeName, shimPath } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";

const scene = useScene();
const allowMounts = "containerd.io/runtime-allow-mounts";

async function askShim(options?: { typeUrl: string; value: Uint8Array }): Promise<RuntimeInfo> {
  const input = options === undefined ? Buffer.alloc(0) : Buffer.from(Any.encode(options).finish());
  const result = await run([shimPath(), "-info"], { input });
  assert.equal(result.status, 0, result.stderr);
  assert.equal(result.stderr, "");
  return RuntimeInfo.decode(result.stdoutBytes);
}

function featuresOf(info: RuntimeInfo): Record<string, unknown> {
  assert.equal(info.features?.typeUrl, "types.containerd.io/opencontainers/runtime-spec/1/features/Features");
  return JSON.parse(new TextDecoder().decode(info.features.value)) as Record<string, unknown>;
}

test("-info: Moor's version and revision, the runtime's version and its features as it tells them", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const info = await askShim();
  assert.equal(info.name, runtimeName);
  assert.match(info.version?.version ?? "", /^\d+\.\d+\.\d+/);
  assert.equal(info.annotations["io.containerd.moor.version"], info.version?.version);
  assert.equal(info.annotations["io.containerd.moor.revision"], info.version?.revision);
  const { stdout } = await runOk(["runc", "--version"]);
  const { "io.containerd.moor.runtime.name": name, "io.containerd.moor.runtime.version": version } = info.annotations;
  assert.ok(stdout.startsWith(`${name} version ${version}`), `${name} ${version}: ${stdout}`);
  // An old crun has no such command, and then there are none.
  const features = await run(["runc", "features"]);
  if (features.status === 0) assert.deepEqual(featuresOf(info), JSON.parse(features.stdout));
  else assert.equal(info.features, undefined);
});

test("-info: containerd is told that none of its own kinds of mounts is left to the shim", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  assert.equal((await askShim()).annotations[allowMounts], "");
});

test("-info: the runtime that the options name is asked, and one without features or version has none", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const script = runtimeScript(
    scene,
    "told",
    'case "$*" in *features*) echo \'{"ociVersionMin":"9.9.9"}\';; *) echo "told version 1.2.3";; esac',
  );
  const told = await askShim(runtimeOptions(script));
  assert.equal(featuresOf(told)["ociVersionMin"], "9.9.9");
  assert.equal(told.annotations["io.containerd.moor.runtime.version"], "1.2.3");
  const { typeUrl, value } = runtimeOptions(script);
  assert.equal(told.options?.typeUrl, typeUrl);
  assert.ok(Buffer.from(value).equals(told.options.value));
  const mute = await askShim(runtimeOptions(runtimeScript(scene, "mute", 'echo "unknown command $1" >&2; exit 1')));
  assert.equal(mute.features, undefined);
  assert.equal(mute.annotations["io.containerd.moor.runtime.version"], undefined);
});

test("-info: containerd passes it on to those who ask it", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const request = RuntimeRequest.encode({ runtimePath: runtimeName, options: undefined }).finish();
  const options = { typeUrl: "containerd.types.RuntimeRequest", value: request };
  const asked = scene.api.call("introspection.v1.Introspection/PluginInfo", PluginInfoRequest, PluginInfoResponse, {
    type: "io.containerd.runtime.v2",
    id: "task",
    options,
  });
  if (daemonVersion().major < 2) {
    await assert.rejects(asked, (fault) => codeOf(fault) === GrpcCode.UNIMPLEMENTED);
    return;
  }
  const { extra } = await asked;
  assert.ok(extra !== undefined);
  assert.equal(extra.typeUrl, "containerd.types.RuntimeInfo");
  assert.deepEqual(RuntimeInfo.decode(extra.value), await askShim());
});

test("-info: ctr of containerd 2 shows it", async (t) => {
  if (onlyMoor(t, "one-binary-for-every-containerd")) return;
  const command = ["plugins", "inspect-runtime", "--runtime", runtimeName];
  if (daemonVersion().major < 2) {
    assert.doesNotMatch(await scene.ctr.ok(["plugins", "--help"]), /inspect-runtime/);
    return;
  }
  const shown = JSON.parse(await scene.ctr.ok(command)) as { Name: string; Annotations: Record<string, string> };
  assert.equal(shown.Name, runtimeName);
  assert.deepEqual(shown.Annotations, (await askShim()).annotations);
});
