// Docker with Moor as its runtime, what becomes of a container: signals, pause, limits, figures, restart policies, health,
// events, and dockerd or containerd killed and started again around it.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { useDocker } from "./harness/docker.ts";
import { isAlive } from "./harness/processes.ts";
import { until } from "./harness/until.ts";

const { docker, dockerTest } = useDocker();

async function untilInspected(id: string, template: string, expected: string): Promise<void> {
  let seen = "";
  await until(
    `${template} to be ${expected}`,
    30_000,
    async () => (seen = await docker.inspect(id, template)) === expected,
    () => seen,
  );
}

/** A container that says "ready", then what of TERM and USR1 it gets, until TERM ends it with status 5. */
async function listening(t: TestContext): Promise<string> {
  const script = "trap 'exit 5' TERM; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done";
  const id = await docker.detached(t, [], "sh", "-c", script);
  await untilLogged(id, /ready\n/);
  return id;
}

async function untilLogged(id: string, pattern: RegExp): Promise<void> {
  let seen = "";
  await until(
    `the log to match ${pattern}`,
    30_000,
    async () => pattern.test((seen = (await docker.run(["logs", id])).stdout)),
    () => seen,
  );
}

dockerTest("docker stop and kill: the program's own status, the signal's, and SIGKILL after the grace", async (t) => {
  const polite = await listening(t);
  await docker.ok("kill", "-s", "USR1", polite);
  await untilLogged(polite, /usr1\n/);
  await docker.ok("stop", polite);
  assert.equal(await docker.inspect(polite, "{{.State.Status}} {{.State.ExitCode}}"), "exited 5");
  // Init ignores what it has no handler for.
  const deaf = await docker.detached(t, [], "sleep", "1000");
  await docker.ok("stop", "-t", "1", deaf);
  assert.equal(await docker.ok("wait", deaf), "137");
  const killed = await docker.detached(t, [], "sleep", "1000");
  await docker.ok("kill", killed);
  await untilInspected(killed, "{{.State.Status}} {{.State.ExitCode}}", "exited 137");
  const again = await docker.run(["kill", killed]);
  assert.match(again.stderr, /is not running/);
  await docker.ok("start", killed);
  assert.equal(await docker.inspect(killed, "{{.State.Status}}"), "running");
});

dockerTest("docker pause, update, stats, top: one container held, limited and measured", async (t) => {
  const id = await docker.detached(t, ["--memory", "64m"], "sh", "-c", "while :; do sleep 0.05; done");
  await docker.assertServed(id);
  await docker.ok("pause", id);
  assert.equal(await docker.inspect(id, "{{.State.Status}}"), "paused");
  const refused = await docker.run(["exec", id, "true"]);
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /is paused/);
  await docker.ok("unpause", id);
  await docker.ok("update", "--memory", "32m", "--memory-swap", "48m", "--pids-limit", "50", id);
  const limits =
    "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max";
  assert.equal(await docker.ok("exec", id, "sh", "-c", limits), `${32 * 1024 * 1024}\n50`);
  const stats = JSON.parse(await docker.ok("stats", "--no-stream", "--format", "{{json .}}", id)) as Record<
    string,
    string
  >;
  assert.match(stats["MemUsage"] ?? "", /^[1-9][\d.]*[KM]iB \/ 32MiB$/);
  assert.match(stats["PIDs"] ?? "", /^[12]$/);
  const top = await docker.ok("top", id, "-o", "pid,args");
  const pid = await docker.pidOf(id);
  assert.match(top, new RegExp(`\\n${pid} +sh -c while`));
});

dockerTest(
  "restart policies: on-failure so many times, always after a death from outside, never after a stop",
  async (t) => {
    const failing = await docker.detached(t, ["--restart", "on-failure:2"], "sh", "-c", "echo again; exit 4");
    await untilInspected(failing, "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", "2 exited 4");
    assert.equal(await docker.ok("logs", failing), "again\nagain\nagain");
    const steady = await docker.detached(t, ["--restart", "always"], "sleep", "1000");
    const first = await docker.pidOf(steady);
    process.kill(first, "SIGKILL");
    await untilInspected(steady, "{{.RestartCount}} {{.State.Status}}", "1 running");
    assert.notEqual(await docker.pidOf(steady), first);
    await docker.ok("restart", "-t", "0", steady);
    assert.equal(await docker.inspect(steady, "{{.State.Status}}"), "running");
    await docker.ok("stop", "-t", "0", steady);
    assert.equal(await docker.inspect(steady, "{{.State.Status}}"), "exited");
  },
);

dockerTest("healthcheck: healthy and unhealthy as its command says", async (t) => {
  const flags = ["--health-cmd", "test -e /well", "--health-interval", "200ms", "--health-retries", "2"];
  const id = await docker.detached(t, flags, "sh", "-c", "touch /well; exec sleep 1000");
  await untilInspected(id, "{{.State.Health.Status}}", "healthy");
  await docker.ok("exec", id, "rm", "/well");
  await untilInspected(id, "{{.State.Health.Status}}", "unhealthy");
});

dockerTest("docker events: a life, an exec and death by lack of memory, each told once and in order", async (t) => {
  const since = (Date.now() / 1000).toFixed(3);
  const id = await docker.detached(
    t,
    ["--memory", "20m", "--memory-swap", "20m"],
    "sh",
    "-c",
    "until [ -e /go ]; do sleep 0.05; done; tail /dev/zero",
  );
  await docker.ok("exec", id, "true");
  await docker.ok("pause", id);
  await docker.ok("unpause", id);
  await docker.ok("exec", id, "touch", "/go");
  await untilInspected(id, "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}", "exited 137 true");
  await docker.ok("rm", id);
  const range = ["--since", since, "--until", (Date.now() / 1000 + 0.001).toFixed(3)];
  const told = await docker.ok("events", ...range, "--filter", `container=${id}`, "--format", "{{.Action}}");
  const actions = told.split("\n").map((line) => line.replace(/:.*/, ""));
  const exec = ["exec_create", "exec_start", "exec_die"];
  // The kernel may kill more than one process of it, and tells of each.
  const once = actions.filter((action, index) => action !== "oom" || actions.indexOf("oom") === index);
  assert.deepEqual(once, ["create", "start", ...exec, "pause", "unpause", ...exec, "oom", "die", "destroy"]);
});

/** A container that goes on once the file NAME is in the shared folder, each time saying so; the last ends it with 9. */
async function stepping(
  t: TestContext,
  ...names: readonly string[]
): Promise<{ id: string; step: (name: string) => void }> {
  const shared = join(docker.dir, `steps-${docker.ids.length}`);
  mkdirSync(shared);
  const waits = names.map((name) => `until [ -e /s/${name} ]; do sleep 0.05; done; echo ${name}`).join("; ");
  const id = await docker.detached(t, ["-v", `${shared}:/s`], "sh", "-c", `echo begun; ${waits}; exit 9`);
  await untilLogged(id, /begun\n/);
  return { id, step: (name) => writeFileSync(join(shared, name), "") };
}

async function untilGone(pid: number): Promise<void> {
  await until("its process to end", 10_000, () => !isAlive(pid));
}

dockerTest("live restore: dockerd is killed and started, and what runs or ended meanwhile is known", async (t) => {
  const living = await stepping(t, "alone", "together");
  const ending = await stepping(t, "last");
  const terminal = await docker.detached(t, ["-it"], "sh");
  const [pid, endingPid] = [await docker.pidOf(living.id), await docker.pidOf(ending.id)];
  await docker.kill9();
  living.step("alone");
  ending.step("last");
  await untilGone(endingPid);
  assert.ok(isAlive(pid));
  await docker.start();
  assert.equal(await docker.inspect(living.id, "{{.State.Status}} {{.State.Pid}}"), `running ${pid}`);
  // Its last words Docker does not read, whatever the shim.
  await untilInspected(ending.id, "{{.State.Status}} {{.State.ExitCode}}", "exited 9");
  assert.equal(await docker.ok("exec", living.id, "echo", "here"), "here");
  const attached = docker.terminal("attach", terminal);
  attached.type("echo $((6 * 7)); exit 3\r");
  await attached.untilShown(/\n42\r\n/, 30_000);
  assert.equal(await attached.exitStatus(30_000), 3);
  living.step("together");
  assert.equal(await docker.ok("wait", living.id), "9");
  await untilLogged(living.id, /^begun\nalone\ntogether\n$/);
});

dockerTest("live restore: dockerd ends as it should, and comes back to the same containers", async (t) => {
  const living = await stepping(t, "end");
  const pid = await docker.pidOf(living.id);
  await docker.stop();
  assert.ok(isAlive(pid));
  await docker.start();
  assert.equal(await docker.inspect(living.id, "{{.State.Status}} {{.State.Pid}}"), `running ${pid}`);
  living.step("end");
  assert.equal(await docker.ok("wait", living.id), "9");
});

dockerTest(
  "containerd is killed and started under dockerd: what runs lives on, what ended has its status",
  async (t) => {
    const living = await stepping(t, "end");
    const ending = await stepping(t, "last");
    const [pid, endingPid] = [await docker.pidOf(living.id), await docker.pidOf(ending.id)];
    await docker.daemon.kill9();
    ending.step("last");
    await untilGone(endingPid);
    await docker.daemon.start();
    await untilInspected(ending.id, "{{.State.Status}} {{.State.ExitCode}}", "exited 9");
    assert.equal(await docker.inspect(living.id, "{{.State.Status}} {{.State.Pid}}"), `running ${pid}`);
    assert.equal(await docker.ok("exec", living.id, "echo", "here"), "here");
    living.step("end");
    assert.equal(await docker.ok("wait", living.id), "9");
  },
);
