#!/usr/bin/env node
// Bundles the moor command: build/cli/moor.mjs, and beside it the parts that are loaded only when needed. Everything it
// uses of npm is inside, so the folder runs wherever there is Node 20; node-pty, which has a part in C++, lies beside it in
// node_modules, as it was built here.
//
//   build-cli.mjs [OUT]          OUT is build/cli by default

import { chmodSync, cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const top = join(dirname(fileURLToPath(import.meta.url)), "..");
const out = resolve(process.argv[2] ?? join(top, "build/cli"));
const { version } = JSON.parse(readFileSync(join(top, "package.json"), "utf8"));

// Chunks have their content in their names; those of an earlier build would stay for ever.
rmSync(out, { recursive: true, force: true });
await build({
  absWorkingDir: top,
  entryPoints: [{ in: "src/cli/main.ts", out: "moor" }],
  outdir: out,
  outExtension: { ".js": ".mjs" },
  chunkNames: "parts/[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  define: { MOOR_VERSION: JSON.stringify(version) },
  // Packages in the older module format ask for Node's own modules by require.
  banner: {
    js: 'import { createRequire as moorRequire } from "node:module"; const require = moorRequire(import.meta.url);',
  },
  external: ["node-pty"],
  legalComments: "none",
  minifySyntax: true,
  sourcemap: "linked",
  logLevel: "warning",
});
const pty = join(top, "node_modules/node-pty");
for (const part of ["package.json", "LICENSE", "lib", "build/Release/pty.node"]) {
  if (!existsSync(join(pty, part))) throw new Error(`${join(pty, part)} is missing: run npm ci`);
  const isShipped = (path) => !/\.test\.js|\.map$|worker|windows|\.d\.ts$/.test(path.slice(pty.length));
  cpSync(join(pty, part), join(out, "node_modules/node-pty", part), { recursive: true, filter: isShipped });
}
chmodSync(join(out, "moor.mjs"), 0o755);
