// docs/install.md is true: each configuration on it is taken out of the page, and the daemon it is for reads it, knows the
// runtime by it, and runs a container. What the page warns of is held too.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { runOk } from "./harness/command.ts";
import { fetchDaemons } from "./harness/fetched.ts";
import { installPage, snippet } from "./harness/install-page.ts";
import { daemonVersion, findInPath } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";

const MOOR = "io.containerd.moor.v2";
const scene = useScene();

afterEach(async () => {
  await scene.daemon.stop();
  scene.daemon.programs = undefined;
  scene.daemon.criSettings = undefined;
});

/** What a containerd takes the configuration file `text` for. */
async function dumped(program: string, text: string): Promise<string> {
  const file = join(scene.dir, "page.toml");
  writeFileSync(file, text);
  return (await runOk([program, "--config", file, "config", "dump"])).stdout;
}

/** Lines of a dumped table, up to the next table. */
function table(dump: string, name: string): string {
  // containerd 2 writes the names of plugins in single quotes.
  const lines = dump.split("\n").map((line) => line.trim().replaceAll("'", '"'));
  const at = lines.indexOf(`[${name}]`);
  assert.notEqual(at, -1, `no table ${name} in ${dump}`);
  const length = lines.slice(at + 1).findIndex((line) => line.startsWith("["));
  return lines.slice(at + 1, length === -1 ? undefined : at + 1 + length).join("\n");
}

function assertRead(dump: string, plugin: string): void {
  const runtimes = `plugins."${plugin}".containerd.runtimes`;
  assert.match(table(dump, `${runtimes}.moor`), /^runtime_type = "io\.containerd\.moor\.v2"$/m);
  assert.match(table(dump, `${runtimes}.moor.options`), /^SystemdCgroup = true$/m);
  assert.match(table(dump, `${runtimes}.runc`), /^runtime_type = "io\.containerd\.runc\.v2"$/m, "runc is still there");
}

/** What the CRI plugin tells of itself when asked as by `crictl info`: Status with verbose set. */
function criStatus(address: string): Promise<string> {
  const client = new grpc.Client(`unix:${address}`, grpc.credentials.createInsecure());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      "/runtime.v1.RuntimeService/Status",
      (request: Buffer) => request,
      (answer: Buffer) => answer.toString("utf8"),
      // StatusRequest.verbose, field 1
      Buffer.from([0x08, 0x01]),
      new grpc.Metadata({ waitForReady: true }),
      { deadline: Date.now() + 20_000 },
      (fault, answer) => {
        client.close();
        if (fault !== null) reject(fault);
        else resolve(answer ?? "");
      },
    );
  });
}

/** Starts the daemon with the page's tables, asks its CRI plugin, and runs a container. */
async function runWith(text: string, cni: string): Promise<void> {
  const { daemon } = scene;
  if (daemon.isRunning) await daemon.stop();
  // The version stands on top of the scene's own file. Nothing of CNI is to be looked for, or made, in the system.
  const folders = ["bin_dir", "conf_dir"].map((key) => `${key} = "${join(scene.dir, "cni")}"`);
  daemon.criSettings = [text.replace(/^version = \d\n/, ""), cni, ...folders].join("\n");
  await daemon.start();
  const status = await criStatus(daemon.address);
  assert.match(status, /"moor":\{[^}]*"runtimeType":"io\.containerd\.moor\.v2"[^}]*"options":\{"SystemdCgroup":true\}/);
  const id = scene.newId("page");
  const result = await scene.ctr.run(["--rm"], id, ["/bin/echo", "hello"]);
  assert.deepEqual([result.stderr, result.stdout], ["", "hello\n"]);
}

function systemContainerd(): string {
  const program = findInPath("containerd");
  assert.ok(program !== undefined);
  return program;
}

test("install page: containerd 1.x reads the runtime, and runs a container", async (t) => {
  if (daemonVersion().major !== 1) return t.skip("the containerd in PATH is of another version");
  const text = snippet("containerd-1.toml");
  assertRead(await dumped(systemContainerd(), text), "io.containerd.grpc.v1.cri");
  await runWith(text, '[plugins."io.containerd.grpc.v1.cri".cni]');
});

test("install page: containerd 2.x reads the runtime, and runs a container", async (t) => {
  const folders = await fetchDaemons("containerd-2.1");
  if (typeof folders === "string") return t.skip(`containerd 2.1 cannot be fetched: ${folders}`);
  const folder = folders.get("containerd-2.1") ?? "";
  const text = snippet("containerd-2.toml");
  assertRead(await dumped(join(folder, "containerd"), text), "io.containerd.cri.v1.runtime");
  scene.daemon.programs = folder;
  await runWith(text, '[plugins."io.containerd.cri.v1.runtime".cni]');
});

test("install page: a drop-in is read, and what it replaces is as the page warns", async (t) => {
  if (daemonVersion().major !== 1) return t.skip("the containerd in PATH is of another version");
  const conf = join(scene.dir, "conf.d");
  mkdirSync(conf);
  writeFileSync(join(conf, "moor.toml"), snippet("containerd-1.toml"));
  const imports = snippet("imports.toml").replace("/etc/containerd/conf.d", conf);
  assert.ok(imports.includes(`${conf}/*.toml`), imports);
  const plain = await dumped(systemContainerd(), `version = 2\n${imports}`);
  assertRead(plain, "io.containerd.grpc.v1.cri");
  const section = '[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "moor.test/pause:1"\n';
  const replaced = await dumped(systemContainerd(), `version = 2\n${imports}${section}`);
  assert.doesNotMatch(replaced, /moor\.test\/pause/);
  // The runtimes of a file are all there are: why the page names runc.
  const alone = await dumped(
    systemContainerd(),
    snippet("containerd-1.toml").replace(/^\S.*runtimes\.runc\][\s\S]*/m, ""),
  );
  assert.match(alone, /runtimes\.moor\]/);
  assert.doesNotMatch(alone, /runtimes\.runc\]/);
  // Both in the one file, as the page tells to do then.
  const both = await dumped(systemContainerd(), `${snippet("containerd-1.toml")}${section}`);
  assertRead(both, "io.containerd.grpc.v1.cri");
  assert.match(both, /sandbox_image = "moor\.test\/pause:1"/);
});

test("install page: the class of pods names the runtime that the configurations name", () => {
  const [runtimeClass = "", pod = ""] = snippet("runtime-class.yaml").split("---\n");
  assert.match(runtimeClass, /^kind: RuntimeClass$/m);
  assert.match(runtimeClass, /^handler: moor$/m);
  assert.equal(/runtimeClassName: (.*)/.exec(pod)?.[1], /^ {2}name: (.*)/m.exec(runtimeClass)?.[1]);
  for (const name of ["containerd-1.toml", "containerd-2.toml"]) assert.match(snippet(name), /runtimes\.moor\]/);
  assert.ok(installPage().includes(`ctr run --rm --runtime ${MOOR} `));
});
