// `moor exec`: a process more in a container of moor's, and of containerd's while that lives, is dead, and is back; its
// input, output, terminal, user, environment and status; and what daemons get to know of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestContainer } from "./harness/container.ts";
import { crashShim } from "./harness/crash.ts";
import { useMoor } from "./harness/moor-command.ts";
import { isAlive } from "./harness/processes.ts";
import { testsMoor } from "./harness/repository.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

let bundle = "";
const scene = useScene({
  prepare: async () => {
    bundle = await moor.bundle();
  },
});
const moor = useMoor(scene);

/** The ids of execs that the shim has, by the control service. */
async function execsOf(id: string): Promise<string[]> {
  const pids = JSON.parse(await moor.ok("inspect", id)) as [{ processes: { exec: string }[] }];
  return pids[0].processes.map(({ exec }) => exec).filter((exec) => exec !== "");
}

test("moor exec: output, input and status are the process's, without any daemon", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const said = await moor.run(["exec", id, "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
  assert.deepEqual([said.stdout, said.stderr, said.status], ["out\n", "err\n", 7]);
  const fed = await moor.run(["exec", "-i", id, "cat"], { input: "one\ntwo\n" });
  assert.deepEqual([fed.stdout, fed.stderr, fed.status], ["one\ntwo\n", "", 0]);
  const unfed = await moor.run(["exec", id, "cat"], { input: "not for it\n" });
  assert.deepEqual([unfed.stdout, unfed.status], ["", 0]);
  const large = await moor.run(["exec", id, "seq", "1", "100000"]);
  assert.equal(large.stdout.length, 588_895);
  const killed = await moor.run(["exec", id, "sh", "-c", "kill -9 $$"]);
  assert.equal(killed.status, 137);
  assert.deepEqual(await execsOf(id), []);
  await moor.ok("rm", "-f", id);
});

test("moor exec: user, group, folder and environment are the container's, or as asked", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "echo web:x:1234:5678::/:/bin/sh > /etc/passwd; sleep 1000"]);
  const exec = async (flags: string[], script: string): Promise<string> => {
    const result = await moor.run(["exec", ...flags, id, "--", "sh", "-c", script], {
      env: { ...process.env, OURS: "x y" },
    });
    assert.equal(result.status, 0, result.stderr);
    return result.stdout;
  };
  await until("the container to have its user", 10_000, async () =>
    (await exec([], "cat /etc/passwd")).includes("web"),
  );
  assert.equal(await exec([], "id -u; id -g; pwd"), "0\n0\n/\n");
  assert.equal(await exec(["-u", "1:2", "-w", "/tmp"], "id -u; id -g; pwd"), "1\n2\n/tmp\n");
  assert.equal(await exec(["--user", "web"], "id -u; id -g"), "1234\n5678\n");
  assert.equal(
    await exec(["-e", "A=b=c", "--env", "OURS", "-e", "PATH=/bin:/x"], "echo $A $OURS $PATH"),
    "b=c x y /bin:/x\n",
  );
  const nobody = await moor.run(["exec", "-u", "nobody", id, "id"]);
  assert.deepEqual(
    [nobody.stderr, nobody.status],
    ["moor: --user nobody: the container's /etc/passwd has no such user\n", 125],
  );
  await moor.ok("rm", "-f", id);
});

test("moor exec: what cannot be started, or has nowhere to start, is told by the statuses of the field", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "exit 3"], "--no-tty");
  assert.equal((await moor.run(["wait", id])).status, 3);
  const late = await moor.run(["exec", id, "true"]);
  assert.deepEqual([late.stderr, late.status], [`moor: exec in ${id}: it has ended\n`, 125]);
  await moor.ok("rm", id);
  const lives = await moor.detached(bundle, ["sleep", "1000"]);
  const missing = await moor.run(["exec", lives, "/no/such"]);
  assert.match(missing.stderr, /^moor: exec in container .*OCI runtime exec failed/);
  assert.equal(missing.status, 127);
  const unfit = await moor.run(["exec", lives, "/etc"]);
  assert.equal(unfit.status, 126);
  const without = await moor.run(["exec", "-t", lives, "sh"]);
  assert.deepEqual(
    [without.stderr, without.status],
    ["moor: -t: standard input is no terminal (with -d none is needed)\n", 125],
  );
  const nothing = await moor.run(["exec", lives]);
  assert.equal(nothing.status, 125);
  assert.deepEqual(await execsOf(lives), []);
  await moor.ok("rm", "-f", lives);
});

test("moor exec -t: a shell on a terminal, resized, with its own Ctrl-C, and its status at last", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const terminal = moor.terminal(["exec", "-it", id, "sh"], { columns: 91, rows: 33 });
  await terminal.untilShown(/# /);
  terminal.type("stty size; tty\n");
  await terminal.untilShown(/33 91\r\n\/dev\/pts\/\d/);
  terminal.resize(70, 20);
  terminal.type("until stty size | grep 70; do :; done\n");
  await terminal.untilShown(/\n20 70\r\n/);
  terminal.type("sleep 1000\n");
  await terminal.untilShown(/sleep 1000\r\n/);
  await until("sleep to run", 10_000, async () => (await moor.ok("exec", id, "ps")).includes("sleep 1000\n"));
  terminal.type("\x03");
  await terminal.untilShown(/# /);
  terminal.type("exit 9\n");
  assert.equal(await terminal.exitStatus(), 9);
  await moor.ok("rm", "-f", id);
});

test("moor exec: one that is left alone goes on, one whose terminal is gone is hung up; both are forgotten", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  assert.equal(
    await moor.ok("exec", "-d", id, "--", "sh", "-c", "until [ -e /go ]; do sleep 0.1; done; touch /gone"),
    "",
  );
  assert.equal((await execsOf(id)).length, 1);
  await moor.ok("exec", id, "touch", "/go");
  await until("what was left alone to end", 10_000, async () => (await execsOf(id)).length === 0);
  await moor.ok("exec", id, "test", "-e", "/gone");

  const terminal = moor.terminal(["exec", "-it", id, "sh"]);
  await terminal.untilShown(/# /);
  terminal.kill("SIGKILL");
  await until("the shell to be hung up", 10_000, async () => (await execsOf(id)).length === 0);

  const piped = moor.start(["exec", "-i", id, "--", "sh", "-c", "echo up; cat; exit 0"]);
  await piped.untilStdout(/up/);
  await piped.kill();
  await until("cat to have no input any more", 10_000, async () => (await execsOf(id)).length === 0);
  await moor.ok("rm", "-f", id);
});

test("moor exec: in a container of containerd's, which is told nothing of it, and may be dead", async (t) => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const alive = await moor.run(["exec", container.id, "--", "sh", "-c", "echo alive; exit 4"]);
  assert.deepEqual([alive.stdout, alive.stderr, alive.status], ["alive\n", "", 4]);
  await scene.daemon.kill9();
  const dead = await moor.run(["exec", container.id, "--", "sh", "-c", "echo dead; exit 5"]);
  assert.deepEqual([dead.stdout, dead.stderr, dead.status], ["dead\n", "", 5]);
  await moor.ok("exec", "-d", container.id, "sleep", "1000");
  await scene.daemon.start();
  scene.events.subscribe(scene.api, scene.namespace);
  const back = await moor.run(["exec", container.id, "--", "sh", "-c", "echo back; exit 6"]);
  assert.deepEqual([back.stdout, back.stderr, back.status], ["back\n", "", 6]);
  const exec = await container.execToEnd(["/bin/true"]);
  assert.equal(exec.status, 0);
  // Of the daemon's own exec all is told, and it comes after those of moor.
  await scene.events.untilEvent(container.id, "exec-started");
  const seen = scene.events.of(container.id).map(({ topic, processId }) => `${topic} ${processId}`);
  t.diagnostic(seen.join(", "));
  if (testsMoor) assert.ok(!seen.some((line) => line.includes("moor-")), seen.join(", "));
  await container.remove();
});

test("moor exec: a crash of the shim cuts who is attached off; what was left alone goes on and is forgotten in the end", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  await moor.ok("exec", "-d", id, "--", "sh", "-c", "until [ -e /go2 ]; do sleep 0.1; done; touch /gone2");
  const terminal = moor.terminal(["exec", "-it", id, "sh"]);
  await terminal.untilShown(/# /);
  assert.equal((await execsOf(id)).length, 2);
  await crashShim((await moor.line(id))?.shimPid ?? 0, moor.file(id, ""));
  assert.equal(await terminal.exitStatus(), 125);
  await until("the shell to be hung up", 10_000, async () => (await execsOf(id)).length === 1);
  await moor.ok("exec", id, "touch", "/go2");
  await until("what was left alone to be forgotten", 10_000, async () => (await execsOf(id)).length === 0);
  await moor.ok("exec", id, "test", "-e", "/gone2");
  await moor.ok("rm", "-f", id);
});

test("moor exec: what runs when the container ends is ended with it", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const running = moor.start(["exec", id, "--", "sh", "-c", "echo up; sleep 1000"]);
  await running.untilStdout(/up/);
  await moor.ok("kill", id, "KILL");
  assert.equal(await running.ended, 137);
  assert.equal(isAlive(running.pid), false);
  await moor.ok("rm", id);
});
