import assert from "node:assert/strict";
import { test } from "node:test";
import { MoorError } from "../sys/error.ts";
import { ENOSPC } from "../sys/errno.ts";
import { FakeKernel, turn } from "./fake-kernel.fixture.ts";
import { fifos, kernelWithFifos, open, pump, settled } from "./setup.fixture.ts";

test("stdio: no stream, no fd", async () => {
  const kernel = new FakeKernel();
  const stdio = await open(kernel, {});
  assert.deepEqual(stdio.childFds, []);
  assert.equal(stdio.consoleSocket, undefined);
  await stdio.attach();
  stdio.closeStdin();
  await stdio.drained(1000);
  assert.throws(
    () => stdio.resize(1, 1),
    (thrown) => thrown instanceof MoorError && thrown.code === "failed_precondition",
  );
  stdio.release();
  await stdio.ended;
  assert.deepEqual(kernel.leftovers(), []);
  assert.equal(kernel.timers.size, 0);
});

test("stdio: FIFOs are held on both sides, pumped once attached, and given up at release", async () => {
  const kernel = kernelWithFifos();
  const stdio = await open(kernel, fifos);
  assert.deepEqual(
    stdio.childFds.map(({ target, source }) => `${target} ${kernel.fds.get(source)}`),
    ["0 pipe 1 read", "1 pipe 2 write", "2 pipe 3 write"],
  );
  assert.equal(kernel.pumps.length, 0);
  await stdio.attach();
  assert.deepEqual(stdio.childFds, []);
  assert.deepEqual(
    kernel.pumps.map(({ source, target }) => `${source} > ${target}`),
    ["read /run/in > pipe 1 write", "pipe 2 read > write /run/out", "pipe 3 read > write /run/err"],
  );
  assert.equal(kernel.fds.size, 9);
  pump(kernel, "/run/out").end("eof", 12n);
  await turn();
  assert.ok([...kernel.fds.values()].includes("read /run/out"), "for a reader who comes late");
  assert.deepEqual(
    stdio.state().map(({ name, state, bytes }) => `${name} ${state} ${bytes}`),
    ["stdin flowing 7", "stdout ended 12", "stderr flowing 7"],
  );
  stdio.release();
  assert.equal(await settled(stdio.ended), false, "a grandchild still has stderr");
  assert.deepEqual([...kernel.fds.values()], ["pipe 3 read", "write /run/err"]);
  pump(kernel, "/run/err").end("eof");
  await stdio.ended;
  stdio.release();
  stdio.abort();
  assert.deepEqual(kernel.leftovers(), []);
});

test("stdio: closeStdin lets go of the FIFO's writing side, before attach too; a process that closes stdin tells its client", async () => {
  for (const early of [true, false]) {
    const kernel = kernelWithFifos();
    const stdio = await open(kernel, { stdin: fifos.stdin });
    if (early) stdio.closeStdin();
    await stdio.attach();
    if (!early) stdio.closeStdin();
    stdio.closeStdin();
    assert.deepEqual([...kernel.fds.values()], ["read /run/in", "pipe 1 write"]);
    pump(kernel, "/run/in").end("eof");
    assert.deepEqual(kernel.leftovers(), []);
  }
  const kernel = kernelWithFifos();
  const stdio = await open(kernel, { stdin: fifos.stdin });
  await stdio.attach();
  pump(kernel, "/run/in").end("closed");
  assert.deepEqual(kernel.leftovers(), []);
  stdio.release();
  await stdio.ended;
});

test("stdio: drained waits for each output to be empty, full or over, and no longer than its bound", async () => {
  const kernel = kernelWithFifos();
  const stdio = await open(kernel, fifos);
  const early = stdio.drained(1000);
  assert.equal(await settled(early), false, "the pumps are not started");
  await stdio.attach();
  const again = stdio.drained(1000);
  await turn();
  pump(kernel, "/run/out").drained?.("empty");
  assert.equal(await settled(early), false);
  pump(kernel, "/run/err").drained?.("full");
  await early;
  await again;
  assert.equal(kernel.timers.size, 0);

  const late = stdio.drained(500);
  assert.equal(await settled(late), false);
  kernel.pass(500);
  await late;
  pump(kernel, "/run/out").end("eof");
  pump(kernel, "/run/err").end("eof");
  await stdio.drained(500);
  stdio.release();
  await stdio.ended;
});

test("stdio: pipes have the owner of the options", async () => {
  const kernel = kernelWithFifos();
  const stdio = await open(kernel, { ...fifos, ioUid: 5, ioGid: 6 });
  assert.deepEqual(
    kernel.calls.filter((call) => call.startsWith("chown")),
    ["chown pipe 1 read 5:6", "chown pipe 2 write 5:6", "chown pipe 3 write 5:6"],
  );
  stdio.abort();
  await stdio.ended;
  stdio.abort();
  assert.deepEqual(kernel.leftovers(), []);
  await assert.rejects(stdio.attach(), /closed/);
});

test("stdio: a path that is missing is an error that names it", async () => {
  const kernel = kernelWithFifos();
  await assert.rejects(open(kernel, { ...fifos, stderr: "/run/gone" }), /open stderr \/run\/gone: ENOENT/);
  assert.deepEqual(kernel.leftovers(), []);
  await assert.rejects(open(kernel, { ...fifos, stdin: "/run/gone" }), /open stdin \/run\/gone: ENOENT/);
  assert.deepEqual(kernel.leftovers(), []);
});

test("stdio: a path that is no FIFO is appended to, or read to its end", async () => {
  const kernel = new FakeKernel();
  kernel.files.set("/run/plain", "file");
  const stdio = await open(kernel, { stdin: "/run/plain", stdout: "/run/plain" });
  await stdio.attach();
  assert.deepEqual(
    kernel.pumps.map(({ source, target }) => `${source} > ${target}`),
    ["read /run/plain > pipe 1 write", "pipe 2 read > write /run/plain"],
  );
  stdio.abort();
  await stdio.ended;
  assert.deepEqual(kernel.leftovers(), []);
});

test("stdio: a log file is made with its folders; when it fails the process goes on and the rest is dropped", async () => {
  const kernel = new FakeKernel();
  kernel.files.set("/var", "folder");
  const stdio = await open(kernel, { stdout: "file:///var/a/b/x.log" });
  assert.deepEqual(kernel.calls.slice(-3), ["mkdir /var/a", "mkdir /var/a/b", "open /var/a/b/x.log"]);
  await stdio.attach();
  pump(kernel, "x.log").end("failed", 3n, ENOSPC);
  assert.deepEqual(
    kernel.pumps.map(({ source, target }) => `${source} > ${target}`),
    ["pipe 1 read again > write /dev/null"],
  );
  assert.deepEqual(kernel.logged, ["a stream has failed", "the rest of a stream is dropped"]);
  assert.deepEqual(stdio.state()[0], {
    name: "stdout",
    uri: "file:///var/a/b/x.log",
    state: "dropping",
    bytes: 3n,
    waitsFor: "source",
  });
  stdio.release();
  assert.equal(await settled(stdio.ended), false);
  pump(kernel, "/dev/null").end("eof", 100n);
  await stdio.ended;
  assert.equal(stdio.state()[0]?.bytes, 3n);
  assert.deepEqual(kernel.leftovers(), []);
});
