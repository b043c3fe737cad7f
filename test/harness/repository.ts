// Where the things under test are: the repository, the built shim, and the runtime name every test runs against.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The runtime name under test; MOOR_TEST_RUNTIME=io.containerd.runc.v2 checks the expectations on the stock shim. */
export const runtimeName = process.env["MOOR_TEST_RUNTIME"] ?? "io.containerd.moor.v2";

/** Whether the shim under test is Moor and not the stock one. */
export const testsMoor = runtimeName.startsWith("io.containerd.moor.");

/** The folder that holds the workspace's package.json, found upwards of this file or of the current folder. */
export function repositoryDir(): string {
  for (const start of [dirname(fileURLToPath(import.meta.url)), process.cwd()]) {
    for (let dir = start; dir !== dirname(dir); dir = dirname(dir)) {
      const manifest = join(dir, "package.json");
      if (existsSync(manifest) && readFileSync(manifest, "utf8").includes('"moor-workspace"')) return dir;
    }
  }
  throw new Error("the tests must run inside the repository");
}

/** The name containerd looks for in PATH when it is told `runtimeName`. */
export function shimFileName(): string {
  const parts = runtimeName.split(".");
  return `containerd-shim-${parts.slice(-2).join("-")}`;
}

/** The file of the shim under test, with its full path. */
export function shimPath(): string {
  if (testsMoor) {
    const built = process.env["MOOR_TEST_SHIM"] ?? join(repositoryDir(), "build", "containerd-shim-moor-v2");
    if (!existsSync(built)) throw new Error(`${built} is missing: run make build first`);
    return built;
  }
  const found = findInPath(shimFileName());
  if (found === undefined) throw new Error(`${shimFileName()} is not in PATH`);
  return found;
}

/** Full path of a program in PATH, or undefined. */
export function findInPath(name: string): string | undefined {
  const dirs = (process.env["PATH"] ?? "").split(":").concat("/usr/sbin", "/sbin");
  return dirs.map((dir) => join(dir, name)).find((file) => existsSync(file));
}

/** Version of a containerd, by default of the one in PATH. @throws Error when there is none. */
export function daemonVersion(program = findInPath("containerd")): { readonly major: number; readonly minor: number } {
  if (program === undefined) throw new Error("containerd is missing: install the Debian package containerd");
  const text = execFileSync(program, ["--version"], { encoding: "utf8" });
  const [, major, minor] = / v?(\d+)\.(\d+)\./.exec(text) ?? [];
  if (major === undefined) throw new Error(`containerd --version says no version: ${text}`);
  return { major: Number(major), minor: Number(minor) };
}
