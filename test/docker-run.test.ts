// Docker with Moor as its runtime, what a container is given and how its commands end: run with its options, exit
// statuses and messages, exec, terminals, logs, attach, and a build with Moor under its steps.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { useDocker } from "./harness/docker.ts";
import { runtimeName, testsMoor } from "./harness/repository.ts";
import { until } from "./harness/until.ts";

const { docker, dockerTest } = useDocker();

/** What a command in a fresh container prints. */
async function prints(flags: readonly string[], script: string): Promise<string> {
  const { status, stdout, stderr } = await docker.once(flags, "sh", "-c", script);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: "" }, script);
  return stdout.trimEnd();
}

dockerTest("docker run: each option reaches the container", async () => {
  assert.equal(await prints(["-e", "FRUIT=pear"], "echo $FRUIT"), "pear");
  const shared = join(docker.dir, "shared");
  mkdirSync(shared);
  writeFileSync(join(shared, "in"), "from outside\n");
  assert.equal(await prints(["-v", `${shared}:/shared`], "cat /shared/in; echo inside >/shared/out"), "from outside");
  assert.equal(readFileSync(join(shared, "out"), "utf8"), "inside\n");
  const readOnly = await docker.once(["-v", `${shared}:/shared:ro`], "touch", "/shared/new");
  assert.match(readOnly.stderr, /Read-only file system/);
  const limit = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
  assert.equal(await prints(["--memory", "64m"], limit), String(64 * 1024 * 1024));
  assert.equal(await prints(["--user", "1000:1001"], "id -u; id -g"), "1000\n1001");
  assert.equal(await prints(["--cap-drop", "ALL"], "grep CapEff /proc/self/status"), "CapEff:\t0000000000000000");
  assert.equal(await prints(["--hostname", "moor"], "hostname"), "moor");
  const flags = ["--read-only", "--tmpfs", "/scratch:size=1m"];
  const script = "touch /scratch/a && df -k /scratch | tail -n 1; touch /b 2>&1; true";
  assert.match(await prints(flags, script), /^tmpfs +1024 [^]*Read-only file system$/);
});

dockerTest("docker run --pid host: sees the host's processes, and its own end with init", async () => {
  const name = readFileSync(`/proc/${process.pid}/comm`, "utf8").trim();
  assert.equal(await prints(["--pid", "host"], `cat /proc/${process.pid}/comm`), name);
  // That nothing of the second process is left is what the end of the file looks for.
  assert.equal(await prints(["--pid", "host"], "sleep 1000 >/dev/null 2>&1 & echo started"), "started");
});

dockerTest("docker run --init: tini is init, the status is the program's", async () => {
  const { status, stdout } = await docker.once(["--init"], "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline; exit 3");
  assert.match(stdout, /^\/sbin\/docker-init -- sh /);
  assert.equal(status, 3);
});

dockerTest("docker run: statuses and messages, the program's own and Docker's", async () => {
  const cases: readonly (readonly [number, RegExp, readonly string[], ...string[]])[] = [
    [0, /^$/, [], "true"],
    [7, /^$/, [], "sh", "-c", "exit 7"],
    [143, /^$/, ["--init"], "sh", "-c", "kill -TERM $$"],
    [137, /^$/, ["--memory", "20m", "--memory-swap", "20m"], "tail", "/dev/zero"],
    [127, /exec: "no-such": executable file not found in \$PATH/, [], "no-such"],
    [127, /exec: "\/no\/such": stat \/no\/such: no such file or directory/, [], "/no/such"],
    [126, /exec: "\/etc\/passwd": permission denied/, [], "/etc/passwd"],
    [126, /exec: "\/etc": (is a directory|permission denied)/, [], "/etc"],
    [125, /unknown flag: --no-such-flag/, ["--no-such-flag"], "true"],
    [125, /Unable to find user no-such-user|unable to find user no-such-user/, ["--user", "no-such-user"], "true"],
  ];
  for (const [status, words, flags, ...command] of cases) {
    const ended = await docker.once(flags, ...command);
    assert.equal(ended.status, status, `${command.join(" ")}: ${ended.stderr}`);
    assert.match(ended.stderr, words);
    if (docker.knowsOneShim || !testsMoor) continue;
    const stock = await docker.once(["--runtime", "runc", ...flags], ...command);
    // Moor's message says of which container, and what was done to it.
    const ours = ended.stderr.replace(/create container [0-9a-f]{64}: |start container [0-9a-f]{64}: /, "");
    assert.deepEqual([ended.status, ours], [stock.status, stock.stderr], command.join(" "));
  }
});

dockerTest("docker run: output of a megabyte is whole, input goes in and ends", async () => {
  const size = 1024 * 1024 + 1;
  const much = await docker.once([], "sh", "-c", `head -c ${size} /dev/zero | tr '\\0' x`);
  assert.equal(much.stdout.length, size);
  const input = "word\n".repeat(50_000);
  const args = ["run", "-i", "--rm", "--network", "none", docker.image, "cat"];
  assert.equal((await docker.run(args, { input })).stdout, input);
});

dockerTest("docker run -it: a terminal with its size, and the shell's status", async () => {
  const terminal = docker.terminal("run", "-it", "--rm", "--network", "none", docker.image, "sh");
  await terminal.untilShown(/# /, 30_000);
  const size = async (expected: RegExp): Promise<void> => {
    // The client tells the size after the start: until then the terminal may have none.
    terminal.type("until stty size | grep -v '^0 0'; do :; done\r");
    await terminal.untilShown(expected);
  };
  await size(/24 80\r\n/);
  terminal.resize(100, 30);
  terminal.type("until stty size | grep '^30 100'; do :; done\r");
  await terminal.untilShown(/\n30 100\r\n/);
  terminal.type("exit 6\r");
  assert.equal(await terminal.exitStatus(30_000), 6);
});

dockerTest("docker exec: statuses, environment, user, folder, input, and a terminal", async (t) => {
  const id = await docker.detached(t, ["-e", "FRUIT=pear"], "sleep", "1000");
  await docker.assertServed(id);
  const exec = (flags: readonly string[], ...command: string[]) => docker.run(["exec", ...flags, id, ...command]);
  const all = await exec(
    ["-e", "SORT=red", "-u", "1000", "-w", "/tmp"],
    "sh",
    "-c",
    "echo $FRUIT $SORT $(id -u) $PWD; exit 5",
  );
  assert.deepEqual([all.status, all.stdout], [5, "pear red 1000 /tmp\n"]);
  const piped = await docker.run(["exec", "-i", id, "cat"], { input: "words\n" });
  assert.equal(piped.stdout, "words\n");
  // Those before have 126 for both, with any shim.
  const missing = await exec([], "no-such");
  assert.equal(missing.status, docker.major < 28 ? 126 : 127);
  assert.match(
    missing.stdout + missing.stderr,
    /OCI runtime exec failed: .*exec: "no-such": executable file not found in \$PATH/,
  );
  const forbidden = await exec([], "/etc/passwd");
  assert.equal(forbidden.status, 126);
  assert.match(forbidden.stdout + forbidden.stderr, /exec: "\/etc\/passwd": permission denied/);
  assert.equal((await exec([], "sh", "-c", "kill -KILL $$")).status, 137);
  assert.equal((await exec(["-d"], "sh", "-c", "echo done >/tmp/done")).status, 0);
  await until("the detached exec to have run", 10_000, async () => {
    return (await exec([], "cat", "/tmp/done")).stdout === "done\n";
  });
  const terminal = docker.terminal("exec", "-it", id, "sh");
  await terminal.untilShown(/# /, 30_000);
  terminal.type("tty; exit 4\r");
  await terminal.untilShown(/\/dev\/pts\/\d+\r\n/);
  assert.equal(await terminal.exitStatus(30_000), 4);
});

dockerTest("docker logs: both streams, after the end and while it runs", async (t) => {
  const id = await docker.detached(
    t,
    [],
    "sh",
    "-c",
    "echo one; echo two >&2; until [ -e /go ]; do sleep 0.05; done; echo three",
  );
  await until("both lines", 10_000, async () => {
    const { stdout, stderr } = await docker.run(["logs", id]);
    return stdout === "one\n" && stderr === "two\n";
  });
  const followed = docker.run(["logs", "-f", id]);
  await docker.ok("exec", id, "touch", "/go");
  const { stdout, stderr } = await followed;
  assert.deepEqual([stdout, stderr], ["one\nthree\n", "two\n"]);
  assert.equal(await docker.ok("wait", id), "0");
});

dockerTest("docker attach: by terminal, which one leaves with the container running, and by pipes", async (t) => {
  const script = 'while read word; do echo "<$word>"; [ "$word" = end ] && exit 8; done';
  const id = await docker.detached(t, ["-i"], "sh", "-c", script);
  const shell = await docker.detached(t, ["-it"], "sh");
  const terminal = docker.terminal("attach", shell);
  terminal.type("echo $((6 * 7))\r");
  await terminal.untilShown(/\n42\r\n/, 30_000);
  terminal.type("\x10\x11");
  await terminal.untilShown(/read escape sequence/);
  await terminal.exitStatus(30_000);
  assert.equal(await docker.inspect(shell, "{{.State.Status}}"), "running");
  const attached = await docker.run(["attach", id], { input: "pear\nend\n", inputEndsAfter: "<end>" });
  assert.deepEqual([attached.status, attached.stdout], [8, "<pear>\n<end>\n"]);
});

dockerTest("docker build, without BuildKit: each step runs under the default runtime", async () => {
  const context = join(docker.dir, "context");
  mkdirSync(context);
  const steps = [
    `FROM ${docker.image}`,
    "RUN until [ -e /tmp/go ]; do sleep 0.05; done; echo built >/made",
    'CMD ["cat", "/made"]',
  ];
  writeFileSync(join(context, "Dockerfile"), `${steps.join("\n")}\n`);
  const building = docker.run(["build", "--network", "none", "-t", "moor-built", context], { deadlineMs: 120_000 });
  const id = await until("the step's container", 30_000, async () => {
    return (await docker.ok("ps", "-q", "--no-trunc")).split("\n").find((line) => line !== "");
  });
  docker.ids.push(id);
  await docker.assertServed(id);
  writeFileSync(`/proc/${await docker.pidOf(id)}/root/tmp/go`, "");
  const built = await building;
  assert.equal(built.status, 0, built.stderr);
  const ran = await docker.run(["run", "--rm", "--network", "none", "moor-built"]);
  assert.equal(ran.stdout, "built\n");
  await docker.ok("rmi", "moor-built");
  const failing = `FROM ${docker.image}\nRUN exit 9\n`;
  const failed = await docker.run(["build", "--network", "none", "--force-rm", "-"], { input: failing });
  assert.notEqual(failed.status, 0);
  assert.match(failed.stderr, /returned a non-zero code: 9/);
});

dockerTest(
  "daemon.json: the shim by its path, by its name without an entry, and with options in a file of their own",
  async (t) => {
    if (docker.knowsOneShim || !testsMoor) {
      t.diagnostic("there is one runtime type only: nothing to choose");
      return;
    }
    const byPath = await docker.detached(t, ["--runtime", "moor-by-path"], "sleep", "1000");
    await docker.assertServed(byPath);
    const byFullName = await docker.detached(t, ["--runtime", runtimeName], "sleep", "1000");
    await docker.assertServed(byFullName);
    const runtime = join(docker.dir, "runtime");
    writeFileSync(runtime, `#!/bin/sh\necho "$@" >>${runtime}.calls\nexec runc "$@"\n`, { mode: 0o755 });
    writeFileSync(join(docker.dir, "moor.toml"), `BinaryName = "${runtime}"\n`);
    const id = await docker.detached(t, ["--runtime", "moor-with-options"], "sleep", "1000");
    await docker.assertServed(id);
    assert.match(readFileSync(`${runtime}.calls`, "utf8"), new RegExp(`create .*${id}`));
  },
);
