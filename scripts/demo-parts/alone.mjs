// A container with no daemon: run on a terminal, left by Ctrl-P Ctrl-Q, looked at, met again, ended; and the proof that
// nothing of it is left.

import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { checkNothingLeft, checkOnlyShimAndContainer, isThere, showTree } from "./machine.mjs";
import { assert, atEnd, chapter, onTerminal, pass, run, runOk, say, seen, tell, until } from "./story.mjs";

const build = resolve(process.env.MOOR_DEMO_BUILD ?? "build");
const moor = [process.execPath, join(build, "cli/moor.mjs")];
const env = { ...process.env, MOOR_SHIM: join(build, "containerd-shim-moor-v2"), MOOR_ROOT: "/run/moor" };
delete env.CONTAINERD_NAMESPACE;
delete env.MOOR_CONFIG;
const name = `demo-${randomBytes(3).toString("hex")}`;
const stateFolder = join("/run/moor/moor", name);
// Says goodbye when it is asked to end, with a status of its own.
const program = "trap 'echo goodbye; exit 42' TERM; n=0; while :; do n=$((n + 1)); echo tick $n; sleep 0.5; done";

const numbersOf = (lines) => lines.flatMap((line) => /^tick (\d+)$/.exec(line)?.[1] ?? []).map(Number);

await tell("Moor without a daemon", async () => {
  const folder = mkdtempSync(join(tmpdir(), "moor-demo-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const bundle = join(folder, "bundle");

  chapter("A bundle, from nothing but busybox");
  runOk(`moor bundle ${bundle} -- sh -c '...'`, [...moor, "bundle", bundle, "--", "sh", "-c", program], { env });

  chapter("Run it on a terminal; its output comes as it is written");
  atEnd(() => {
    if (existsSync(stateFolder)) spawnSync(moor[0], [moor[1], "rm", "-f", name], { env });
  });
  const first = onTerminal(`moor run --id ${name} ${bundle}`, [...moor, "run", "--id", name, bundle], env);
  await first.line(/^tick 3$/, 15);
  say("Ctrl-P Ctrl-Q is pressed");
  first.type("\x10\x11");
  const left = await first.status(5);
  assert(left === 0, `moor run ended with status ${left} when it was left`);

  chapter("The command is gone; the container runs");
  assert(!isThere(first.pid), `process ${first.pid} of moor run is still there`);
  seen(`moor run (process ${first.pid}) is gone`);
  const listed = runOk("moor ps", [...moor, "ps"], { env });
  assert(listed.stdout.includes(name), "moor ps does not show it");
  const rows = JSON.parse(spawnSync(moor[0], [moor[1], "ps", "--format", "json"], { env, encoding: "utf8" }).stdout);
  const { shimPid, pid } = rows.find((row) => row.id === name);
  const tree = showTree(shimPid);
  assert(tree.includes(pid), "the container is not below its shim");
  checkOnlyShimAndContainer(name, shimPid, tree);
  const socket = readFileSync(join(stateFolder, "address"), "utf8").trim().replace("unix://", "");

  chapter("Attach again: what was written meanwhile has waited in a FIFO");
  await pass(2);
  const second = onTerminal(`moor attach ${name}`, [...moor, "attach", name], env);
  await until("eight more ticks", 15, () => numbersOf(second.lines).length >= 8);

  chapter("Ask it to end, from elsewhere, while attached");
  runOk(`moor kill ${name} TERM`, [...moor, "kill", name, "TERM"], { env });
  const status = await second.status(10);
  say(`moor attach has ended with the container's exit status: ${status}`);
  assert(status === 42, `the exit status is ${status} and not 42`);
  const ticks = numbersOf([...first.lines, ...second.lines]);
  assert(
    ticks.every((tick, i) => tick === i + 1),
    `ticks are missing: ${ticks.join(" ")}`,
  );
  seen(`ticks 1 to ${ticks.length}: none is missing, none came twice`);
  assert(run(`moor wait ${name}`, [...moor, "wait", name], { env }).status === 42, "moor wait says something else");
  runOk(`moor rm ${name}`, [...moor, "rm", name], { env });

  chapter("What is left of it");
  rmSync(folder, { recursive: true, force: true });
  await checkNothingLeft(name, [socket], [stateFolder, `/run/containerd/runc/moor/${name}`, folder]);
});
