import assert from "node:assert/strict";
import { test } from "node:test";
import { MoorError } from "../sys/error.ts";
import { turn } from "./fake-kernel.fixture.ts";
import { kernelWithFifos, openTerminal, pump, sendMaster, settled } from "./setup.fixture.ts";

test("stdio: a terminal comes over the console socket, sized as asked before", async () => {
  const kernel = kernelWithFifos();
  const stdio = await openTerminal(kernel);
  assert.deepEqual(stdio.childFds, []);
  assert.equal(stdio.consoleSocket, "/bundle/pty-000000000000.sock");
  stdio.resize(80, 24);
  sendMaster(kernel, "no terminal", "master");
  assert.ok(kernel.calls.includes("size of master 80x24"), "at once, not when the runtime call has ended");
  assert.ok(!kernel.files.has("/bundle/pty-000000000000.sock"), "removed at once");
  stdio.resize(81, 25);
  await stdio.attach();
  assert.ok(kernel.calls.includes("size of master 81x25"));
  stdio.resize(82, 26);
  assert.ok(kernel.calls.includes("size of master 82x26"));
  assert.throws(() => stdio.resize(70_000, 1), /no size/);
  assert.deepEqual(
    kernel.pumps.map(({ source, target, pipeSize }) => `${source} > ${target} ${pipeSize}`),
    ["read /run/in > master again undefined", "master again > write /run/out undefined"],
  );
  assert.equal(kernel.fds.size, 7);
  pump(kernel, "/run/out").end("eof");
  await turn();
  assert.deepEqual([...kernel.fds.values()], ["read /run/out"], "the terminal is gone");
  stdio.resize(1, 1);
  stdio.release();
  await stdio.ended;
  assert.deepEqual(kernel.leftovers(), []);
});

test("stdio: a terminal's output that nobody wants is read all the same", async () => {
  const kernel = kernelWithFifos();
  const stdio = await openTerminal(kernel, { stdin: "", stdout: "" });
  sendMaster(kernel, "master");
  await stdio.attach();
  assert.deepEqual(
    kernel.pumps.map(({ target }) => target),
    ["write /dev/null"],
  );
  stdio.release();
  assert.equal(await settled(stdio.ended), false);
  pump(kernel, "/dev/null").end("eof");
  await stdio.ended;
  assert.deepEqual(kernel.leftovers(), []);
});

test("stdio: a bundle with a long name is reached through an open folder", async () => {
  const kernel = kernelWithFifos();
  const bundle = `/run/${"x".repeat(100)}`;
  kernel.files.set(bundle, "folder");
  const stdio = await openTerminal(kernel, { bundle });
  assert.match(stdio.consoleSocket ?? "", /^\/proc\/42\/fd\/\d+\/pty-000000000000\.sock$/);
  assert.ok(kernel.files.has(`${bundle}/pty-000000000000.sock`));
  sendMaster(kernel, "master");
  assert.ok(!kernel.files.has(`${bundle}/pty-000000000000.sock`));
  await stdio.attach();
  stdio.abort();
  await stdio.ended;
  assert.deepEqual(kernel.leftovers(), []);
});

test("stdio: a terminal that does not come, from a stranger, or too late", async () => {
  const kernel = kernelWithFifos();
  const stdio = await openTerminal(kernel);
  kernel.peerUid = 1000;
  kernel.ready("listening");
  const attached = stdio.attach();
  const failed = assert.rejects(
    attached,
    (thrown) => thrown instanceof MoorError && thrown.code === "deadline_exceeded",
  );
  kernel.pass(60_000);
  await failed;
  await stdio.ended;
  assert.deepEqual(kernel.leftovers(), []);

  const other = await openTerminal(kernel);
  const waiting = assert.rejects(other.attach(), /no longer wanted/);
  other.abort();
  await waiting;
  kernel.peerUid = 0;
  const third = await openTerminal(kernel);
  sendMaster(kernel, "master");
  third.abort();
  await assert.rejects(third.attach(), /closed/);
  assert.deepEqual(kernel.leftovers(), []);
  assert.equal(kernel.timers.size, 0);
});
