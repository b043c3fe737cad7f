// `moor run`: a bundle through the real shim with no daemon anywhere. Output and status are the container's, whatever
// goes wrong has a status and one sentence of its own, and nothing is left of any of it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { run, runOk } from "./harness/command.ts";
import { useMoor } from "./harness/moor-command.ts";
import { saysForbidden, saysMissing } from "./harness/oci-runtime.ts";
import { childrenOf, isAlive, markedProcesses, processInfo } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { staysPending, until } from "./harness/until.ts";

let bundle = "";
const scene = useScene({
  withoutDaemon: true,
  prepare: async () => {
    bundle = await moor.bundle();
  },
});
const moor = useMoor(scene);

test("moor run: output, errors and the exit status are the container's, without a word of moor's", async () => {
  const script = "echo out; echo err >&2; exit 7";
  const result = await moor.run(["run", bundle, "--", "sh", "-c", script]);
  assert.equal(result.stdout, "out\n");
  assert.equal(result.stderr, "err\n");
  assert.equal(result.status, 7);
});

test("moor run: the status of a container that was killed is 128 and the signal", async () => {
  const id = scene.newId("killed");
  const running = moor.start(["run", "--id", id, bundle, "--", "sh", "-c", "echo up; sleep 1000"]);
  await running.untilStdout(/up/);
  await moor.ok("kill", id, "KILL");
  assert.equal(await running.ended, 137);
  assert.equal(running.stderr, "");
});

test("moor run: standard input reaches the container, and its end too", async () => {
  const result = await moor.run(["run", bundle, "--", "cat"], { input: "one\ntwo\n" });
  assert.equal(result.stdout, "one\ntwo\n");
  assert.equal(result.status, 0);
  const lines = Array.from({ length: 200_000 }, (_value, index) => `line ${index}\n`).join("");
  const much = await moor.run(["run", bundle, "--", "cat"], { input: lines });
  assert.ok(much.stdout === lines, `${much.stdout.length} bytes of ${lines.length} came back, or others`);
});

test("moor run: a bundle as runc spec leaves it, from its own folder", async () => {
  const dir = join(scene.dir, "runc-spec");
  mkdirSync(dir);
  await runOk(["runc", "spec", "-b", dir]);
  await runOk(["cp", "-R", join(bundle, "rootfs"), join(dir, "rootfs")]);
  const result = await run(moor.argv("run", ".", "--", "sh", "-c", "tty; id -u; hostname"), { cwd: dir, input: "" });
  assert.equal(result.stdout, "not a tty\n0\nrunc\n");
  assert.equal(result.status, 0, result.stderr);
  // The spec's own program is a shell on a terminal.
  const terminal = moor.terminal(["run", dir]);
  await terminal.untilShown(/# /);
  terminal.type("tty; exit 3\n");
  await terminal.untilShown(/\/dev\/(pts\/0|console)/);
  assert.equal(await terminal.exitStatus(), 3);
});

test("moor run: what cannot be run has its own statuses and one sentence", async () => {
  const taken = await moor.detached(bundle, ["sleep", "1000"]);
  const cases: readonly (readonly [status: number, sentence: RegExp, args: readonly string[]])[] = [
    [127, saysMissing("/nope"), [bundle, "--", "/nope"]],
    [127, saysMissing("nope"), [bundle, "--", "nope"]],
    [126, saysForbidden("/etc/passwd"), [bundle, "--", "/etc/passwd"]],
    [125, /there is a container .* already: remove it with moor rm/, ["--id", taken, bundle]],
    [125, /read the bundle's .*config\.json: ENOENT/, [join(scene.dir, "nothing")]],
    [125, /standard input is no terminal/, ["-t", bundle]],
    [125, /id "a\/b" is not allowed/, ["--id", "a/b", bundle]],
    [125, /detach keys "no": "no" is neither/, ["--detach-keys", "no", bundle]],
    [125, /unknown option '--nonsense'/, ["--nonsense", bundle]],
    [125, /missing required argument 'bundle'/, []],
    [125, /no-such-runtime/, ["--runtime-path", "no-such-runtime", bundle]],
  ];
  for (const [status, sentence, args] of cases) {
    const result = await moor.run(["run", ...args]);
    assert.equal(result.status, status, `${args.join(" ")}: ${result.stderr}`);
    assert.equal(result.stdout, "");
    assert.match(result.stderr, sentence);
    assert.equal(result.stderr.trimEnd().split("\n").length, 1, result.stderr);
  }
  await moor.ok("rm", "-f", taken);
});

test("moor run: a bundle that makes no sense is refused before anything is done", async () => {
  const dir = join(scene.dir, "nonsense");
  mkdirSync(dir);
  for (const text of ["", "[]", "{}", '{"process":1}']) {
    writeFileSync(join(dir, "config.json"), text);
    const result = await moor.run(["run", dir]);
    assert.equal(result.status, 125);
    assert.match(result.stderr, /^moor: .*config\.json.*\n$/);
  }
});

test("moor run: open sockets are passed on by LISTEN_FDS", async () => {
  const server = createServer();
  const path = join(scene.dir, "passed.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  const inode = readlinkSync(`/proc/self/fd/${fd}`);
  // Beside the socket, ls has the folder that it lists.
  const script = "echo $LISTEN_FDS $LISTEN_PID $$; readlink /proc/self/fd/3; ls /proc/self/fd";
  const command = moor.argv("run", bundle, "--", "sh", "-c", script);
  // The variable must name the process that is started with the socket.
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const child = spawn("sh", ["-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec ${quoted}`], {
    stdio: ["ignore", "pipe", "inherit", fd],
  });
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const status = await new Promise((resolve) => child.on("close", resolve));
  server.close();
  assert.deepEqual(text.trimEnd().split("\n"), ["1 1 1", inode, "0", "1", "2", "3", "4"]);
  assert.equal(status, 0);
});

test("moor run -d: prints the id, and leaves nothing behind but the shim and the container", async () => {
  const id = scene.newId("left");
  const result = await moor.run(["run", "-d", "--id", id, bundle, "--", "sleep", "1000"]);
  assert.equal(result.stdout, `${id}\n`);
  assert.equal(result.stderr, "");
  assert.equal(result.status, 0);
  const line = await moor.line(id);
  assert.ok(line?.shimPid);
  assert.equal(processInfo(line.shimPid)?.ppid, 1);
  assert.deepEqual(
    childrenOf(line.shimPid).map(({ pid, argv }) => [pid, argv.join(" ")]),
    [[line.pid, "sleep 1000"]],
  );
  const pids = markedProcesses(id).map(({ pid }) => pid);
  assert.deepEqual(
    pids.sort((a, b) => a - b),
    [line.pid, line.shimPid].sort((a, b) => a - b),
  );
  await moor.ok("rm", "-f", id);
  assert.equal(isAlive(line.shimPid), false);
});

test("moor run -d: a container that has ended is kept until moor rm", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "exit 9"]);
  const waited = await moor.run(["wait", id]);
  assert.deepEqual([waited.stdout, waited.status], ["9\n", 9]);
  const line = await moor.line(id);
  assert.deepEqual([line?.status, line?.exitStatus], ["stopped", 9]);
  await moor.ok("rm", id);
  assert.equal(await moor.line(id), undefined);
});

test("moor run -d --rm: who sees the end removes everything", async () => {
  const waited = await moor.detached(bundle, ["sh", "-c", "read x; exit 4"], "--rm", "--no-tty");
  const wait = moor.run(["wait", waited]);
  await moor.run(["attach", "--close-stdin", waited]);
  assert.equal((await wait).status, 4);
  assert.equal(await moor.line(waited), undefined);
  const attached = await moor.detached(bundle, ["sh", "-c", "echo hello; exit 5"], "--rm", "--no-tty");
  const result = await moor.run(["attach", attached]);
  assert.deepEqual([result.stdout, result.status], ["hello\n", 5]);
});

test("moor run: the runtime that --runtime-path names is used", async () => {
  const calls = join(scene.dir, "calls");
  const runtime = moor.runtime(`echo "$@" >> ${calls}`);
  const result = await moor.run(["run", "--runtime-path", runtime, bundle, "--", "echo", "hello"]);
  assert.equal(result.stdout, "hello\n");
  assert.match(readFileSync(calls, "utf8"), /\bcreate\b[^]*\bstart\b[^]*\bdelete\b/);
});

test("moor run: signals go to the container, whose end it is then", async () => {
  const script = "trap 'echo caught; exit 9' TERM; trap 'echo usr1' USR1; echo up; while :; do sleep 0.1; done";
  const running = moor.start(["run", bundle, "--", "sh", "-c", script]);
  await running.untilStdout(/up/);
  running.child.kill("SIGUSR1");
  await running.untilStdout(/usr1/);
  running.child.kill("SIGTERM");
  assert.equal(await running.ended, 9);
  assert.equal(running.stdout, "up\nusr1\ncaught\n");
});

test("moor run: asked three times in vain, it leaves the container alone and says so", async () => {
  const id = scene.newId("deaf");
  const script = "trap 'n=$((n+1)); echo no $n' TERM; echo up; while :; do sleep 0.1; done";
  const running = moor.start(["run", "--id", id, bundle, "--", "sh", "-c", script]);
  await running.untilStdout(/up/);
  running.child.kill("SIGTERM");
  await running.untilStdout(/no 1/);
  running.child.kill("SIGTERM");
  await running.untilStdout(/no 2/);
  running.child.kill("SIGTERM");
  assert.equal(await running.ended, 143);
  assert.match(running.stderr, new RegExp(`gave up waiting: ${id} goes on running`));
  await moor.ok("rm", "-f", id);
});

test("moor run: when nobody reads its output any more, it ends with the container", async () => {
  const command = moor.argv("run", bundle, "--", "yes");
  const quoted = command.map((word) => `'${word}'`).join(" ");
  const result = await run(["bash", "-c", `${quoted} | head -n 1; echo \${PIPESTATUS[0]}`]);
  assert.equal(result.stdout, "y\n141\n");
});

test("moor run: much output arrives whole", async () => {
  const count = 300_000;
  const result = await moor.run(["run", bundle, "--", "seq", "1", String(count)]);
  const expected = Array.from({ length: count }, (_value, index) => `${index + 1}\n`).join("");
  assert.ok(result.stdout === expected, `${result.stdout.length} bytes of ${expected.length} came, or others`);
});

test("moor run: a reader who is slow loses nothing, however long ago the container has ended", async () => {
  const go = join(scene.dir, "slow-go");
  const id = scene.newId("slow");
  // What the pipe to the reader takes, and a little that has to wait in moor and in the FIFO.
  const lines = 30_000;
  const quoted = moor.argv("run", "--id", id, bundle, "--", "seq", "1", String(lines)).map((word) => `'${word}'`);
  const script = `${quoted.join(" ")} | { until [ -e ${go} ]; do sleep 0.02; done; cat; }; echo \${PIPESTATUS[0]}`;
  const reading = run(["bash", "-c", script]);
  await until("the container's end", 10_000, () => existsSync(moor.file(id, "exits.json")));
  await staysPending("moor run", 1_500, reading);
  writeFileSync(go, "");
  const expected = Array.from({ length: lines }, (_value, index) => `${index + 1}\n`).join("");
  const { stdout } = await reading;
  assert.ok(stdout === `${expected}0\n`, `${stdout.length} bytes came, or others`);
});

test("moor run: ended while the container is made, in whatever way, it leaves nothing", async () => {
  for (const [signal, status] of [
    ["SIGTERM", 143],
    ["SIGQUIT", 131],
  ] as const) {
    const begun = join(scene.dir, `begun-${signal}`);
    const go = join(scene.dir, `go-${signal}`);
    const wait = `case " $* " in *" create "*) : > ${begun}; until [ -e ${go} ]; do sleep 0.02; done;; esac`;
    const running = moor.start(["run", "--runtime-path", moor.runtime(wait), bundle, "--", "sleep", "1000"]);
    await until("the runtime to be called", 10_000, () => existsSync(begun));
    running.child.kill(signal);
    // SIGTERM is obeyed at the next step; the runtime has to come to its end for that.
    if (signal === "SIGTERM") writeFileSync(go, "");
    assert.equal(await running.ended, status, running.stderr);
    await moor.assertNoTrace();
  }
});

test("moor run: several at once do not meet", async () => {
  const results = await Promise.all(
    Array.from({ length: 8 }, (_value, index) =>
      moor.run(["run", bundle, "--", "sh", "-c", `echo ${index}; exit ${index}`]),
    ),
  );
  assert.deepEqual(
    results.map(({ stdout, status }) => [stdout, status]),
    results.map((_result, index) => [`${index}\n`, index]),
  );
});

test("moor run: the shim is found beside the command", async () => {
  const dir = join(scene.dir, "installed");
  mkdirSync(join(dir, "bin"), { recursive: true });
  copyFileSync(moor.shim, join(dir, "bin/containerd-shim-moor-v2"));
  const [node = "", command = ""] = moor.argv();
  await runOk(["cp", "-R", join(command, ".."), join(dir, "lib-moor")]);
  mkdirSync(join(dir, "lib"));
  await runOk(["mv", join(dir, "lib-moor"), join(dir, "lib/moor")]);
  symlinkSync("../lib/moor/moor.mjs", join(dir, "bin/moor"));
  const env = { ...process.env, MOOR_CONFIG: "/dev/null" };
  const versions = await runOk([node, join(dir, "bin/moor"), "version", "--format", "json"], { env });
  const { shimPath } = JSON.parse(versions.stdout) as { shimPath: string };
  assert.equal(shimPath, join(dir, "bin/containerd-shim-moor-v2"));
});
