// The rule moor/imports: imports run downwards, code of the shim imports nothing of Node and only the packages that are
// part of the binary, only main imports "sys", imports name their file, and there are no barrels.

import { isTest, partOf, pathOf, resolveImport, runsInShim } from "./place.mjs";

const services = ["src/reaper", "src/sys", "src/api"];

/** What each part may import besides itself. A part that is not named here (test, sim, bench, scripts) may import all. */
const below = {
  "packages/ttrpc": [],
  "src/api": [],
  "src/sys": [],
  "src/reaper": ["src/sys"],
  "src/io": services,
  "src/oci": services,
  "src/cgroup": services,
  "src/mount": services,
  "src/shim": ["src/io", "src/oci", "src/cgroup", "src/mount", ...services],
  "src/cli": ["src/api"],
};

/** Files of the shim's side that the command may use too: pure functions, no kernel behind them. */
const pureForCli = ["src/sys/error.ts", "src/sys/errno.ts", "src/shim/sha256.ts", "src/shim/state-table.ts"];

/** The packages that are linked into the shim's binary. */
const shimPackages = ["@bufbuild/protobuf/wire", "smol-toml", "ttrpc"];

export const imports = {
  create(context) {
    const path = pathOf(context);
    const report = (node, message) => context.report({ node, message });

    function check(node, source) {
      if (typeof source?.value !== "string") return;
      const wrong = source.value.startsWith(".") ? wrongFile(path, source.value) : wrongModule(path, source.value);
      if (wrong !== undefined) report(node, wrong);
    }

    return {
      ImportDeclaration: (node) => check(node, node.source),
      ImportExpression: (node) => check(node, node.source),
      TSImportType: (node) => check(node, node.source ?? node.argument?.literal),
      ExportAllDeclaration: (node) => reExport(node),
      ExportNamedDeclaration: (node) => node.source && reExport(node),
    };

    function reExport(node) {
      check(node, node.source);
      if (isTest(path) || path.startsWith("packages/ttrpc/src/")) return;
      report(node, `${path} passes on exports of ${node.source.value} (no barrels: an import names the file itself)`);
    }
  },
};

/** Why this file may not import that file of the repository, or undefined. */
function wrongFile(path, specifier) {
  const target = resolveImport(path, specifier);
  if (!/\.(ts|mjs|js|json)$/.test(target)) return `${path} imports ${specifier} (an import names the file, with .ts)`;
  const from = partOf(path);
  const to = partOf(target);
  if (from === to || isTest(path) || below[from] === undefined) return undefined;
  if (isTest(target)) return `${path} imports ${target} (what is for tests stays with tests)`;
  if (below[from].includes(to)) return undefined;
  if (from === "src/cli") {
    if (pureForCli.includes(target)) return undefined;
    return `${path} imports ${target} (of the shim's code the command uses only what is pure: docs/architecture.md#layers)`;
  }
  return `${path} imports ${target} (imports run downwards: docs/architecture.md#layers)`;
}

/** Why this file may not import that package or built-in module, or undefined. */
function wrongModule(path, specifier) {
  if (specifier === "sys") {
    if (path === "src/shim/main.ts" || path.startsWith("test/native/")) return undefined;
    return `${path} imports "sys" (only src/shim/main.ts does; all else is given a Sys: docs/architecture.md#layers)`;
  }
  if (specifier === "worker_threads" || specifier === "node:worker_threads") {
    return `${path} imports ${specifier} (one loop, no threads: docs/architecture.md#layers)`;
  }
  if (!runsInShim(path)) return undefined;
  if (specifier.startsWith("node:")) {
    return `${path} imports ${specifier} (the shim runs without Node: docs/architecture.md#layers)`;
  }
  if (shimPackages.includes(specifier)) return undefined;
  return `${path} imports ${specifier} (of packages the shim holds only ${shimPackages.join(", ")})`;
}
