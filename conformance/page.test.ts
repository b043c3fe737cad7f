// The page and the table tell of every case what the code says, and verdicts as they were given.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { repositoryDir } from "../test/harness/repository.ts";
import { allCases } from "./cases.ts";
import { casesPart, replacePart, resultsPart } from "./page.ts";
import { type Column, formatTable, joinColumns, judgeLeftovers } from "./table.ts";

const file = `${repositoryDir()}/docs/conformance.md`;

test("conformance page: it tells each case as the code has it (UPDATE_DOCS=1 prints it anew)", () => {
  const page = readFileSync(file, "utf8");
  const wanted = replacePart(page, "cases", casesPart(allCases));
  if (process.env["UPDATE_DOCS"] !== undefined) writeFileSync(file, wanted);
  else assert.equal(page, wanted);
});

test("conformance page: each case has a verdict in the table", () => {
  const page = readFileSync(file, "utf8");
  const missing = allCases.filter(({ id }) => !page.includes(`| \`${id}\` |`)).map(({ id }) => id);
  assert.deepEqual(missing, []);
});

test("conformance cases: ids are unique, and each says what, why and whence", () => {
  assert.equal(new Set(allCases.map(({ id }) => id)).size, allCases.length);
  for (const { id, title, demand, why, source } of allCases) {
    assert.match(id, /^[a-z]+\.[a-z0-9-]+$/);
    for (const text of [title, demand, why, source]) assert.ok(text.length > 1 && !text.includes("\n"), id);
  }
});

test("conformance table: verdicts, counts, and what was left behind", () => {
  const [first, second] = allCases;
  assert.ok(first !== undefined && second !== undefined);
  const subject = { name: "Shim", file: "/x/shim", version: "shim 1" };
  const results = [
    { id: first.id, outcome: "pass" as const, detail: "", ms: 1, left: ["socket x"] },
    { id: second.id, outcome: "fail" as const, detail: "it is *wrong*", ms: 1, left: [] },
  ];
  const column = { subject, results: [...results, judgeLeftovers(results)] };
  const table = formatTable([first, second], [column]);
  assert.match(table, /Shim: 1 pass, 2 fail, 0 n\/a \(\/x\/shim, shim 1\)/);
  assert.match(table, new RegExp(`FAIL {2}after-all.nothing-left: after ${first.id} there was left: socket x`));
  assert.match(table, new RegExp(`^${second.id} .* FAIL$`, "m"));
  assert.match(resultsPart([first, second], [column]), /it is \\\*wrong\\\*/);
});

test("conformance table: results of two runs are joined, and the later verdict counts", () => {
  const column = (name: string, verdicts: Record<string, "pass" | "fail">): Column => {
    const results = Object.entries(verdicts).map(([id, outcome]) => ({ id, outcome, detail: "", ms: 1, left: [] }));
    return { subject: { name, file: "", version: "" }, results: [...results, judgeLeftovers(results)] };
  };
  const joined = joinColumns([
    column("A", { x: "fail", y: "pass" }),
    column("B", { x: "pass" }),
    column("A", { x: "pass" }),
  ]);
  assert.deepEqual(
    joined.map(({ subject, results }) => [subject.name, results.map(({ id, outcome }) => `${id} ${outcome}`)]),
    [
      ["A", ["x pass", "y pass", "after-all.nothing-left pass"]],
      ["B", ["x pass", "after-all.nothing-left pass"]],
    ],
  );
});
