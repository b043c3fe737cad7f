// A container under containerd, which is killed while the container runs: its output goes on, the daemon finds it again,
// and learns how it ended; and the proof that nothing of it is left.

import { randomBytes } from "node:crypto";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Containerd } from "./daemon.mjs";
import { checkNothingLeft, clearAway, checkOnlyShimAndContainer, isThere, parentOf, showTree } from "./machine.mjs";
import { assert, atEnd, chapter, inBackground, runOk, say, seen, tell, until } from "./story.mjs";

const build = resolve(process.env.MOOR_DEMO_BUILD ?? "build");
const name = `demo-${randomBytes(3).toString("hex")}`;
const runtime = "io.containerd.moor.v2";
const program = "trap 'echo goodbye; exit 42' TERM; n=0; while :; do n=$((n + 1)); echo tick $n; sleep 0.5; done";

const numbersOf = (lines) => lines.flatMap((line) => /^tick (\d+)$/.exec(line)?.[1] ?? []).map(Number);

await tell("Moor under containerd, which dies", async () => {
  const folder = mkdtempSync(join(tmpdir(), "moor-demo-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const fifos = join(folder, "fifos");
  mkdirSync(fifos);
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  delete env.CONTAINERD_NAMESPACE;

  chapter("A private containerd, and a busybox to run");
  const bundle = join(folder, "bundle");
  runOk(`moor bundle ${bundle}`, [process.execPath, join(build, "cli/moor.mjs"), "bundle", bundle], { env });
  const daemon = new Containerd(folder, build);
  atEnd(() => daemon.kill());
  await daemon.start();
  say(`containerd runs as process ${daemon.pid}, with ${build} first in its PATH`);
  const ctr = (...args) => ["ctr", "-a", daemon.address, ...args];
  const quietly = ([file, ...args]) => spawnSync(file, args, { env, encoding: "utf8", timeout: 10_000 }).stdout;

  chapter("A container of runtime io.containerd.moor.v2");
  const sockets = [];
  atEnd(() => clearAway(name, "/run/containerd/runc/default", sockets));
  const options = ["--runtime", runtime, "--fifo-dir", fifos, "--cgroup", `/${name}`];
  const rootfs = join(bundle, "rootfs");
  const what = `ctr run -d --runtime ${runtime} --fifo-dir ${fifos} --rootfs ${rootfs} ${name} /bin/sh -c '...'`;
  runOk(what, ctr("run", "-d", ...options, "--rootfs", rootfs, name, "/bin/sh", "-c", program), { env });
  const task = runOk("ctr tasks ls", ctr("tasks", "ls"), { env });
  const pid = Number(new RegExp(`^${name}\\s+(\\d+)`, "m").exec(task.stdout)?.[1]);
  const shim = parentOf(pid);
  const address = join(folder, "state/io.containerd.runtime.v2.task/default", name, "address");
  sockets.push(readFileSync(address, "utf8").trim().replace("unix://", ""));
  const fifo = join(fifos, String(readdirSync(fifos, { recursive: true }).find((file) => file.endsWith("-stdout"))));
  say("The daemon's clients read its output at a FIFO, and so can anyone:");
  const reader = inBackground(`cat ${fifo}`, ["cat", fifo], env);
  await reader.line(/^tick/, 10);

  chapter("kill -9 containerd");
  const killed = daemon.pid;
  say(`# kill -9 ${killed}`);
  await daemon.end("SIGKILL");
  assert(!isThere(killed), `process ${killed} is still there`);
  seen(`containerd (process ${killed}) is gone`);
  const tree = showTree(shim);
  assert(tree.includes(pid), "the container is not below its shim");
  checkOnlyShimAndContainer(name, shim, tree, [reader.pid]);

  chapter("Its output still flows");
  const before = reader.lines.length;
  await until("six more ticks", 10, () => reader.lines.length >= before + 6);
  const ticks = numbersOf(reader.lines);
  assert(
    ticks.every((tick, i) => i === 0 || tick === ticks[i - 1] + 1),
    `ticks are missing: ${ticks.join(" ")}`,
  );
  seen(`ticks ${ticks[0]} to ${ticks.at(-1)}: none is missing`);
  reader.kill("SIGTERM");
  await reader.status(5);

  chapter("containerd is started again, and knows it");
  await daemon.start();
  say(`containerd runs as process ${daemon.pid}`);
  const again = runOk("ctr tasks ls", ctr("tasks", "ls"), { env });
  assert(new RegExp(`^${name}\\s+${pid}\\s+RUNNING`, "m").test(again.stdout), "the task is not RUNNING with its pid");
  const waiting = inBackground(`ctr tasks attach ${name}`, ctr("tasks", "attach", name), env);
  await waiting.line(/^tick/, 10);

  chapter("It is asked to end; the status comes through ctr");
  runOk(`ctr tasks kill -s SIGTERM ${name}`, ctr("tasks", "kill", "-s", "SIGTERM", name), { env });
  const status = await waiting.status(10);
  say(`ctr tasks attach has ended with the container's exit status: ${status}`);
  assert(status === 42, `the exit status is ${status} and not 42`);
  // In some versions attach has deleted the ended task.
  if (quietly(ctr("tasks", "ls", "-q")).includes(name)) {
    runOk(`ctr tasks rm ${name}`, ctr("tasks", "rm", name), { env });
  }
  runOk(`ctr containers rm ${name}`, ctr("containers", "rm", name), { env });

  chapter("What is left of it");
  await daemon.end("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
  await checkNothingLeft(name, sockets, [fifo, `/run/containerd/runc/default/${name}`, folder]);
});
