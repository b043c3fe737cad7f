// `moor run` and `moor attach` on a real terminal, as a person uses them: left by keys or by force, met again, resized,
// hung up; the terminal is as before whatever happened, and no byte is lost meanwhile.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { useMoor } from "./harness/moor-command.ts";
import { childrenOf, isAlive } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { Terminal } from "./harness/terminal.ts";
import { until } from "./harness/until.ts";

const ctrlC = "\x03";
const ctrlP = "\x10";
const leave = "\x10\x11";
const ticker = "n=0; while :; do n=$((n + 1)); echo tick $n; sleep 0.05; done";

let bundle = "";
const scene = useScene({
  withoutDaemon: true,
  prepare: async () => {
    bundle = await moor.bundle();
  },
});
const moor = useMoor(scene);

function numbersIn(text: string): number[] {
  return [...text.matchAll(/^tick (\d+)\r?$/gm)].map((match) => Number(match[1]));
}

/** A shell of the person's own on a terminal, in which moor is called; it tells the terminal's modes afterwards. */
class PersonsShell {
  readonly terminal: Terminal;
  readonly #before: Promise<string>;

  constructor(args: readonly string[]) {
    const command = moor.argv(...args);
    const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
    const script = `echo "modes $(stty -g)"; ${words}; echo "status $?"; echo "modes $(stty -g)"; stty size`;
    this.terminal = new Terminal(["bash", "-c", script]);
    scene.onClose(() => this.terminal.kill());
    this.#before = this.#modes();
  }

  async #modes(): Promise<string> {
    return (await this.terminal.untilShown(/modes (\S+)\r\n/))[1] ?? "";
  }

  /** The pid of moor. */
  async moorPid(): Promise<number> {
    await this.#before;
    return await until("moor to run", 10_000, () => {
      return childrenOf(this.terminal.pid).find(({ argv }) => argv.includes("--root"))?.pid;
    });
  }

  /** Waits for moor's end, checks that the terminal is as it was, and returns moor's status as the shell saw it. */
  async afterwards(): Promise<number> {
    const before = await this.#before;
    const [, status] = await this.terminal.untilShown(/status (\d+)\r\n/, 20_000);
    assert.equal(await this.#modes(), before);
    await this.terminal.exitStatus();
    return Number(status);
  }
}

test("moor attach: a shell is left by Ctrl-P Ctrl-Q and met again, twice, and its status is ours at last", async () => {
  const id = scene.newId("shell");
  const first = moor.terminal(["run", "-t", "--id", id, bundle], { columns: 91, rows: 33 });
  await first.untilShown(/# /);
  first.type("stty size; tty; mark=kept\n");
  await first.untilShown(/33 91/);
  await first.untilShown(/\/dev\/(pts\/0|console)/);
  first.type(leave);
  await first.untilShown(new RegExp(`read escape sequence: ${id} goes on running`));
  assert.equal(await first.exitStatus(), 0);
  for (const round of [1, 2, 3]) {
    const next = moor.terminal(["attach", id], { columns: 70 + round, rows: 20 + round });
    next.type(`until stty size | grep ${70 + round}; do :; done; echo round ${round} $mark\n`);
    await next.untilShown(new RegExp(`\\n${20 + round} ${70 + round}\\r\\nround ${round} kept\\r\\n`));
    next.type(round === 3 ? "exit 3\n" : leave);
    assert.equal(await next.exitStatus(), round === 3 ? 3 : 0);
  }
  assert.equal((await moor.line(id))?.exitStatus, 3);
  await moor.ok("rm", id);
});

test("moor run: on a terminal it ends with the shell's status, and nothing but the shell's words is shown", async () => {
  const terminal = moor.terminal(["run", bundle, "--", "sh", "-c", "echo hello; exit 6"]);
  assert.equal(await terminal.exitStatus(), 6);
  assert.equal(terminal.text, "hello\r\n");
});

test("moor attach: nothing that was written while nobody was attached is lost or comes twice", async () => {
  const id = scene.newId("ticker");
  const first = moor.terminal(["run", "--id", id, bundle, "--", "sh", "-c", ticker]);
  await first.untilShown(/tick 5\r\n/);
  first.type(leave);
  assert.equal(await first.exitStatus(), 0);
  const seen = numbersIn(first.text);
  for (const _round of [1, 2]) {
    const next = moor.terminal(["attach", id]);
    await next.untilShown(new RegExp(`tick ${(seen.at(-1) ?? 0) + 10}\\r\\n`));
    next.type(leave);
    assert.equal(await next.exitStatus(), 0);
    seen.push(...numbersIn(next.text));
  }
  assert.deepEqual(
    seen,
    seen.map((_number, index) => index + 1),
  );
  await moor.ok("rm", "-f", id);
});

test("moor attach: while nobody is attached, output fills a FIFO and then holds the container", async () => {
  const lines = 100_000;
  const id = await moor.detached(bundle, ["seq", "1", String(lines)], "--no-tty");
  // Much more than pipes hold is still to come.
  assert.equal((await moor.line(id))?.status, "running");
  const result = await moor.run(["attach", id]);
  assert.equal(result.stdout.length, 588_895);
  assert.ok(result.stdout === Array.from({ length: lines }, (_value, index) => `${index + 1}\n`).join(""));
  assert.equal(result.status, 0);
  await moor.ok("rm", id);
});

test("moor attach: the person's terminal is as before after keys, an exit, signals, and the shim's death", async () => {
  const id = await moor.detached(bundle, ["sh"], "-t");
  const byKeys = new PersonsShell(["attach", id]);
  await byKeys.moorPid();
  byKeys.terminal.type("echo one\n");
  await byKeys.terminal.untilShown(/\none\r\n/);
  byKeys.terminal.type(leave);
  assert.equal(await byKeys.afterwards(), 0);

  for (const [signal, status] of [
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGINT", 130],
    ["SIGQUIT", 131],
  ] as const) {
    const killed = new PersonsShell(["attach", id]);
    const pid = await killed.moorPid();
    killed.terminal.type(`echo before ${signal}\n`);
    await killed.terminal.untilShown(new RegExp(`\\nbefore ${signal}\\r\\n`));
    process.kill(pid, signal);
    assert.equal(await killed.afterwards(), status);
    assert.equal((await moor.line(id))?.status, "running");
  }

  const byExit = new PersonsShell(["attach", id]);
  await byExit.moorPid();
  byExit.terminal.type("exit 8\n");
  assert.equal(await byExit.afterwards(), 8);
  await moor.ok("rm", id);

  const lost = await moor.detached(bundle, ["sh"], "-t");
  const byDeath = new PersonsShell(["attach", lost]);
  await byDeath.moorPid();
  byDeath.terminal.type("echo two\n");
  await byDeath.terminal.untilShown(/\ntwo\r\n/);
  process.kill((await moor.line(lost))?.shimPid ?? 0, "SIGKILL");
  assert.equal(await byDeath.afterwards(), 125);
  await moor.ok("rm", "-f", lost);
});

test("moor attach: each resize of the window reaches the container", async () => {
  const id = await moor.detached(bundle, ["payload", "window"], "-t");
  const terminal = moor.terminal(["attach", id], { columns: 81, rows: 25 });
  await terminal.untilShown(/window 25 81/);
  terminal.resize(132, 50);
  await terminal.untilShown(/window 50 132/);
  terminal.resize(100, 30);
  await terminal.untilShown(/window 30 100/);
  terminal.type(leave);
  assert.equal(await terminal.exitStatus(), 0);
  await moor.ok("rm", "-f", id);
});

test("moor attach: Ctrl-C and Ctrl-P are the container's", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "echo up; cat -v"], "-t");
  const keys = moor.terminal(["attach", id]);
  await keys.untilShown(/up/);
  keys.type(`${ctrlP}x${ctrlP}${ctrlP}\n`);
  await keys.untilShown(/\^Px\^P\^P/);
  keys.type(leave);
  assert.equal(await keys.exitStatus(), 0);
  await moor.ok("rm", "-f", id);

  const script = "trap 'echo caught; exit 4' INT; echo up; sleep 1000";
  const interrupted = moor.terminal(["run", bundle, "--", "sh", "-c", script]);
  await interrupted.untilShown(/up/);
  interrupted.type(ctrlC);
  await interrupted.untilShown(/caught/);
  assert.equal(await interrupted.exitStatus(), 4);
});

test("moor attach: --detach-keys names others, or none", async () => {
  const id = await moor.detached(bundle, ["sh"], "-t");
  const others = moor.terminal(["attach", "--detach-keys", "ctrl-a,d", id]);
  others.type("echo hello\n");
  await others.untilShown(/\nhello\r\n/);
  others.type("\x01d");
  assert.equal(await others.exitStatus(), 0);
  const none = moor.terminal(["attach", "--detach-keys", "", id]);
  none.type(`${leave}\x15echo there\n`);
  await none.untilShown(/\nthere\r\n/);
  none.type("exit 2\n");
  assert.equal(await none.exitStatus(), 2);
  await moor.ok("rm", id);
});

test("moor attach: only one at a time; one that was killed does not stand in the way", async () => {
  const id = scene.newId("one");
  const first = moor.terminal(["run", "--id", id, bundle]);
  await first.untilShown(/# /);
  const refused = await moor.run(["attach", id]);
  assert.equal(refused.status, 125);
  assert.equal(
    refused.stderr,
    `moor: process ${first.pid} is attached to ${id} already: its output can go to one place only\n`,
  );
  process.kill(first.pid, "SIGKILL");
  await first.exitStatus();
  assert.ok(existsSync(moor.file(id, "attached")));
  const second = moor.terminal(["attach", id]);
  second.type("echo mine; exit 5\n");
  await second.untilShown(/\nmine\r\n/);
  assert.equal(await second.exitStatus(), 5);
  assert.equal(existsSync(moor.file(id, "attached")), false);
  await moor.ok("rm", id);
});

test("moor attach: to a container that has ended shows what nobody has read, and its status", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "echo out; echo err >&2; exit 5"], "--no-tty");
  assert.equal((await moor.run(["wait", id])).status, 5);
  const result = await moor.run(["attach", id]);
  assert.deepEqual([result.stdout, result.stderr, result.status], ["out\n", "err\n", 5]);
  const again = await moor.run(["attach", id]);
  assert.deepEqual([again.stdout, again.stderr, again.status], ["", "", 5]);
  await moor.ok("rm", id);
});

test("moor attach: without a terminal bytes pass both ways, and the detach keys are bytes", async () => {
  const id = await moor.detached(bundle, ["cat"], "--no-tty");
  const first = moor.start(["attach", "--no-sig-proxy", id]);
  first.child.stdin?.write(`one ${leave} two\n`);
  await first.untilStdout(/two\n/);
  assert.equal(first.stdout, `one ${leave} two\n`);
  first.child.kill("SIGTERM");
  assert.equal(await first.ended, 143);
  // Our input's end is not the container's, unless that is asked for.
  const second = moor.start(["attach", id]);
  second.child.stdin?.end("three\n");
  await second.untilStdout(/three\n/);
  await second.kill();
  const third = await moor.run(["attach", "--close-stdin", id], { input: "four\n" });
  assert.deepEqual([third.stdout, third.status], ["four\n", 0]);
  await moor.ok("rm", id);
});

test("moor attach: a terminal that hangs up leaves the container running", async () => {
  const id = await moor.detached(bundle, ["sh"], "-t");
  const terminal = moor.terminal(["attach", id]);
  terminal.type("echo here\n");
  await terminal.untilShown(/\nhere\r\n/);
  terminal.kill("SIGHUP");
  await until("moor to be gone", 10_000, () => !isAlive(terminal.pid));
  assert.equal((await moor.line(id))?.status, "running");
  await moor.ok("rm", "-f", id);
});

test("moor attach: what cannot be is refused with a sentence", async () => {
  const unknown = await moor.run(["attach", "nobody"]);
  assert.deepEqual([unknown.stderr, unknown.status], ["moor: no container is called nobody\n", 125]);
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  process.kill((await moor.line(id))?.shimPid ?? 0, "SIGKILL");
  const orphan = await moor.run(["attach", id]);
  assert.match(orphan.stderr, new RegExp(`^moor: the shim of ${id} is gone: .*\\n$`));
  assert.equal(orphan.status, 125);
  await moor.ok("rm", "-f", id);
});
