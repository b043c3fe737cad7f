import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeKernel, turn } from "./fake-kernel.fixture.ts";
import { fifos, kernelWithFifos, logger, open, openTerminal, pump, sendMaster, settled } from "./setup.fixture.ts";

test("stdio: a logger has its pipes, names and arguments, and is ready before the process starts", async () => {
  const kernel = kernelWithFifos();
  const opening = open(kernel, { stdin: fifos.stdin, ...logger });
  await turn();
  const [program] = kernel.processes;
  assert.deepEqual(program?.request.argv, ["/bin/log", "a", "b"]);
  assert.deepEqual(program?.request.env, ["CONTAINER_ID=c1", "CONTAINER_NAMESPACE=ns", "PATH=/bin"]);
  assert.deepEqual(
    program?.request.fds.map(({ target }) => target),
    [3, 4, 5],
  );
  assert.equal(await settled(opening), false);
  kernel.readings.set("pipe 4 read", 1);
  kernel.ready("pipe 4 read");
  const stdio = await opening;
  assert.equal(kernel.timers.size, 0);
  assert.deepEqual(
    stdio.childFds.map(({ target, source }) => `${target} ${kernel.fds.get(source)}`),
    ["0 pipe 1 read", "1 pipe 2 write", "2 pipe 3 write"],
  );
  await stdio.attach();
  assert.equal(kernel.fds.size, 3, "stdin alone");
  await stdio.drained(1000);
  stdio.release();
  assert.equal(await settled(stdio.ended), false, "it may still write");
  assert.deepEqual(program?.signals, []);
  kernel.pass(10_000);
  await turn();
  assert.deepEqual(program?.signals, [15]);
  kernel.pass(5_000);
  await turn();
  assert.deepEqual(program?.signals, [15, 9]);
  program?.end(137, 9);
  await stdio.ended;
  assert.deepEqual(kernel.leftovers(), []);
  assert.deepEqual(kernel.logged, []);
});

test("stdio: a logger that is not ready", async () => {
  const cases: readonly [string, (kernel: FakeKernel) => void, RegExp | undefined][] = [
    ["binary", (kernel) => kernel.processes[0]?.end(3), /logger \/bin\/log ended with status 3 before it was ready/],
    ["binary", (kernel) => kernel.processes[0]?.end(137, 9), /was ended by signal 9/],
    ["binary", (kernel) => kernel.pass(60_000), /ready: no end within/],
    ["binary", closesReady, undefined],
    ["binary-v2", closesReady, /closed its ready fd without a byte/],
  ];
  for (const [scheme, happen, wanted] of cases) {
    const kernel = new FakeKernel();
    const opening = open(kernel, { stdout: `${scheme}:///bin/log`, stderr: `${scheme}:///bin/log` });
    const failed = wanted === undefined ? undefined : assert.rejects(opening, wanted);
    await turn();
    happen(kernel);
    await turn();
    kernel.pass(5);
    if (failed === undefined) {
      const stdio = await opening;
      stdio.abort();
      await turn();
      kernel.pass(0);
      await turn();
      kernel.processes[0]?.end(0);
      await stdio.ended;
    } else {
      await failed;
      assert.deepEqual(kernel.processes[0]?.signals, [9]);
    }
    assert.deepEqual(kernel.leftovers(), [], scheme);
    await turn();
    assert.equal(kernel.timers.size, 0, scheme);
  }

  function closesReady(kernel: FakeKernel): void {
    kernel.readings.set("pipe 3 read", 0);
    kernel.ready("pipe 3 read");
  }
});

test("stdio: a terminal with a logger: one stream, and the loss of the logger stops no process", async () => {
  const kernel = kernelWithFifos();
  const opening = openTerminal(kernel, { stdin: "", ...logger });
  await turn();
  kernel.readings.set("pipe 3 read", 1);
  kernel.ready("pipe 3 read");
  const stdio = await opening;
  assert.deepEqual(stdio.childFds, []);
  sendMaster(kernel, "master");
  await stdio.attach();
  assert.deepEqual(
    kernel.pumps.map(({ source, target }) => `${source} > ${target}`),
    ["master again > pipe 1 write"],
  );
  kernel.processes[0]?.end(1);
  pump(kernel, "master").end("closed", 5n);
  assert.deepEqual(
    kernel.pumps.map(({ target }) => target),
    ["write /dev/null"],
  );
  stdio.abort();
  await stdio.ended;
  assert.deepEqual(kernel.leftovers(), []);
});
