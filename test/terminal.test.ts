// Terminals: ctr on a real one as a person uses it, and the API's calls: size, resize before and after the start,
// end of the stream, and attaching anew after the first client has died.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { meantDifference } from "./harness/difference.ts";
import { useScene } from "./harness/scene.ts";
import { Terminal } from "./harness/terminal.ts";

const scene = useScene();

test("terminal: a shell under ctr run -t sees the size, takes input, and its status is ctr's", async () => {
  const id = scene.newId("shell");
  const terminal = new Terminal(scene.ctr.argv(...scene.ctr.runArgs(["-t", "--rm"], id, ["/bin/sh"])), {
    columns: 91,
    rows: 33,
  });
  await terminal.untilShown(/# /);
  // ctr sets the size when it has started the process, so the first look may come too early.
  terminal.type("until stty size 2>&1 | grep -E '^[1-9]'; do :; done\n");
  await terminal.untilShown(/33 91/);
  terminal.type("tty; exit 9\n");
  await terminal.untilShown(/\/dev\/pts\/\d|\/dev\/console/);
  assert.equal(await terminal.exitStatus(), 9);
});

test("terminal: each resize of a person's window reaches the process", async () => {
  const id = scene.newId("window");
  const args = scene.ctr.runArgs(["-t", "--rm"], id, ["/bin/payload", "window"]);
  const terminal = new Terminal(scene.ctr.argv(...args), { columns: 80, rows: 24 });
  await terminal.untilShown(/window 24 80/);
  terminal.resize(132, 50);
  await terminal.untilShown(/window 50 132/);
  terminal.resize(100, 30);
  await terminal.untilShown(/window 30 100/);
  await scene.ctr.ok(["tasks", "kill", "-s", "SIGKILL", id]);
  assert.equal(await terminal.exitStatus(), 137);
});

test("terminal: Ctrl-C is the process's", async () => {
  const id = scene.newId("ctrlc");
  const args = scene.ctr.runArgs(["-t", "--rm"], id, [
    "/bin/sh",
    "-c",
    "trap 'echo caught; exit 4' INT; echo up; while :; do sleep 0.05; done",
  ]);
  const terminal = new Terminal(scene.ctr.argv(...args));
  await terminal.untilShown(/up/);
  terminal.type("\x03");
  await terminal.untilShown(/caught/);
  assert.equal(await terminal.exitStatus(), 4);
});

test("terminal: of an exec under ctr", async (t) => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const command = [
    "/bin/sh",
    "-c",
    'echo up; until stty size 2>&1 | grep -E "^[1-9]"; do sleep 0.1; done; read x; exit $x',
  ];
  const args = scene.ctr.argv("tasks", "exec", "-t", "--exec-id", `pty-${scene.tag}`, container.id, ...command);
  const terminal = new Terminal(args, { columns: 70, rows: 20 });
  await terminal.untilShown(/up/);
  // ctr sends an exec's size before it starts it.
  if (!meantDifference(t, "exec-size-before-start")) terminal.resize(71, 20);
  await terminal.untilShown(/20 7[01]/);
  terminal.type("6\n");
  assert.equal(await terminal.exitStatus(), 6);
  await container.remove();
});

test("terminal: a resize before the start gives the process its first size", async () => {
  const container = await TestContainer.create(scene, { args: ["/bin/payload", "window", "1"], terminal: true });
  await container.init.resize(101, 41);
  await container.init.start();
  await container.init.out.untilText(/window 41 101/);
  await container.init.resize(102, 42);
  await container.init.out.untilText(/window 42 102/);
  assert.equal((await container.end()).status, 0);
});

test("terminal: a resize of an exec, and one of a process without terminal", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const exec = await container.exec(["/bin/payload", "window", "2"], { terminal: true });
  await exec.out.untilText(/window/);
  await exec.resize(60, 10);
  await exec.out.untilText(/window 10 60/);
  await exec.resize(61, 11);
  await exec.out.untilText(/window 11 61/);
  assert.equal((await exec.wait()).status, 0);
  await exec.delete();
  // Accepted or refused, but nothing breaks: the stock shim accepts it.
  await container.init.resize(1, 1).catch(() => undefined);
  assert.equal((await container.init.state()).status, "RUNNING");
  await container.remove();
});

test("terminal: much output through a terminal arrives whole, ends, and is deleted", async () => {
  const lines = 20_000;
  const container = await TestContainer.run(scene, { args: ["/bin/seq", "1", String(lines)], terminal: true });
  const text = await container.init.out.allText();
  assert.deepEqual(
    text.split("\r\n").slice(0, -1),
    Array.from({ length: lines }, (_value, index) => String(index + 1)),
  );
  assert.equal((await container.end()).status, 0);
});

test("terminal: after the first client was killed, ctr task attach goes on with it", async () => {
  const id = scene.newId("attach");
  const first = new Terminal(scene.ctr.argv(...scene.ctr.runArgs(["-t"], id, ["/bin/sh"])));
  await first.untilShown(/# /);
  first.type("mark=kept; echo one\n");
  await first.untilShown(/\none/);
  first.kill("SIGKILL");
  await first.exitStatus();
  for (const round of ["two", "three"]) {
    const next = new Terminal(scene.ctr.argv("tasks", "attach", id), { columns: 77, rows: 22 });
    next.type(`echo ${round} $mark; until stty size | grep 22; do :; done\n`);
    await next.untilShown(new RegExp(`\\n${round} kept`));
    await next.untilShown(/22 77/);
    if (round === "two") {
      next.kill("SIGKILL");
      await next.exitStatus();
    } else {
      next.type("exit 3\n");
      assert.equal(await next.exitStatus(), 3);
    }
  }
  await scene.ctr.remove(id);
});

test("terminal: without one, ctr task attach goes on too", async () => {
  const id = scene.newId("attachfifo");
  await scene.ctr.runDetached([], id, ["/bin/sh", "-c", "sleep 1000 & wait"]);
  const attach = scene.ctr.call(["tasks", "attach", id]);
  await scene.ctr.ok(["tasks", "kill", "-s", "SIGKILL", id]);
  assert.equal((await attach).status, 137);
  await scene.ctr.remove(id);
});
