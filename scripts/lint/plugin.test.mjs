// Plants a violation of every rule of .oxlintrc.json that is Moor's own or a ban, in a small tree of its own, and checks
// that oxlint finds it; and that what is allowed is let through.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const repository = join(dirname(fileURLToPath(import.meta.url)), "../..");
const tree = mkdtempSync(join(tmpdir(), "moor-lint-"));
after(() => rmSync(tree, { recursive: true }));
mkdirSync(join(tree, "scripts"));
cpSync(join(repository, "scripts/lint"), join(tree, "scripts/lint"), { recursive: true });
for (const name of [".oxlintrc.json", "tsconfig.json", "tsconfig.base.json"])
  cpSync(join(repository, name), join(tree, name));
symlinkSync(join(repository, "node_modules"), join(tree, "node_modules"));

/** The planted files: what stands for N in path, code and message is each one's own number. */
const planted = [];

/** Plants one file, after a proper opening paragraph; what oxlint says of it is known once all are planted. */
function plant(path, code, opening = "// A file that is here to be linted, and that does nothing else.\n\n") {
  const ownPath = path.replace("N", `n${planted.length}`);
  const file = join(tree, ownPath);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${opening}${code}\n`);
  planted.push(ownPath);
  return { path: ownPath, said: () => findings.filter((line) => line.startsWith(`${ownPath}:`)).join("\n") };
}

const refused = [
  [
    "src/io/N.ts",
    'import type { A } from "../shim/y.ts";\nexport type B = A;',
    "src/io/N.ts imports src/shim/y.ts (imports run downwards: docs/architecture.md#layers)",
  ],
  [
    "src/io/N.ts",
    'export const load = () => import("../oci/y.ts");',
    "src/io/N.ts imports src/oci/y.ts (imports run downwards",
  ],
  [
    "src/io/N.ts",
    'export type A = import("../shim/y.ts").A;',
    "src/io/N.ts imports src/shim/y.ts (imports run downwards",
  ],
  [
    "src/reaper/N.ts",
    'import { a } from "../api/task.ts";\nexport const b = a;',
    "src/reaper/N.ts imports src/api/task.ts (imports run",
  ],
  [
    "src/sys/N.ts",
    'import { a } from "../reaper/y.ts";\nexport const b = a;',
    "src/sys/N.ts imports src/reaper/y.ts (imports run",
  ],
  [
    "packages/ttrpc/src/N.ts",
    'import { a } from "../../../src/sys/error.ts";\nexport const b = a;',
    "imports src/sys/error.ts (imports run",
  ],
  [
    "src/cli/N.ts",
    'import { a } from "../shim/publisher.ts";\nexport const b = a;',
    "the command uses only what is pure",
  ],
  ["src/shim/N.ts", 'import { a } from "../../sim/y.ts";\nexport const b = a;', "what is for tests stays with tests"],
  ["src/shim/N.ts", 'import sys from "sys";\nexport const a = sys;', "only src/shim/main.ts does"],
  [
    "src/shim/N.ts",
    'import { readFileSync } from "node:fs";\nexport const a = readFileSync;',
    "the shim runs without Node",
  ],
  [
    "packages/ttrpc/src/N.ts",
    'import { connect } from "node:net";\nexport const a = connect;',
    "the shim runs without Node",
  ],
  [
    "src/shim/N.ts",
    'import { createLogger } from "winston";\nexport const a = createLogger;',
    "of packages the shim holds only",
  ],
  ["src/cli/N.ts", 'import { Worker } from "node:worker_threads";\nexport const a = Worker;', "one loop, no threads"],
  ["src/io/N.ts", 'import { a } from "./y";\nexport const b = a;', "an import names the file, with .ts"],
  ["src/io/N.ts", 'export { a } from "./y.ts";', "no barrels"],
  ["src/cli/N.ts", 'export * from "./y.ts";', "no barrels"],
  ["src/shim/N.ts", "export let count = 0;\nexport const add = () => count++;", "keeps a variable at its top level"],
  ["src/shim/N.ts", "export function f(): void {}\nf();", "runs code when it is imported"],
  [
    "src/shim/N.ts",
    'import { f } from "./y.ts";\nexport const a = { b: [f()] };',
    "computes a constant with an effect",
  ],
  ["src/shim/N.ts", "export class A {\n  static {\n    globalThis.a = 1;\n  }\n}", "runs code in a class body"],
  ["src/shim/N.ts", "export const a = (text: string) => `${text} not found`;", 'says "not found"'],
  ["src/shim/N.ts", "export const a = () => process.pid;", "the shim runs without Node"],
  [
    "src/shim/N.ts",
    "export const a = (fn: () => void) => setTimeout(fn, 5);",
    "a deadline is made in src/reaper/deadline.ts",
  ],
  ["src/shim/N.ts", "export const a = () => Date.now();", "'Date.now' is restricted"],
  ["src/shim/N.ts", "export const a = () => Math.random();", "'Math.random' is restricted"],
  [
    "src/shim/N.ts",
    "export async function a(): Promise<void> {}\nexport function b(): void {\n  a();\n}",
    "no-floating-promises",
  ],
  [
    "test/N.test.ts",
    'import { setTimeout as delay } from "node:timers/promises";\nawait delay(50);',
    "test/N.test.ts sleeps",
  ],
  ["src/io/N.test.ts", "await new Promise((resolve) => setTimeout(resolve, 50));", "src/io/N.test.ts sleeps"],
];

for (const [path, code, message] of refused) {
  const file = plant(path, code);
  const wanted = message.replace(path, file.path);
  test(`lint: in ${path}: ${message}`, () => assert.ok(file.said().includes(wanted), file.said()));
}

const bare = plant("src/io/N.ts", "export const a = 1;", "");
const short = plant("src/io/N.ts", "export const a = 1;", "// SPDX: x\n");
const beside = plant("src/io/N.test.ts", "export const a = 1;", "");
test("lint: a file without an opening paragraph", () => {
  assert.match(bare.said(), /does not open with a paragraph/);
  assert.match(short.said(), /does not open with a paragraph/);
  assert.equal(beside.said(), "");
});

const allowed = [
  ["src/shim/N.ts", 'import type { A } from "../io/y.ts";\nexport type B = A;'],
  [
    "src/io/N.ts",
    'import { BinaryWriter } from "@bufbuild/protobuf/wire";\nexport const a = () => new BinaryWriter();',
  ],
  ["src/io/N.test.ts", 'import { readFileSync } from "node:fs";\nexport const a = readFileSync;'],
  [
    "src/io/N.ts",
    "function to(name: string): { name: string } {\n  return { name };\n}\nexport const table = { a: to(`b${1 + 2}`), c: new Map([[1, -2n]]) } as const;",
  ],
  ["src/shim/main.ts", 'import sys from "sys";\nsys.exit(0);'],
  ["packages/ttrpc/src/node-transport.ts", 'import { connect } from "node:net";\nexport const a = connect;'],
  ["packages/ttrpc/src/index.ts", 'export { a } from "./a.ts";'],
  ["src/cli/N.ts", "export const wait = () => new Promise((resolve) => setTimeout(resolve, 10));"],
  ["test/N.test.ts", 'import { test } from "node:test";\ntest("a", async () => undefined);'],
];

for (const [path, code] of allowed) {
  const file = plant(path, code);
  test(`lint: allowed in ${path}: ${code.split("\n", 1)[0]}`, () => assert.equal(file.said(), ""));
}

const { stdout } = spawnSync(
  join(tree, "node_modules/.bin/oxlint"),
  ["--type-aware", "--format", "unix", ...new Set(planted.map((path) => path.split("/", 1)[0]))],
  { cwd: tree, encoding: "utf8" },
);
const findings = stdout.split("\n");

test("lint: oxlint has run to its end", () => assert.match(stdout, /\n\d+ problems\n$/));
