// Where a linted file stands: its path in the repository, the part of the source tree it belongs to, and whether it runs
// in the shim (on the engine, without Node). Every rule asks here, so that the tree's shape is written down once.

import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";

const top = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** The path below the repository's top folder, with forward slashes. */
export function pathOf(context) {
  return relative(top, context.physicalFilename ?? context.filename);
}

/** "src/io", "packages/ttrpc", "test", ...: the unit between which the direction of imports is ruled. */
export function partOf(path) {
  const [first, second] = path.split("/");
  return first === "src" || first === "packages" ? `${first}/${second}` : first;
}

/** Tests and what only they use; they run under Node and may import what they test from anywhere. */
export function isTest(path) {
  return /\.(test|fixture)\.(ts|mjs)$/.test(path) || /^(test|sim|bench|conformance)\//.test(path);
}

/** Whether the file runs on the engine, where there is no Node. */
export function runsInShim(path) {
  if (isTest(path) || path.endsWith(".d.ts")) return false;
  if (path.startsWith("packages/ttrpc/src/")) return !/\/node[-.]/.test(path);
  return path.startsWith("src/") && !path.startsWith("src/cli/");
}

/** The repository path that a relative import of `path` names. */
export function resolveImport(path, specifier) {
  return posix.join(posix.dirname(path), specifier);
}
