// `moor inspect` and `moor why`: what is known of a container while it runs, waits, has ended, and when its shim or its
// daemon is gone.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Inspection } from "../src/cli/inspection.ts";
import { TestContainer } from "./harness/container.ts";
import { useMoor } from "./harness/moor-command.ts";
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

async function inspect(id: string): Promise<Inspection> {
  const [inspection] = JSON.parse(await moor.ok("inspect", id)) as Inspection[];
  assert.ok(inspection);
  return inspection;
}

const why = (id: string): Promise<string> => moor.ok("why", id);

test("moor inspect: a running container: state and history, processes, fds with their peers, size, calls, options", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "sleep 1000 & cat; exit 0"], "-t");
  const waiting = moor.start(["wait", id]);
  const terminal = moor.terminal(["attach", id], { columns: 91, rows: 33 });
  await until("the terminal to have its size, and somebody to wait", 10_000, async () => {
    const { container, shim } = await inspect(id);
    const isWaitedFor = shim?.calls.some(({ method, pid }) => method === "Wait" && pid === waiting.pid) === true;
    return isWaitedFor && container?.processes[0]?.terminalSize?.columns === 91;
  });
  await moor.ok("exec", id, "true");
  const found = await inspect(id);
  assert.deepEqual([found.id, found.status, found.owner, found.exit, found.lacks], [id, "running", "moor", null, []]);
  const [init, sleep] = found.processes;
  assert.deepEqual([init?.pid, init?.name, init?.exec], [found.pid, "sh", ""]);
  assert.ok(
    found.processes.some(({ name, ppid }) => name === "sleep" && ppid === found.pid),
    sleep?.name,
  );
  const stdout = found.shim?.files.find(({ target, mode }) => target === moor.file(id, "stdout") && mode === "w");
  assert.equal(stdout?.kind, "fifo");
  assert.ok(stdout.peers.some(({ pid, mode }) => pid === terminal.pid && mode === "r"));
  assert.deepEqual(found.container?.processes[0]?.terminalSize, { rows: 33, columns: 91 });
  const moves = found.container?.history
    .filter(({ exec }) => exec === "")
    .map(({ from, to, why: cause }) => [from, to, cause]);
  assert.deepEqual(moves, [
    ["created", "starting", "start"],
    ["starting", "running", "started"],
  ]);
  const ofExec = found.container?.history.filter(({ exec }) => exec !== "").map(({ to }) => to);
  assert.deepEqual(ofExec, ["starting", "running", "exiting", "stopped", "deleting", "deleted"]);
  const calls = found.container?.runtimeCalls.map(({ operation, result }) => `${operation} ${result}`);
  assert.deepEqual(calls, ["create ok", "start ok", "exec ok"]);
  assert.ok((found.cgroup?.memoryBytes ?? 0) > 0 && (found.cgroup?.pids ?? 0) >= 2);
  assert.ok((found.shim?.memory?.rssKb ?? 0) > 500);
  assert.equal((found.spec as { process: { terminal: boolean } }).process.terminal, true);
  assert.match(
    await why(id),
    new RegExp(`^${id} runs\\. It has been so since .* Its init, sh -c .* \\(process ${found.pid}\\), sleeps`),
  );
  await moor.ok("kill", id, "KILL");
  assert.equal(await waiting.ended, 137);
  await terminal.exitStatus();
  await moor.ok("rm", id);
});

test("moor inspect: several ids; one that is not there is named after the others were printed", async () => {
  const [first, second] = [
    await moor.detached(bundle, ["sleep", "1000"]),
    await moor.detached(bundle, ["sleep", "1000"]),
  ];
  const result = await moor.run(["inspect", first, "nobody", second]);
  assert.deepEqual(
    (JSON.parse(result.stdout) as Inspection[]).map(({ id }) => id),
    [first, second],
  );
  assert.deepEqual([result.stderr, result.status], ["moor: no container is called nobody\n", 1]);
  for (const id of [first, second]) await moor.ok("rm", "-f", id);
});

test("moor why: how it ended: by a status, by a signal and who asked for it, by itself; also when its shim is gone", async () => {
  const byStatus = await moor.detached(bundle, ["sh", "-c", "exit 3"], "--no-tty");
  await moor.run(["wait", byStatus]);
  assert.match(
    await why(byStatus),
    new RegExp(`^${byStatus} has ended with status 3, at \\S+Z \\([\\d.]+ s ago\\)\\.\\n$`),
  );
  const byKill = await moor.detached(bundle, ["sleep", "1000"]);
  const killer = moor.start(["kill", byKill, "KILL"]);
  await killer.ended;
  await moor.run(["wait", byKill]);
  const expected = `status 137: ended by SIGKILL, at .* had been asked for SIGKILL by process ${killer.pid} of user 0, [\\d.]+ s before`;
  assert.match(await why(byKill), new RegExp(expected));
  process.kill((await moor.line(byKill))?.shimPid ?? 0, "SIGKILL");
  const gone = await why(byKill);
  assert.match(gone, new RegExp(expected));
  assert.match(gone, /Its shim is gone; this is what its record says\.\n$/);
  assert.equal((await inspect(byKill)).shim, null);
  // Init's own process is not to be reached by a signal from within; the host's can.
  const bySomebody = await moor.detached(bundle, ["sleep", "1000"]);
  process.kill((await inspect(bySomebody)).pid, "SIGKILL");
  await moor.run(["wait", bySomebody]);
  assert.match(await why(bySomebody), /Nobody had asked the shim for a signal: it came past the shim/);
  for (const id of [byStatus, byKill, bySomebody]) await moor.ok("rm", "-f", id);
});

test("moor why: memory that ran out", async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done"],
    output: "null",
    changeSpec: (spec) => {
      spec.linux.resources = { ...spec.linux.resources, memory: { limit: 16 << 20 } };
    },
  });
  await container.init.wait();
  const paragraph = await why(container.id);
  assert.match(paragraph, /has ended with status 137/);
  if (testsMoor)
    assert.match(paragraph, /The kernel's out-of-memory killer had ended a process of it \(its limit is 16 MiB, /);
  await container.remove();
});

test("moor why: what it waits for: a reader, a resume, a start, a daemon", async () => {
  const full = await moor.detached(bundle, ["seq", "1", "1000000"], "--no-tty");
  await until("the output to be full", 10_000, async () => /stdout is full: nobody reads/.test(await why(full)));
  assert.match(
    await why(full),
    new RegExp(`Its stdout is full: nobody reads ${moor.file(full, "stdout")}, and it stands still`),
  );
  await moor.ok("rm", "-f", full);
  const paused = await moor.detached(bundle, ["sleep", "1000"]);
  await moor.ok("pause", paused);
  assert.match(await why(paused), /^\S+ is paused\. .* until it is resumed\.\n$/);
  await moor.ok("resume", paused);
  await moor.ok("rm", "-f", paused);
  const container = await TestContainer.create(scene, { args: ["/bin/sleep", "1000"], output: "null" });
  assert.match(await why(container.id), /is created and not started/);
  await scene.daemon.kill9();
  assert.match(await why(container.id), /is created and not started/);
  await scene.daemon.start();
  await container.init.start();
  await scene.daemon.kill9();
  if (testsMoor) {
    await moor.ok("exec", container.id, "true");
    await moor.ok("pause", container.id);
    await moor.ok("resume", container.id);
    assert.match(await why(container.id), /\d events wait for the daemon, which does not take them\./);
  }
  await scene.daemon.start();
  await container.remove();
});

test("moor inspect: of another's shim what it can, and what it lacks", async () => {
  const container = await TestContainer.run(scene, {
    args: ["/bin/sleep", "1000"],
    output: "null",
    runtime: "io.containerd.runc.v2",
  });
  const found = await inspect(container.id);
  assert.deepEqual([found.status, found.container, found.processes.length], ["running", null, 1]);
  assert.match(found.lacks.join(), /is not Moor's and has no control service/);
  assert.match(await why(container.id), /runs\..*Not known: its shim \(.*\) is not Moor's/);
  const exec = await moor.run(["exec", container.id, "--", "sh", "-c", "echo there; exit 3"]);
  assert.deepEqual([exec.stdout, exec.stderr, exec.status], ["there\n", "", 3]);
  const logs = await moor.run(["logs", container.id]);
  assert.equal(logs.status, 1);
  await moor.ok("kill", container.id, "KILL");
  await container.init.wait();
  await container.remove();
});
