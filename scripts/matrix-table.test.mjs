// The table of the compatibility matrix: what is read out of a cell's output, and what becomes of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cells } from "./matrix-cells.mjs";
import { readSummary, table, withTable } from "./matrix-table.mjs";

const tap = `TAP version 13
ok 1 - first
ok 2 - second # SKIP no such tool here
not ok 3 - third
# tests 3
# pass 1
# fail 1
# cancelled 1
# skipped 1
`;

test("readSummary: of Node's test runner, of a plain line, of a command that broke off or cannot run", () => {
  const seen = { passed: 1, failed: 2, skipped: 1, leftOut: ["second: no such tool here"], cannot: "" };
  assert.deepEqual(readSummary(1, tap, ""), seen);
  assert.deepEqual(readSummary(0, "5 passed, 0 failed\n", ""), {
    ...seen,
    passed: 5,
    failed: 0,
    skipped: 0,
    leftOut: [],
  });
  assert.equal(readSummary(1, "5 passed, 0 failed\n", "").failed, 1);
  assert.equal(readSummary(0, "nothing was counted", "").failed, 1);
  assert.equal(readSummary(77, "", "trying\nthe suite has no such package\n").cannot, "the suite has no such package");
});

test("table: a row for each cell, and why something was left out", () => {
  const cell = { daemon: "d 1", runtime: "r 1", suite: "all" };
  const text = table([
    { ...cell, ...readSummary(0, tap.replace("fail 1", "fail 0").replace("cancelled 1", "cancelled 0"), "") },
    { ...cell, daemon: "d 2", ...readSummary(77, "", "no network\n") },
  ]);
  assert.match(text, /^\| d 1 \| r 1 \| all \| 1 \| 0 \| 1 \|$/m);
  assert.match(text, /^\| d 2 \| r 1 \| all \| - \| - \| - \|$/m);
  assert.match(text, /^- second: no such tool here \(d 1 with r 1\)$/m);
  assert.match(text, /^- cannot run here: no network \(d 2 with r 1\)$/m);
});

test("withTable: stands between its two lines, and only there", () => {
  const place = withTable(
    "before\n<!-- made by scripts/test-matrix readme, from the last run of make test-matrix -->\nold\n<!-- end of what scripts/test-matrix makes -->\nafter\n",
    "new",
  );
  assert.match(place, /^before\n<!--[^\n]*-->\n\nnew\n\n<!--[^\n]*-->\nafter\n$/);
  assert.throws(() => withTable("nothing", "new"), /README/);
});

test("cells: every file is in some cell, and no cell is there twice", () => {
  const files = ["run", "exec", "daemon-upgrade", "another"].map((name) => ({ name, alone: false }));
  const all = cells([...files, { name: "bootstrap", alone: true }, { name: "lonely", alone: true }], "all");
  const words = all.map(({ daemon, runtime, suite }) => `${daemon} ${runtime} ${suite}`);
  assert.equal(new Set(words).size, words.length);
  for (const file of ["another", "bootstrap", "daemon-upgrade", "lonely"])
    assert.ok(all.some(({ command }) => command.includes(file)));
  assert.ok(cells([], "short").length > 0);
});
