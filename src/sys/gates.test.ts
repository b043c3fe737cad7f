import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ENOENT } from "./errno.ts";
import { gates, passGate } from "./gates.ts";
import type { Sys } from "./sys.d.ts";

test("gates: without the folder in the environment nothing is looked at", () => {
  passGate({ environ: ["PATH=/bin"] } as unknown as Sys, "create.mounted");
});

test("gates: one that is not armed stops nobody", () => {
  const renamed: string[] = [];
  const sys = { environ: ["MOOR_GATES=/g"], rename: (from: string) => (renamed.push(from), ENOENT) };
  passGate(sys as unknown as Sys, "create.mounted");
  assert.deepEqual(renamed, ["/g/create.mounted.armed"]);
});

test("gates: an armed one stands still until the word that it is reached is taken away", () => {
  const files = new Map([["/g/create.mounted.armed", ""]]);
  let slept = 0;
  const sys = {
    environ: ["MOOR_GATES=/g"],
    getpid: () => 42,
    rename: (from: string, to: string) => {
      const text = files.get(from);
      if (text === undefined) return ENOENT;
      files.delete(from);
      files.set(to, text);
      return 0;
    },
    writeText: (path: string, text: string) => (files.set(path, text), 0),
    access: (path: string) => (files.has(path) ? 0 : ENOENT),
    sleepMs: () => {
      assert.deepEqual([...files], [["/g/create.mounted.reached", "42"]]);
      if (++slept === 3) files.clear();
    },
  };
  passGate(sys as unknown as Sys, "create.mounted");
  assert.equal(slept, 3);
  passGate(sys as unknown as Sys, "create.mounted");
  assert.equal(slept, 3);
});

test("gates: docs/faults.md lists them all, numbered", () => {
  const text = readFileSync(new URL("../../../../docs/faults.md", import.meta.url), "utf8");
  const listed = [...text.matchAll(/^\| (\d+) \| `([a-z-]+\.[a-z-]+)` \| (.*) \|$/gm)].map((row) => row.slice(1));
  assert.deepEqual(
    listed,
    Object.entries(gates).map(([name, done], i) => [String(i + 1), name, done]),
  );
});
