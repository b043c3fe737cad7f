// moor events, dump, debug and completion: what is told of what happens, the support bundle, the shell in a container's
// namespaces, and what shells and man pages are told; with the daemon alive, dead, and never there.

import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { run, runOk } from "./harness/command.ts";
import { TestContainer } from "./harness/container.ts";
import { assertGolden, type Masks } from "./harness/golden.ts";
import { type PsLine, useMoor } from "./harness/moor-command.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

let bundle = "";
const scene = useScene({
  prepare: async () => {
    bundle = await moor.bundle();
  },
});
const moor = useMoor(scene);

const masks = (...more: Masks): Masks => [
  [scene.dir, "DIR"],
  [scene.namespace, "NAMESPACE"],
  [new RegExp(`[a-z]+-\\d+-${scene.tag}`, "g"), "ID"],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME"],
  [/"pid":\d+/g, '"pid":N'],
  ...more,
];

interface EventLine {
  readonly topic: string;
  readonly source: string;
  readonly event: { readonly containerId?: string; readonly exitStatus?: number; readonly execId?: string };
}

const eventsIn = (text: string): EventLine[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as EventLine);

test("moor events: exits on record, without a daemon's help", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "exit 7"]);
  await moor.run(["wait", id]);
  const text = await moor.ok("events", "--format", "json");
  const [event] = eventsIn(text);
  assert.deepEqual([event?.topic, event?.source, event?.event.exitStatus], ["/tasks/exit", "record", 7]);
  assertGolden("events.jsonl", text, masks());
  assertGolden("events.txt", await moor.ok("events"), masks());
  assert.equal(await moor.ok("events", "--format", "{{.topic}} {{.event.exitStatus}}"), "/tasks/exit 7\n");
  await moor.ok("rm", id);
});

test("moor events -f: containerd's own, execs too, beside what is seen at shims without a daemon; and when it has left", async () => {
  const following = moor.start(["events", "-f", "--format", "json"]);
  const heard = (topic: string, id: string, by = /./): boolean =>
    eventsIn(following.stdout.slice(0, following.stdout.lastIndexOf("\n") + 1)).some(
      ({ topic: is, source, event }) => is === topic && event.containerId === id && by.test(source),
    );
  const hear = (topic: string, id: string, by?: RegExp): Promise<unknown> =>
    until(
      `${topic} of ${id}`,
      20_000,
      () => heard(topic, id, by),
      () => following.stdout + following.stderr,
    );
  // Nothing tells that it listens but that it hears.
  const first: string[] = [];
  await until("the first event", 20_000, async () => {
    const id = await moor.detached(bundle, ["sleep", "1000"]);
    first.push(id);
    return await until("a start to be heard", 2_000, () => heard("/tasks/start", id)).catch(() => undefined);
  });
  const own = first.at(-1) as string;
  // Of one that is looked at now and then, what lasts is seen.
  await moor.ok("pause", own);
  await hear("/tasks/paused", own);
  await moor.ok("resume", own);
  await hear("/tasks/resumed", own);
  for (const id of first) await moor.ok("rm", "-f", id);
  await hear("/tasks/delete", own);
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  await hear("/tasks/start", container.id);
  await container.execToEnd(["/bin/true"], { output: "null" });
  await hear("/tasks/exec-added", container.id);
  await scene.daemon.kill9();
  await until("its leaving to be said", 10_000, () => /containerd has left/.test(following.stderr));
  await moor.ok("kill", container.id, "KILL");
  await hear("/tasks/exit", container.id, /^shim$/);
  const seen = eventsIn(following.stdout).filter(({ event }) => event.containerId === container.id);
  assert.equal(seen.find(({ topic }) => topic === "/tasks/start")?.source, "containerd");
  const last = seen.at(-1);
  assert.deepEqual([last?.topic, last?.source, last?.event.exitStatus], ["/tasks/exit", "shim", 137]);
  following.child.kill("SIGINT");
  assert.equal(await following.ended, 0);
  await scene.daemon.start();
  await container.remove();
});

test("moor dump: an archive of what there is, with no value of a variable in it", async () => {
  const secret = `secret-${scene.tag}`;
  const container = await TestContainer.run(scene, {
    args: ["/bin/sleep", "1000"],
    output: "null",
    changeSpec: (spec) => {
      spec.process.env = [`TOKEN=${secret}=more`, "EMPTY=", "PATH=/bin"];
    },
  });
  const { id } = container;
  const file = join(scene.dir, "dump.tar.gz");
  await scene.daemon.kill9();
  assert.equal(await moor.ok("dump", id.slice(0, -3), "-o", file), `${file}\n`);
  const again = await moor.run(["dump", id, "-o", file]);
  assert.deepEqual([again.status, /EEXIST/.test(again.stderr)], [1, true]);
  await runOk(["tar", "-xzf", file, "-C", scene.dir]);
  const dir = join(scene.dir, "moor-dump");
  const read = (name: string): string => readFileSync(join(dir, name), "utf8");
  const spec = JSON.parse(read("spec.json")) as { process: { env: string[]; args: string[] } };
  assert.deepEqual(spec.process.env, ["TOKEN=***", "EMPTY=***", "PATH=***"]);
  assert.deepEqual(spec.process.args, ["/bin/sleep", "1000"]);
  const told = JSON.parse(read("container.json")) as {
    status: string;
    pid: number;
    shim: { pid: number; memory: number };
    processes: { command: string[] }[];
    stats: { pids: number };
  };
  assert.deepEqual(
    [told.status, told.pid, told.processes[0]?.command, told.stats.pids],
    ["running", container.init.pid, ["/bin/sleep", "1000"], 1],
  );
  assert.match(read("shim/status"), new RegExp(`^Pid:\\t${told.shim.pid}$`, "m"));
  assert.match(read("shim/maps"), /\[stack\]/);
  assert.match(read("shim/fds.txt"), /socket:/);
  assert.match(read("init/cgroup"), new RegExp(id));
  const cgroup = (await runOk(["find", join(dir, "cgroup"), "-type", "f"])).stdout;
  assert.match(cgroup, /pids\.current/);
  const found = await run(["grep", "-r", secret, dir]);
  assert.deepEqual([found.status, found.stdout], [1, ""]);
  rmSync(dir, { recursive: true });
  rmSync(file);
  await scene.daemon.start();
  await container.remove();
});

test("moor debug: the host's tools in the container's namespaces, with its files at hand, and the command's status", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "echo inside > /tmp-mark; exec sleep 1000"]);
  await until("the mark", 10_000, () => existsSync(join(bundle, "rootfs", "tmp-mark")));
  const script =
    "cat tmp-mark; tr '\\0' ' ' < /proc/1/cmdline; command -v nsenter; readlink /proc/self/ns/net /proc/1/ns/net";
  const { stdout, status } = await moor.run(["debug", id, "--", "/bin/sh", "-c", `${script}; exit 5`]);
  const lines = stdout.split("\n");
  assert.match(stdout, /^inside\nsleep 1000 \/usr\/bin\/nsenter\n/);
  assert.equal(lines[2], lines[3]);
  assert.equal(status, 5);
  assert.equal((await moor.run(["debug", id, "--", "/no/such"])).status, 127);
  assert.equal((await moor.run(["debug", id, "--", "/bin/sh", "-c", "kill -9 $$"])).status, 137);
  await moor.ok("rm", "-f", id);
  const none = await moor.run(["debug", id]);
  assert.equal(none.status, 125);
});

test("moor debug: on a terminal of its own, which has the size of ours, is put back, and is recorded", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const file = join(scene.dir, "session.cast");
  const terminal = moor.terminal(["debug", "--record", file, id, "--", "/bin/sh"], { columns: 91, rows: 31 });
  terminal.type("stty size; echo typed-$((6 * 7))\r");
  await terminal.untilShown(/31 91/);
  await terminal.untilShown(/typed-42/);
  terminal.resize(70, 20);
  await until("the size to be recorded", 10_000, () => readFileSync(file, "utf8").includes('"r","70x20"'));
  terminal.type("exit 4\r");
  assert.equal(await terminal.exitStatus(), 4);
  const [head = "", ...lines] = readFileSync(file, "utf8").trimEnd().split("\n");
  const described = JSON.parse(head) as { version: number; width: number; height: number };
  assert.deepEqual([described.version, described.width, described.height], [2, 91, 31]);
  const shown = lines.map((line) => JSON.parse(line) as [number, string, string]);
  assert.match(
    shown
      .filter(([, kind]) => kind === "o")
      .map(([, , text]) => text)
      .join(""),
    /typed-42/,
  );
  assert.deepEqual(
    shown.map(([at]) => at),
    shown.map(([at]) => at).sort((a, b) => a - b),
  );
  rmSync(file);
  await moor.ok("rm", "-f", id);
});

test("moor debug: a container of the stock shim's, while the daemon is dead", async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/sleep", "1000"],
    output: "null",
    runtime: "io.containerd.runc.v2",
  });
  await scene.daemon.kill9();
  const { pid } = (await moor.line(container.id)) as PsLine;
  const { stdout } = await moor.run(["debug", container.id, "--", "/bin/sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline"]);
  assert.equal(stdout, "/bin/sleep 1000 ");
  assert.equal(pid, container.init.pid);
  await scene.daemon.start();
  await container.remove();
});

test("moor completion: bash knows commands, flags and the ids that live", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const script = join(scene.dir, "completion.bash");
  writeFileSync(script, await moor.ok("completion", "bash"));
  const [node, command, ...flags] = moor.argv();
  const complete = async (...words: string[]): Promise<string[]> => {
    const call = `moor() { ${[node, command, ...flags].join(" ")} "$@"; }`;
    const line = `COMP_WORDS=(moor ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}`;
    const text = `${call}; source ${script}; ${line}; _moor; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await runOk(["bash", "-c", text]);
    return stdout.split("\n").filter((word) => word !== "");
  };
  assert.deepEqual(await complete("do"), ["doctor"]);
  assert.deepEqual(await complete("-n", "x", "doc"), ["doctor"]);
  assert.deepEqual(await complete("ps", "--no"), ["--no-trunc"]);
  assert.deepEqual(await complete("kill", id.slice(0, -2)), [id]);
  assert.deepEqual(await complete("ps", "--format", ""), ["table", "json"]);
  assert.deepEqual(await complete("completion", "f"), ["fish"]);
  const fish = await moor.ok("completion", "fish");
  assert.match(fish, /^complete -c moor -n __fish_use_subcommand -a doctor -d '/m);
  assert.match(await moor.ok("completion", "zsh"), /^#compdef moor\n/);
  const unknown = await moor.run(["completion", "csh"]);
  assert.deepEqual([unknown.status, unknown.stderr], [2, 'moor: the shell "csh": it is bash, zsh or fish\n']);
  await moor.ok("rm", "-f", id);
});

test("moor --help: commands in groups; man pages of every command", async () => {
  const help = await moor.ok("--help");
  for (const title of ["Run and hold containers:", "Look at them:", "The machine and the command:"]) {
    assert.ok(help.includes(`\n${title}\n`), help);
  }
  const out = join(scene.dir, "man");
  await runOk([process.execPath, "scripts/build-man.mjs", out]);
  for (const name of ["moor", "moor-ps", "moor-doctor", "moor-debug"]) {
    const page = readFileSync(join(out, `${name}.1`), "utf8");
    assert.match(page, new RegExp(`^\\.TH ${name.toUpperCase()} 1 `));
    assert.match(page, /^\.SH NAME$/m);
  }
  assert.match(readFileSync(join(out, "moor-doctor.1"), "utf8"), /^\.B \\-\\-fix$/m);
  rmSync(out, { recursive: true });
});
