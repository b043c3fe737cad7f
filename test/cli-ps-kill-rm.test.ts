// The commands about containers that run without a daemon: ps, wait, kill, rm, bundle, version; also when the shim is
// gone or hangs; and what the command loads for each.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runOk } from "./harness/command.ts";
import { type PsLine, useMoor } from "./harness/moor-command.ts";
import { runtimeUnderTest } from "./harness/oci-runtime.ts";
import { isAlive } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

let bundle = "";
const scene = useScene({
  withoutDaemon: true,
  prepare: async () => {
    bundle = await moor.bundle();
  },
});
const moor = useMoor(scene);
const signalled = "trap 'echo TERM; exit 3' TERM; trap 'echo USR2' USR2; echo up; while :; do sleep 0.05; done";

/** The shim's pid of a container that runs. */
async function shimOf(id: string): Promise<number> {
  const pid = (await moor.line(id))?.shimPid;
  assert.ok(pid, `${id} has no shim`);
  return pid;
}

/** Ends the shim of a container without a word. */
async function killShim(id: string): Promise<void> {
  const pid = await shimOf(id);
  process.kill(pid, "SIGKILL");
  await until("the shim to be gone", 10_000, () => !isAlive(pid));
}

test("moor ps: running ones, with -a all, with -q their ids; JSON for programs", async () => {
  assert.equal(await moor.ok("ps", "--format", "json"), "[]\n");
  const runs = await moor.detached(bundle, ["sleep", "1000"]);
  const ended = await moor.detached(bundle, ["sh", "-c", "exit 9"]);
  assert.equal((await moor.run(["wait", ended])).status, 9);
  const line = await moor.line(runs);
  assert.ok(line);
  const table = (await moor.ok("ps")).split("\n");
  assert.match(table[0] ?? "", /^ID +NAMESPACE +PID +STATUS +SINCE +EXIT +EXECS +SHIM +VERSION +MEMORY +DAEMON$/);
  const cells = [
    runs,
    scene.namespace,
    line.pid,
    "running",
    "\\w+",
    "-",
    "-",
    line.shimPid,
    "moor \\S+",
    "\\S+iB",
    "none",
  ];
  assert.match(table[1] ?? "", new RegExp(`^${cells.join(" +")}$`));
  assert.equal(table.length, 3);
  assert.equal(await moor.ok("ps", "-q"), `${runs}\n`);
  assert.deepEqual((await moor.ok("ps", "-a", "-q")).trim().split("\n").sort(), [runs, ended].sort());
  const stopped = (await moor.line(ended)) as PsLine;
  assert.deepEqual(
    { ...stopped, pid: 0, shimPid: 0, exitedAt: "", since: "", shimVersion: "", shimMemory: 0 },
    {
      id: ended,
      namespace: scene.namespace,
      pid: 0,
      status: "stopped",
      exitStatus: 9,
      exitedAt: "",
      shimPid: 0,
      bundle: join(moor.root, scene.namespace, ended),
      daemon: "none",
      since: "",
      execs: [],
      connections: 0,
      shim: "moor",
      shimVersion: "",
      shimMemory: 0,
    },
  );
  assert.ok(Math.abs(Date.parse(stopped.exitedAt ?? "") - Date.now()) < 60_000);
  await moor.ok("rm", ended);
  await moor.ok("rm", "-f", runs);
});

test("moor: a container is named by the beginning of its id, if that is one's alone", async () => {
  const first = await moor.detached(bundle, ["sleep", "1000"]);
  const second = await moor.detached(bundle, ["sleep", "1000"]);
  const common = await moor.run(["kill", "moor-"]);
  assert.deepEqual([common.status, common.stdout], [1, ""]);
  assert.match(common.stderr, new RegExp(`^moor: moor- can mean .*${first}.*${second}: say more of it\\n$`));
  await moor.ok("rm", "-f", first.slice(0, -scene.tag.length));
  await moor.ok("rm", "-f", "moor-");
});

test("moor kill: SIGTERM by default, others by name or number, and what is no signal", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", signalled], "--no-tty");
  const attached = moor.start(["attach", id]);
  await attached.untilStdout(/up\n/);
  await moor.ok("kill", id, "USR2");
  await attached.untilStdout(/up\nUSR2\n/);
  await moor.ok("kill", "-s", "sigusr2", id);
  await attached.untilStdout(/up\nUSR2\nUSR2\n/);
  await moor.ok("kill", id, "12");
  await attached.untilStdout(/up\nUSR2\nUSR2\nUSR2\n/);
  for (const args of [[id, "NOPE"], [id, "65"], ["-s", "TERM", id, "KILL"], []]) {
    const wrong = await moor.run(["kill", ...args]);
    assert.equal(wrong.status, 2, wrong.stderr);
    assert.equal(wrong.stderr.trimEnd().split("\n").length, 1);
  }
  await moor.ok("kill", id);
  assert.equal(await attached.ended, 3);
  const gone = await moor.run(["kill", id]);
  assert.equal(gone.status, 1);
  assert.match(gone.stderr, new RegExp(`^moor: kill ${id}: .*process already finished.*\\n$`));
  await moor.ok("rm", id);
});

test("moor kill --all: every process of the container", async () => {
  const script = "sleep 1000 & trap 'echo got; wait; exit 2' TERM; echo up; wait; wait";
  const id = await moor.detached(bundle, ["sh", "-c", script], "--no-tty");
  const attached = moor.start(["attach", id]);
  await attached.untilStdout(/up/);
  await moor.ok("kill", "--all", id, "TERM");
  assert.equal(await attached.ended, 2);
  await moor.ok("rm", id);
});

test("moor wait: many at once get the status, and so does one that comes later", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", signalled], "--no-tty");
  const waits = Array.from({ length: 5 }, () => moor.run(["wait", id]));
  await moor.ok("kill", id, "KILL");
  for (const { stdout, status } of await Promise.all(waits)) assert.deepEqual([stdout, status], ["137\n", 137]);
  const later = await moor.run(["wait", id]);
  assert.deepEqual([later.stdout, later.stderr, later.status], ["137\n", "", 137]);
  await moor.ok("rm", id);
});

test("moor: after the shim's death, the record tells how a container ended", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "exit 6"]);
  assert.equal((await moor.run(["wait", id])).status, 6);
  await killShim(id);
  const waited = await moor.run(["wait", id]);
  assert.deepEqual([waited.stdout, waited.status], ["6\n", 6]);
  const line = await moor.line(id);
  assert.deepEqual([line?.status, line?.exitStatus, line?.shimPid], ["stopped", 6, null]);
  await moor.ok("rm", id);
});

test("moor: a container whose shim has died is an orphan, and rm -f ends it", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const waiting = moor.run(["wait", id]);
  const { pid } = (await moor.line(id)) as PsLine;
  await killShim(id);
  const waited = await waiting;
  assert.equal(waited.status, 1);
  assert.equal(waited.stderr, `moor: the shim of ${id} is gone: it still runs, and nobody will see its end\n`);
  assert.equal((await moor.line(id))?.status, "orphaned");
  assert.match(await moor.ok("ps"), /orphaned/);
  const refused = await moor.run(["rm", id]);
  assert.deepEqual(
    [refused.stderr, refused.status],
    [`moor: ${id} is orphaned: end it with moor kill, or use rm -f\n`, 1],
  );
  assert.ok(isAlive(pid));
  await moor.ok("rm", "-f", id);
  assert.equal(isAlive(pid), false);
});

test("moor: a shim that hangs holds nobody up, and rm -f removes it with its container", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const { pid, shimPid } = (await moor.line(id)) as PsLine;
  process.kill(shimPid ?? 0, "SIGSTOP");
  const quick = ["--timeout", "300ms"];
  assert.match(await moor.ok(...quick, "ps", "-a"), new RegExp(`^${id} `, "m"));
  const refused = await moor.run([...quick, "rm", id]);
  assert.match(refused.stderr, /^moor: the shim of .* does not answer, so that it may still run: .*\n$/);
  assert.equal(refused.status, 1);
  await moor.ok("--timeout", "2s", "rm", "-f", id);
  assert.deepEqual([isAlive(pid), isAlive(shimPid ?? 0)], [false, false]);
});

test("moor rm: refuses what runs, removes it with -f, and knows when there is none", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const refused = await moor.run(["rm", id]);
  assert.deepEqual(
    [refused.stderr, refused.status],
    [`moor: ${id} is running: end it with moor kill, or use rm -f\n`, 1],
  );
  await moor.ok("rm", "-f", id);
  const none = await moor.run(["rm", "-f", id]);
  assert.deepEqual([none.stderr, none.status], [`moor: no container is called ${id}\n`, 1]);
});

test("moor rm -f: a paused container too", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  await runOk(["runc", "--root", `/run/containerd/runc/${scene.namespace}`, "pause", id]);
  await moor.ok("rm", "-f", id);
});

test("moor rm: a folder that a run cut short has left", async () => {
  const dir = join(moor.root, scene.namespace, "remains");
  mkdirSync(dir, { recursive: true });
  assert.equal((await moor.line("remains"))?.status, "unknown");
  await moor.ok("rm", "remains");
  assert.equal(existsSync(dir), false);
});

test("moor bundle: runs by runc itself, and does not touch what is there", async () => {
  const dir = join(scene.dir, "own-bundle");
  assert.equal(await moor.ok("bundle", dir, "--", "echo", "hello"), `${dir}\n`);
  const config = JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as { process: Record<string, unknown> };
  assert.deepEqual(config.process["args"], ["echo", "hello"]);
  config.process["terminal"] = false;
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  const id = scene.newId("runc");
  const byRunc = await runOk(["runc", "--root", join(scene.dir, "runc"), "run", "-b", dir, id], { input: "" });
  assert.equal(byRunc.stdout, "hello\n");
  const again = await moor.run(["bundle", dir]);
  assert.deepEqual([again.stderr, again.status], [`moor: ${dir} is not empty: name a new or empty folder\n`, 1]);
  assert.deepEqual(readdirSync(dir).sort(), ["config.json", "rootfs"]);
});

test("moor version: of everything that takes part", async () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  const known = JSON.parse(await moor.ok("version", "--format", "json")) as Record<string, string | null>;
  assert.equal(known["moor"], version);
  assert.equal(known["node"], process.version);
  assert.match(known["shim"] ?? "", new RegExp(`^containerd-shim-moor-v2 ${version}`));
  assert.match(known["runtime"] ?? "", new RegExp(`^${runtimeUnderTest()} version `));
  assert.equal(known["daemon"], null);
  assert.equal(await moor.ok("--version"), `${version}\n`);
});

test("moor: a setting in the configuration file, an unknown one, and a file that is none", async () => {
  const file = join(scene.dir, "moor.toml");
  const elsewhere = join(scene.dir, "elsewhere");
  writeFileSync(file, `root = "${elsewhere}"\nnamespace = "other"\nruntime-path = "no-such-runtime"\n`);
  const [node = "", command = ""] = moor.argv();
  const env = { ...process.env, MOOR_CONFIG: file, MOOR_SHIM: moor.shim };
  const failed = await runOk([node, command, "run", bundle, "--", "true"], { env, input: "" }).catch(
    (thrown: unknown) => thrown,
  );
  assert.match(String(failed), /exited 125: .*no-such-runtime/);
  for (const [text, sentence] of [
    ["nonsense = true", /holds "nonsense", which is no setting/],
    ["root = 1", /root must be a string/],
    ["= = =", /is not TOML/],
  ] as const) {
    writeFileSync(file, text);
    const refused = await moor.run(["-c", file, "ps"]);
    assert.match(refused.stderr, sentence);
    assert.equal(refused.status, 2);
  }
});

test("moor: more of its log for who asks, as text or as JSON", async () => {
  const text = await moor.run(["-D", "run", bundle, "--", "true"]);
  assert.match(text.stderr, /^\S+ info the shim listens address="unix:\/\/.*"$/m);
  const json = await moor.run(["--log-level", "info", "--log-format", "json", "run", bundle, "--", "true"]);
  const lines = json.stderr.trimEnd().split("\n");
  assert.ok(lines.some((line) => (JSON.parse(line) as { message: string }).message === "the shim listens"));
});

/** The names of what the command loads, by Node's own record of what ran. */
async function loadedBy(args: readonly string[]): Promise<string> {
  const dir = mkdtempSync(join(scene.dir, "loaded-"));
  await runOk(moor.argv(...args), { env: { ...process.env, NODE_V8_COVERAGE: dir }, input: "" });
  const [file = ""] = readdirSync(dir);
  const { result } = JSON.parse(readFileSync(join(dir, file), "utf8")) as { result: { url: string }[] };
  return result.map(({ url }) => url).join("\n");
}

test("moor: loads what a command needs, and no more", async () => {
  const heavy = /winston|daemon-api|pty/;
  for (const args of [["--version"], ["--help"], ["ps"], ["run", bundle, "--", "true"]]) {
    assert.doesNotMatch(await loadedBy(args), heavy, args.join(" "));
  }
  assert.doesNotMatch(await loadedBy(["--version"]), /\/parts\/(run|attach|ps|rm)-/);
  assert.match(await loadedBy(["-D", "ps"]), /\/parts\/winston-/);
});
