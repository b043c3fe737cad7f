// moor doctor on a machine where every kind of leftover was made on purpose: each is found, --fix mends what it says, and
// nothing that lives is touched.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runOk } from "./harness/command.ts";
import { TestContainer } from "./harness/container.ts";
import { assertGolden, type Masks } from "./harness/golden.ts";
import { shimSocketPath } from "./harness/leaks.ts";
import { useMoor } from "./harness/moor-command.ts";
import { isAlive } from "./harness/processes.ts";
import { useScene } from "./harness/scene.ts";
import { until } from "./harness/until.ts";

let bundle = "";
const scene = useScene({
  prepare: async () => {
    bundle = await moor.bundle();
    mkdirSync(sockets());
    unit("good", "KillMode=process\nDelegate=yes");
    unit("bad", "KillMode=mixed\nDelegate=no");
  },
});
const moor = useMoor(scene);
const sockets = (): string => join(scene.dir, "s");
const units = (name: string): string => join(scene.dir, `units-${name}`);

function unit(name: string, settings: string): void {
  mkdirSync(join(units(name), "containerd.service.d"), { recursive: true });
  // The drop-in is what counts.
  writeFileSync(join(units(name), "containerd.service"), "[Unit]\nKillMode=none\n[Service]\nKillMode=control-group\n");
  writeFileSync(join(units(name), "containerd.service.d", "10.conf"), `[Service]\n${settings}\n`);
}

interface Told {
  readonly check: string;
  readonly grade: string;
  readonly subject: string;
  readonly what: string;
  readonly meaning: string;
  readonly command: string;
  readonly fixable: boolean;
  readonly fixed: boolean | null;
  readonly fault: string | null;
}

/** What doctor says, and what it ends with. */
async function examine(...flags: string[]): Promise<{ status: number; told: Told[] }> {
  const args = ["doctor", "--sockets", sockets(), "--unit-dir", units("good"), "--format", "json", ...flags];
  const { status, stdout, stderr } = await moor.run(args);
  assert.equal(stderr, "");
  return { status, told: JSON.parse(stdout) as Told[] };
}

const problems = (told: readonly Told[]): string[][] =>
  told.filter(({ grade }) => grade === "problem").map(({ check, subject }) => [check, subject]);

async function killShim(id: string): Promise<void> {
  const pid = (await moor.line(id))?.shimPid;
  assert.ok(pid);
  process.kill(pid, "SIGKILL");
  await until("the shim to be gone", 10_000, () => !isAlive(pid));
}

const named = (id: string): string => `${scene.namespace}/${id}`;

const masks = (): Masks => [
  [scene.dir, "DIR"],
  [scene.namespace, "NAMESPACE"],
  [new RegExp(`[a-z]+-\\d+-${scene.tag}`, "g"), "ID"],
];

test("moor doctor: of a machine on which all is well it says so, and ends with 0", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const { status, told } = await examine();
  assert.deepEqual([problems(told), status], [[], 0]);
  const checks = told.filter(({ grade }) => grade === "ok").map(({ check }) => check);
  for (const check of ["runtime", "shim", "cgroup", "daemon", "unit-kill-mode", "unit-delegate", "shims"]) {
    assert.ok(checks.includes(check), `${check} is not among ${checks.join(" ")}`);
  }
  assert.match(told.find(({ check }) => check === "daemon")?.what ?? "", /^containerd v?\d.* answers$/);
  // It was left on purpose: nobody need read its output.
  assert.deepEqual(
    told.filter(({ check }) => check === "unread-output").map(({ grade, subject }) => [grade, subject]),
    [
      ["note", named(id)],
      ["note", named(id)],
    ].slice(0, told.filter(({ check }) => check === "unread-output").length),
  );
  assert.match(await moor.ok("doctor", "--sockets", sockets(), "--unit-dir", units("good")), /^no problem found$/m);
  await moor.ok("rm", "-f", id);
  await container.remove();
});

test("moor doctor: the settings of a unit that would end the containers, and a runtime that is not there", async () => {
  const { status, told } = await examine("--unit-dir", units("bad"));
  assert.deepEqual(problems(told), [
    ["unit-kill-mode", "containerd.service"],
    ["unit-delegate", "containerd.service"],
  ]);
  assert.equal(status, 1);
  const file = join(scene.dir, "moor.toml");
  writeFileSync(file, `runtime-path = "no-such-runtime"\n`);
  const other = await moor.run(["-c", file, "doctor", "--sockets", sockets(), "--unit-dir", units("good")]);
  assert.match(other.stdout, /^PROBLEM {2}runtime {2}no-such-runtime: it cannot be run$/m);
  assert.equal(other.status, 1);
});

test("moor doctor: finds every kind of leftover, mends what it says it does, and touches nothing that lives", async () => {
  // What lives, and must go on living.
  const live = await moor.detached(bundle, ["sleep", "1000"]);
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "unread" });
  writeFileSync(join(container.bundle, "events.left"), "an event");

  // A socket that nobody serves, and one that somebody does.
  const listen = "require('node:net').createServer().listen(process.argv[1], () => console.log('up'))";
  const [deadSocket, liveSocket] = [join(sockets(), "dead"), join(sockets(), "live")];
  const servers = [deadSocket, liveSocket].map((path) => {
    const server = spawn(process.execPath, ["-e", listen, path], { stdio: "ignore" });
    scene.onClose(() => server.kill("SIGKILL"));
    return server;
  });
  await until("the sockets", 10_000, () => [deadSocket, liveSocket].every((path) => existsSync(path)));
  const gone = new Promise((resolve) => servers[0]?.on("exit", resolve));
  servers[0]?.kill("SIGKILL");
  await gone;

  // An ended container whose shim is dead, with a mount in its folder.
  const ended = await moor.detached(bundle, ["sh", "-c", "exit 6"]);
  assert.equal((await moor.run(["wait", ended])).status, 6);
  await killShim(ended);
  const mount = moor.file(ended, "left here");
  mkdirSync(mount);
  await runOk(["mount", "-t", "tmpfs", `moor-${scene.tag}`, mount]);

  const held = await moor.run(["rm", ended]);
  assert.match(held.stderr, /something is mounted at .*left here: umount it first\n$/);
  assert.equal(held.status, 1);

  // A container that lives without its shim.
  const orphan = await moor.detached(bundle, ["sleep", "1000"]);
  const orphanPid = (await moor.line(orphan))?.pid ?? 0;
  await killShim(orphan);

  // A shim of which nothing else is left, and a task of the daemon's without a bundle.
  const lost = await moor.detached(bundle, ["sleep", "1000"]);
  const lostPid = (await moor.line(lost))?.shimPid ?? 0;
  renameSync(moor.file(lost, "."), join(scene.dir, "lost"));
  const bare = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const bareShim = (await moor.line(bare.id))?.shimPid ?? 0;
  renameSync(bare.bundle, join(scene.dir, "bare"));

  // A runtime that never comes back.
  const fifo = join(scene.dir, "never");
  await runOk(["mkfifo", fifo]);
  const runtime = moor.runtime(`case "$*" in *" pause "*|*" pause") exec 3<>${fifo}; read x <&3;; esac`);
  const stuck = await moor.detached(bundle, ["sleep", "1000"], "--runtime-path", runtime);
  const pausing = moor.run(["pause", stuck]);

  const expected = [
    ["dead-shim", named(ended)],
    ["orphan", named(orphan)],
    ["dead-socket", deadSocket],
    ["lost-shim", named(bare.id)],
    ["lost-shim", named(lost)],
    ["daemon-view", named(bare.id)],
    ["left-mount", named(ended)],
    ["stuck-runtime", named(stuck)],
    ["events-wait", named(container.id)],
    ["unread-output", named(container.id)],
    ["unread-output", named(container.id)],
  ]
    .map((words) => words.join(" "))
    .sort();
  const found = await until(
    "everything to be found",
    60_000,
    async () => {
      const seen = await examine();
      const now = problems(seen.told).map((words) => words.join(" "));
      return now.some((text) => text.startsWith("stuck-runtime")) ? { ...seen, now } : undefined;
    },
    () => "no stuck runtime was found",
  );
  assert.deepEqual(found.now.sort(), expected);
  assert.equal(found.status, 1);
  for (const { what, meaning, command } of found.told.filter(({ grade }) => grade === "problem")) {
    assert.ok(what !== "" && meaning !== "" && command !== "", what);
  }
  const dead = found.told.filter(({ check }) => check === "dead-shim" || check === "left-mount");
  assertGolden("doctor.json", `${JSON.stringify(dead, undefined, 2)}\n`, masks());
  const flags = ["doctor", "--sockets", sockets(), "--unit-dir", units("good")];
  const text = (await moor.run(flags)).stdout;
  const start = text.indexOf("PROBLEM  dead-shim");
  assertGolden("doctor.txt", text.slice(start, text.indexOf("PROBLEM", start + 1)), masks());

  // Only what cannot be alive is mended, and it is mended indeed.
  const fixed = await examine("--fix");
  const mended = fixed.told
    .filter(({ fixed: done }) => done === true)
    .map(({ check, subject }) => `${check} ${subject}`);
  assert.deepEqual(
    fixed.told.filter(({ fixed: done }) => done === false),
    [],
  );
  assert.deepEqual(mended.sort(), [
    `dead-shim ${named(ended)}`,
    `dead-socket ${deadSocket}`,
    `left-mount ${named(ended)}`,
  ]);
  assert.deepEqual([existsSync(deadSocket), existsSync(liveSocket), existsSync(mount)], [false, true, false]);
  assert.equal(readFileSync("/proc/self/mountinfo", "utf8").includes(`moor-${scene.tag}`), false);
  assert.equal((await moor.line(live))?.status, "running");
  assert.equal((await container.init.state()).status, "RUNNING");
  for (const pid of [orphanPid, lostPid, bareShim, bare.init.pid]) assert.ok(isAlive(pid), String(pid));
  const mendedNames = new Set(mended);
  const rest = problems((await examine()).told).map((words) => words.join(" "));
  assert.deepEqual(
    rest.sort(),
    expected.filter((each) => !mendedNames.has(each)),
  );

  // The rest by hand, as it says.
  const runtimePid = /pid (\d+)/.exec(found.told.find(({ check }) => check === "stuck-runtime")?.what ?? "")?.[1];
  process.kill(Number(runtimePid), "SIGKILL");
  assert.equal((await pausing).status, 1);
  renameSync(join(scene.dir, "lost"), join(moor.root, scene.namespace, lost));
  renameSync(join(scene.dir, "bare"), bare.bundle);
  rmSync(join(container.bundle, "events.left"));
  rmSync(fifo);
  for (const id of [live, orphan, lost, stuck]) await moor.ok("rm", "-f", id);
  await bare.remove();
  await container.remove();
  servers[1]?.kill("SIGKILL");
  rmSync(liveSocket, { force: true });
  const last = await examine();
  assert.deepEqual([problems(last.told), last.status], [[], 0]);
});

test("moor doctor: a dead daemon, and what its dead shim has left, which is the daemon's to remove", async () => {
  const container = await TestContainer.run(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  const { id } = container;
  await scene.daemon.kill9();
  const { told: before } = await examine();
  assert.deepEqual(problems(before), [["daemon", scene.daemon.address]]);
  await killShim(id);
  process.kill(container.init.pid, "SIGKILL");
  await until("init to be gone", 10_000, () => !isAlive(container.init.pid));
  const { told } = await examine("--fix");
  assert.deepEqual(problems(told), [
    ["daemon", scene.daemon.address],
    ["dead-shim", named(id)],
  ]);
  assert.ok(existsSync(container.bundle));
  await scene.daemon.start();
  await until("the daemon to have cleaned up", 10_000, async () => problems((await examine()).told).length === 0);
  await scene.api.deleteContainer(id);
  container.init.forget();
  rmSync(shimSocketPath(scene.daemon.address, scene.namespace, id), { force: true });
});
