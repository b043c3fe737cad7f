// What moor shows of containers while they run, and how it holds them: ps with all its columns, pause, resume, stats and
// top, without a daemon.

import assert from "node:assert/strict";
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { assertGolden, type Masks } from "./harness/golden.ts";
import { type PsLine, useMoor } from "./harness/moor-command.ts";
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

interface Row {
  readonly [key: string]: string | number | null;
}

const rowsIn = (text: string): Row[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Row);

function masks(...more: Masks): Masks {
  return [
    [scene.dir, "DIR"],
    [scene.namespace, "NAMESPACE"],
    [new RegExp(`[a-z]+-\\d+-${scene.tag}`, "g"), "ID"],
    [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME"],
    ...more,
  ];
}

const psMasks: Masks = [
  [/"(pid|shimPid|shimMemory)": \d+/g, '"$1": N'],
  [/"shimVersion": "[^"]+"/g, '"shimVersion": "VERSION"'],
];

async function untilStatus(id: string, status: string): Promise<PsLine> {
  return await until(`${id} to be ${status}`, 10_000, async () => {
    const line = await moor.line(id);
    return line?.status === status ? line : undefined;
  });
}

test("moor ps: every key and column, of one that runs, one that has ended, and in a template's words", async () => {
  const runs = await moor.detached(bundle, ["sleep", "1000"]);
  const ended = await moor.detached(bundle, ["sh", "-c", "exit 9"]);
  assert.equal((await moor.run(["wait", ended])).status, 9);
  const line = (await moor.line(runs)) as PsLine;
  assert.ok(Math.abs(Date.parse(line.since ?? "") - Date.now()) < 120_000, String(line.since));
  assert.match(line.shimVersion ?? "", /^\d+\.\d+\.\d+/);
  const memory = line.shimMemory ?? 0;
  assert.ok(memory > 100_000 && memory < 20_000_000, String(memory));
  assertGolden("ps.json", await moor.ok("ps", "-a", "--format", "json"), masks(...psMasks));
  assertGolden(
    "ps.txt",
    await moor.ok("ps", "-a"),
    masks(
      [/ (\d+[dhms])+ /g, " AGO "],
      [/\d[\d.]*[KM]iB/g, "SIZE"],
      [/moor \d\S*/g, "moor VERSION"],
      [/\b\d{2,}\b/g, "N"],
    ),
  );
  assert.equal(await moor.ok("ps", "--format", "{{.ID}}\\t{{.Status}} {{json .execs}}"), `${runs}\trunning []\n`);
  const wrong = await moor.run(["ps", "--format", "{{.Nothing}}"]);
  assert.match(wrong.stderr, /^moor: the template's field \.Nothing is not there: there are id, namespace, /);
  assert.equal(wrong.status, 2);
  await moor.ok("rm", ended);
  await moor.ok("rm", "-f", runs);
});

test("moor ps: a shim of which nothing but itself is left is shown as lost", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const { shimPid, pid } = (await moor.line(id)) as PsLine;
  const folder = join(moor.root, scene.namespace, id);
  const aside = join(scene.dir, "aside");
  renameSync(folder, aside);
  const line = await untilStatus(id, "lost");
  assert.deepEqual([line.shimPid, line.daemon, line.pid], [shimPid, "none", 0]);
  assert.match(await moor.ok("ps"), /lost/);
  assert.ok(isAlive(pid));
  assert.equal(existsSync(folder), false);
  renameSync(aside, folder);
  assert.equal((await moor.line(id))?.status, "running");
  await moor.ok("rm", "-f", id);
});

test("moor pause and resume: holds the container, lets it go on, and says what is not so", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  await moor.ok("pause", id.slice(0, -4));
  assert.equal((await moor.line(id))?.status, "paused");
  const again = await moor.run(["pause", id]);
  assert.equal(again.status, 1);
  assert.match(again.stderr, new RegExp(`^moor: pause ${id}: .*\\n$`));
  await moor.ok("resume", id);
  assert.equal((await moor.line(id))?.status, "running");
  assert.equal((await moor.run(["resume", id])).status, 1);
  await moor.ok("rm", "-f", id);
  const none = await moor.run(["pause", id]);
  assert.deepEqual([none.status, none.stderr], [1, `moor: no container is called ${id}\n`]);
});

test("moor stats: figures of a container that is busy and of one that sleeps, once, as lines and as a table", async () => {
  const busy = await moor.detached(bundle, ["sh", "-c", "while :; do :; done"]);
  const idle = await moor.detached(bundle, ["sleep", "1000"]);
  const rows = rowsIn(await moor.ok("stats", "--interval", "300ms", "--format", "json"));
  const of = (id: string): Row => rows.find((row) => row["id"] === id) as Row;
  assert.equal(rows.length, 2);
  assert.ok((of(busy)["cpuPercent"] as number) > 5, JSON.stringify(of(busy)));
  assert.ok((of(idle)["cpuPercent"] as number) < 5, JSON.stringify(of(idle)));
  assert.ok((of(idle)["memory"] as number) > 0);
  assert.equal(of(idle)["pids"], 1);
  const numbers: Masks = [[/(?<=:)\d[\d.]*/g, "N"]];
  assertGolden(
    "stats.jsonl",
    await moor.ok("stats", "--interval", "10ms", "--format", "json", idle),
    masks(...numbers),
  );
  const cells: Masks = [
    [/\d[\d.]*([KMGT]i)?B/g, "SIZE"],
    [/\d+\.\d%/g, "SHARE"],
    [/SIZE\/SIZE/g, "SIZE"],
  ];
  assertGolden("stats.txt", await moor.ok("stats", "--interval", "10ms", idle), masks(...cells));
  await moor.ok("rm", "-f", busy);
  const dead = moor.run(["stats", "--stream", "--interval", "50ms", "--format", "json", idle]);
  await moor.ok("rm", "-f", idle);
  // The first reading may come after its end already: then it says why there is nothing.
  assert.ok([0, 1].includes((await dead).status));
});

test("moor stats: on a terminal drawn again in place, until Ctrl-C", async () => {
  const id = await moor.detached(bundle, ["sleep", "1000"]);
  const terminal = moor.terminal(["stats", "--interval", "100ms", id]);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what is looked for.
  const frame = /\u001b\[H\u001b\[2J.*ID.*CPU/;
  await terminal.untilShown(frame);
  await terminal.untilShown(frame);
  terminal.type("\u0003");
  assert.equal(await terminal.exitStatus(), 0);
  assert.ok(terminal.text.endsWith("\u001b[?25h"));
  await moor.ok("rm", "-f", id);
});

test("moor top: the processes of a container with names, execs and figures", async () => {
  const id = await moor.detached(bundle, ["sh", "-c", "sleep 1000 & while :; do :; done"]);
  const rows = rowsIn(await moor.ok("top", "--interval", "300ms", "--format", "json", id));
  assert.deepEqual(
    rows.map((row) => [row["exec"], row["command"]]),
    [
      ["init", "sh -c sleep 1000 & while :; do :; done"],
      [null, "sleep 1000"],
    ],
  );
  assert.ok((rows[0]?.["cpuPercent"] as number) > 5);
  const cells: Masks = [
    [/\d[\d.]*([KMGT]i)?B/g, "SIZE"],
    [/\d+\.\d%/g, "SHARE"],
    [/ (\d+[dhms])+ /g, " AGO "],
    [/^ *\d+ +\d+/gm, "N  N"],
    [/^ +PID/gm, "PID"],
    [/ R /g, " S "],
  ];
  assertGolden("top.txt", await moor.ok("top", "--interval", "10ms", id), masks(...cells));
  const terminal = moor.terminal(["top", "--interval", "100ms", id]);
  await terminal.untilShown(/COMMAND/);
  await moor.ok("rm", "-f", id);
  assert.equal(await terminal.exitStatus(), 0);
});
