// Output that goes to a file or to a logging program instead of a client's FIFOs.

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { meantDifference } from "./harness/difference.ts";
import { patternBytes } from "./harness/pattern.ts";
import { allPids, processInfo } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

const scene = useScene();

/** A logging program: keeps both streams and its environment in `dir`; says ready by closing fd 5. */
function loggingProgram(name: string, body: string): { uri: string; dir: string } {
  const dir = join(scene.dir, name);
  mkdirSync(dir);
  const program = join(dir, "logger");
  writeFileSync(program, `#!/bin/sh\ncd ${dir}\n${body}\n`);
  chmodSync(program, 0o755);
  return { uri: `binary://${program}?first=one`, dir };
}

const KEEP_BOTH = [
  'echo "$CONTAINER_ID $CONTAINER_NAMESPACE $*" > args',
  "cat <&3 > out.part 5>&- &",
  "cat <&4 > err.part 5>&- &",
  "exec 5>&-",
  // The stock shim says SIGTERM instead of end of file; what the two cats have by then must do.
  "trap 'sleep 0.3; mv out.part out; mv err.part err; exit' TERM",
  "wait",
  "mv out.part out; mv err.part err",
].join("\n");

function running(program: string): boolean {
  return allPids().some((pid) => processInfo(pid)?.argv.some((word) => word.includes(program)));
}

test("logging: file:// takes both streams, and more is appended", async () => {
  const path = join(scene.dir, "plain.log");
  for (const word of ["first", "second"]) {
    const container = await TestContainer.run(scene, {
      args: ["/bin/sh", "-c", `echo ${word}; echo ${word} err >&2`],
      stdoutUri: `file://${path}`,
      stderrUri: `file://${path}`,
    });
    await container.end();
  }
  const lines = (): string[] => readFileSync(path, "utf8").trim().split("\n").sort();
  await until(
    "four lines",
    5_000,
    () => lines().length >= 4,
    () => JSON.stringify(lines()),
  );
  assert.deepEqual(lines(), ["first", "first err", "second", "second err"]);
});

test("logging: file:// makes the folders it needs, and is exact at 16 MiB", async () => {
  const path = join(scene.dir, "deep/er/exact.log");
  const size = 16 << 20;
  const container = await TestContainer.run(scene, {
    args: ["/bin/payload", "pattern", String(size)],
    stdoutUri: `file://${path}`,
    stderrUri: `file://${path}`,
  });
  await container.end();
  await until("the file to be complete", 5_000, () => existsSync(path) && readFileSync(path).length >= size);
  assert.ok(readFileSync(path).equals(patternBytes(size)));
});

test("logging: binary:// gets both streams, ids and arguments, and ends with the container", async (t) => {
  const { uri, dir } = loggingProgram("both", KEEP_BOTH);
  const size = (1 << 20) + 1;
  const container = await TestContainer.run(scene, {
    args: ["/bin/payload", "both", String(size)],
    stdoutUri: uri,
    stderrUri: uri,
  });
  const ended = (): Promise<boolean> =>
    until("the logger to end", 10_000, () => existsSync(join(dir, "err")) && !running(join(dir, "logger")));
  assert.equal((await container.init.wait()).status, 0);
  if (meantDifference(t, "loggers-see-the-end")) await ended();
  await container.delete();
  await ended();
  assert.ok(readFileSync(join(dir, "out")).equals(patternBytes(size)), "stdout");
  assert.ok(readFileSync(join(dir, "err")).equals(patternBytes(size)), "stderr");
  assert.equal(readFileSync(join(dir, "args"), "utf8"), `${container.id} ${scene.namespace} first one\n`);
});

test("logging: an exec has a logger of its own", async (t) => {
  const { uri, dir } = loggingProgram("exec", KEEP_BOTH);
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const exec = await container.exec(["/bin/echo", "logged"], { stdoutUri: uri, stderrUri: uri });
  await exec.wait();
  const ended = (): Promise<boolean> => until("the logger to end", 10_000, () => existsSync(join(dir, "err")));
  if (meantDifference(t, "loggers-see-the-end")) await ended();
  await exec.delete();
  await ended();
  assert.equal(readFileSync(join(dir, "out"), "utf8"), "logged\n");
  await container.remove();
});

test("logging: a logger that ends at once is an error of Create or leaves the container running", async () => {
  const { uri } = loggingProgram("gone", "exit 3");
  const container = await TestContainer.create(scene, {
    args: ["/bin/sh", "-c", "echo lost; exit 4"],
    stdoutUri: uri,
    stderrUri: uri,
  }).catch(() => undefined);
  if (container === undefined) return;
  await container.init.start();
  // Its output has no reader any more; it may end by SIGPIPE.
  assert.ok([4, 141].includes((await container.end()).status));
});

test("logging: a logging program that is not there is an error of Create that names it", async () => {
  const uri = "binary:///no/such/logger";
  const made = TestContainer.create(scene, { args: ["/bin/true"], stdoutUri: uri, stderrUri: uri });
  await assert.rejects(made, /logger/);
});

test("logging: a URI nobody knows is refused", async () => {
  const uri = "carrier-pigeon:///coop";
  await assert.rejects(
    TestContainer.create(scene, { args: ["/bin/true"], stdoutUri: uri, stderrUri: uri }),
    /carrier-pigeon/,
  );
});

test("logging: ctr run --log-uri", async () => {
  const path = join(scene.dir, "ctr.log");
  const id = scene.newId("loguri");
  await scene.ctr.runDetached(["--log-uri", `file://${path}`], id, ["/bin/echo", "by ctr"]);
  await until("the task to stop", 5_000, async () => (await scene.ctr.tasks()).get(id)?.status === "STOPPED");
  await scene.ctr.remove(id);
  assert.equal(readFileSync(path, "utf8"), "by ctr\n");
});
