#!/usr/bin/env node
// Turns TypeScript into what the host runs: esbuild bundles one or more entry files into ES modules (what is only
// reached by import() becomes a chunk of its own), and the engine's compiler turns each into bytecode.
//
//   build-shim.mjs --compiler PATH --out FOLDER [--table] [--gates] NAME=ENTRY.ts...
//
// writes FOLDER/js/*.js with their source maps and FOLDER/bytecode/*.js.bc; with --table also FOLDER/modules.c and
// FOLDER/bytecode.S, which link the bytecode into the executable; with --gates the gates of the tests (src/sys/gates.ts)
// stay in. Files whose content stays the same are left alone, so that make links nothing anew without need.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    compiler: { type: "string" },
    out: { type: "string" },
    table: { type: "boolean", default: false },
    gates: { type: "boolean", default: false },
  },
});
if (values.compiler === undefined || values.out === undefined || positionals.length === 0) {
  throw new Error("usage: build-shim.mjs --compiler PATH --out FOLDER [--table] [--gates] NAME=ENTRY.ts...");
}
const out = resolve(values.out);
const scripts = join(out, "js");
const bytecode = join(out, "bytecode");

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
/** Which commit this is, "-dirty" behind it when files differ from it; MOOR_REVISION says it where there is no git. */
function readRevision() {
  if (process.env.MOOR_REVISION !== undefined) return process.env.MOOR_REVISION;
  try {
    const top = fileURLToPath(new URL("..", import.meta.url));
    const args = ["-C", top, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
    return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return ""; // no git, or no repository: a release's source
  }
}

const entryPoints = positionals.map((argument) => {
  const [name, file] = argument.split("=", 2);
  if (!name || !file) throw new Error(`not NAME=ENTRY.ts: ${argument}`);
  return { in: resolve(file), out: name };
});

/** Checks of numbers in the generated code that src/api/wire.ts makes anyway. */
const doubleCheck = /^ +if \(BigInt\.as(?:Ui|I)ntN\(64, [^)]*\) !== [^)]*\) \{\n[^\n]*\n +\}\n/gm;
/**
 * Of each generated message the shim either reads or writes most: the other half, a third of the memory that messages
 * take, is left out. By file, what goes of a message of that name; those of other files are kept whole.
 */
const halves = {
  "task.ts": (name) => (/Request(_|$)/.test(name) ? "encode" : "decode"),
  "control.ts": (name) => (/Request(_|$)/.test(name) ? "encode" : "decode"),
  "task-events.ts": () => "decode",
  "cgroups-v1.ts": () => "decode",
  "cgroups-v2.ts": () => "decode",
};
const api = fileURLToPath(new URL("../src/api/", import.meta.url));
const withoutHalves = {
  name: "without-halves",
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/api\/[a-z0-9-]+\.ts$/ }, ({ path }) => {
      const dropped = path.startsWith(api) ? halves[path.slice(api.length)] : undefined;
      if (dropped === undefined) return undefined; // whole, as it is
      const message = /^export const (\w+): MessageFns<\1> = \{\n[^]*?^\};\n/gm;
      const contents = readFileSync(path, "utf8").replace(message, (text, name) =>
        text.replace(new RegExp(`^  ${dropped(name)}\\([^]*?^  \\},\\n`, "m"), ""),
      );
      return { contents: contents.replace(doubleCheck, ""), loader: "ts" };
    });
  },
};

const result = await build({
  entryPoints,
  outdir: scripts,
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2023",
  platform: "neutral",
  mainFields: ["module", "main"],
  conditions: [],
  external: ["sys"],
  // Quicker in this engine, and smaller: src/api/wire.ts says why.
  alias: { "@bufbuild/protobuf/wire": fileURLToPath(new URL("../src/api/wire.ts", import.meta.url)) },
  charset: "utf8",
  legalComments: "none",
  // Constant branches go, names and lines stay: a stack is all that comes back from a node.
  minifySyntax: true,
  keepNames: false,
  dropLabels: values.gates ? [] : ["GATE"],
  sourcemap: "external",
  define: { MOOR_VERSION: JSON.stringify(version), MOOR_REVISION: JSON.stringify(readRevision()) },
  plugins: [withoutHalves],
  write: false,
  logLevel: "warning",
});

/** Writes it unless it is there already with this content; whether it did. */
function put(path, content) {
  const bytes = Buffer.from(content);
  if (existsSync(path) && readFileSync(path).equals(bytes)) return false;
  writeFileSync(path, bytes);
  return true;
}

/** Removes what an earlier build left behind. */
function keepOnly(folder, names) {
  for (const name of readdirSync(folder)) if (!names.has(name)) rmSync(join(folder, name));
}

mkdirSync(scripts, { recursive: true });
mkdirSync(bytecode, { recursive: true });
const compilerTime = statSync(values.compiler).mtimeMs;
const modules = [];
const stale = [];
const wanted = new Set();
for (const file of result.outputFiles) {
  const name = file.path.slice(scripts.length + 1);
  if (name.includes("/")) throw new Error(`a module in a folder of its own: ${name}`);
  wanted.add(name);
  const changed = put(file.path, file.contents);
  if (!name.endsWith(".js")) continue;
  modules.push(name);
  const compiled = join(bytecode, `${name}.bc`);
  if (changed || !existsSync(compiled) || statSync(compiled).mtimeMs < compilerTime) stale.push(file.path);
}
modules.sort();
keepOnly(scripts, wanted);
if (stale.length > 0) execFileSync(values.compiler, [bytecode, ...stale], { stdio: "inherit" });
keepOnly(bytecode, new Set(modules.map((name) => `${name}.bc`)));

if (values.table) {
  const compiled = modules.map((name) => join(bytecode, `${name}.bc`));
  const assembly = [
    "// Generated by scripts/build-shim.mjs.",
    '.section .rodata, "a"',
    ...compiled.flatMap((path, i) => [
      `.global moor_bytecode_${i}`,
      ".balign 8",
      `moor_bytecode_${i}: .incbin ${JSON.stringify(path)}`,
    ]),
    '.section .note.GNU-stack, "", @progbits',
  ];
  const table = [
    "// Generated by scripts/build-shim.mjs.",
    '#include "modules-table.h"',
    ...compiled.map((_, i) => `extern const uint8_t moor_bytecode_${i}[];`),
    "const MoorModule moor_module_table[] = {",
    ...modules.map((name, i) => `    {${JSON.stringify(name)}, moor_bytecode_${i}, ${statSync(compiled[i]).size}},`),
    "    {0, 0, 0},",
    "};",
  ];
  put(join(out, "modules.c"), `${table.join("\n")}\n`);
  put(join(out, "bytecode.S"), `${assembly.join("\n")}\n`);
}
