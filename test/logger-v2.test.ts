// Logging programs that must say with a byte that they are ready (binary-v2://), without a daemon, as 1.6 knows no such
// address.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { DirectShim } from "./harness/direct-shim.ts";
import { onlyMoor } from "./harness/difference.ts";
import { EventSink } from "./harness/event-sink.ts";
import { allPids, processInfo } from "./harness/processes.ts";
import { assertSentence, Code, faultOf, refused } from "./harness/refusal.ts";
import { useScene } from "./harness/scene.ts";
import { staysPending, until } from "./harness/until.ts";

let sink: EventSink;
const scene = useScene({
  withoutDaemon: true,
  prepare: async (opened) => {
    sink = new EventSink(`${opened.daemon.address}.ttrpc`);
    opened.onClose(() => void sink.close());
    await sink.open();
  },
});

function logger(name: string, body: readonly string[]): { uri: string; dir: string } {
  const dir = join(scene.dir, name);
  mkdirSync(dir);
  const program = join(dir, "logger");
  writeFileSync(program, ["#!/bin/sh", `cd ${dir}`, ...body, ""].join("\n"), { mode: 0o755 });
  return { uri: `binary-v2://${program}?key=value`, dir };
}

function stdio(uri: string): { stdout: string; stderr: string } {
  return { stdout: uri, stderr: uri };
}

function runs(program: string): boolean {
  return allPids().some((pid) => processInfo(pid)?.argv.some((word) => word.includes(program)));
}

function stockDiffers(t: TestContext): boolean {
  return onlyMoor(t, "loggers-see-the-end");
}

test("binary-v2: after its byte it gets the output, its arguments and the end", async (t) => {
  if (stockDiffers(t)) return;
  const body = ['echo "$CONTAINER_ID $*" > args', "printf x >&5", "exec 5>&-", "cat <&3 > part 4<&-", "mv part out"];
  const { uri, dir } = logger("ready", body);
  const shim = await DirectShim.start(scene, ["/bin/echo", "logged"]);
  await shim.create(stdio(uri));
  await shim.call("Start");
  assert.equal((await shim.call("Wait")).exitStatus, 0);
  await until("the logger to write down the rest", 5_000, () => existsSync(join(dir, "out")));
  assert.equal(readFileSync(join(dir, "out"), "utf8"), "logged\n");
  assert.equal(readFileSync(join(dir, "args"), "utf8"), `${shim.id} key value\n`);
  await shim.end(scene);
  await until("the logger to end", 5_000, () => !runs(dir));
});

test("binary-v2: Create waits for the byte", async (t) => {
  if (stockDiffers(t)) return;
  const { uri, dir } = logger("late", ["read word < gate", "printf x >&5", "exec 5>&-", "cat <&3 > out"]);
  execFileSync("mkfifo", [join(dir, "gate")]);
  const shim = await DirectShim.start(scene, ["/bin/true"]);
  const creating = shim.create(stdio(uri));
  await until("the logger to run", 5_000, () => runs(dir));
  await staysPending("Create without the byte", 100, creating);
  writeFileSync(join(dir, "gate"), "go\n");
  assert.ok((await creating).pid > 0);
  await shim.end(scene);
  await until("the logger to end", 5_000, () => !runs(dir));
});

const failing: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["closes the ready fd without a byte", ["exec 5>&-", "cat <&3 > out"], /without a byte/],
  ["ends without a byte", ["exit 0"], /ended with status 0 before it was ready/],
  ["fails without a byte", ["exit 7"], /ended with status 7 before it was ready/],
  ["is killed without a byte", ["kill -9 $$"], /ended by signal 9 before it was ready/],
];

for (const [i, [what, body, words]] of failing.entries()) {
  test(`binary-v2: one that ${what} is an error of Create, and of an exec's Start`, async (t) => {
    if (stockDiffers(t)) return;
    const { uri, dir } = logger(`failing-${i}`, body);
    const shim = await DirectShim.start(scene, ["/bin/sleep", "1000"]);
    const fault = await faultOf("Create", shim.create(stdio(uri)));
    assertSentence("Create", fault, [Code.UNKNOWN], words);
    assert.ok(fault.message.includes(dir) && fault.message.includes(shim.id), fault.message);
    await refused(shim, "State", {}, [Code.NOT_FOUND], shim.id);
    await until("the logger to end", 5_000, () => !runs(dir));
    await shim.create();
    await shim.call("Start");
    const value = new TextEncoder().encode('{"args":["/bin/true"],"cwd":"/"}');
    await shim.call("Exec", { execId: "e", ...stdio(uri), spec: { typeUrl: "x", value } });
    const failed = await faultOf("Start", shim.call("Start", { execId: "e" }));
    assertSentence("Start", failed, [Code.UNKNOWN], words);
    await until("the exec's logger to end", 5_000, () => !runs(dir));
    await shim.call("Delete", { execId: "e" });
    await shim.end(scene);
  });
}
