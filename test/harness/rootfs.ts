// A root file system from nothing but Debian's busybox-static, plus the payload program that the tests run in their
// containers (compiled here from fixtures/payload.c with musl-gcc).

import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runOk } from "./command.ts";
import { findInPath, repositoryDir } from "./repository.ts";

/** Makes the root file system in `dir` and returns `dir`. */
export async function makeRootfs(dir: string): Promise<string> {
  for (const sub of ["bin", "proc", "sys", "dev", "etc", "tmp", "run", "root"]) {
    mkdirSync(join(dir, sub), { recursive: true });
  }
  const busybox = findInPath("busybox");
  if (busybox === undefined) throw new Error("busybox is missing: install the Debian package busybox-static");
  copyFileSync(busybox, join(dir, "bin/busybox"));
  chmodSync(join(dir, "bin/busybox"), 0o755);
  const applets = (await runOk([busybox, "--list"])).stdout.split("\n").filter((name) => name !== "");
  for (const applet of applets) {
    const link = join(dir, "bin", applet);
    if (!existsSync(link)) symlinkSync("busybox", link);
  }
  writeFileSync(join(dir, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(dir, "etc/group"), "root:x:0:\n");
  await compilePayload(join(dir, "bin/payload"));
  return dir;
}

async function compilePayload(target: string): Promise<void> {
  const source = join(repositoryDir(), "test/fixtures/payload.c");
  await runOk(["musl-gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", target, source]);
}
