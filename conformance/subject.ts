// A shim under test: found by its runtime name, as containerd finds it, or by its path.

import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { run } from "../test/harness/command.ts";
import { findInPath, repositoryDir } from "../test/harness/repository.ts";
import { shorten } from "./case.ts";

export interface Subject {
  /** Head of its column. */
  readonly name: string;
  readonly file: string;
  /** What `-v` says, on one line. */
  readonly version: string;
}

/** Moor's own name, and its column's. */
export const moorRuntime = "io.containerd.moor.v2";

/** @param wanted a runtime name, a path of a shim's program, or HEAD=PATH. @throws Error when there is none. */
export async function findSubject(wanted: string): Promise<Subject> {
  const [, head, runtime = wanted] = /^([^/=]+)=(.+)$/.exec(wanted) ?? [];
  const file = fileOf(runtime);
  const { stdout, stderr, status } = await run([file, "-v"], { deadlineMs: 10_000 });
  const version = status === 0 ? shorten(stdout || stderr) : `unknown (-v exits ${status})`;
  const name = head ?? (runtime === moorRuntime ? "Moor" : basename(runtime));
  return { name, file, version };
}

function fileOf(runtime: string): string {
  if (runtime === moorRuntime) {
    const built = process.env["MOOR_TEST_SHIM"] ?? `${repositoryDir()}/build/containerd-shim-moor-v2`;
    if (!existsSync(built)) throw new Error(`${built} is missing: run make build first`);
    return built;
  }
  if (runtime.includes("/")) {
    if (!existsSync(runtime)) throw new Error(`there is no ${runtime}`);
    return resolve(runtime);
  }
  // containerd's rule: the last two words of the name.
  const words = runtime.split(".");
  if (words.length < 2) throw new Error(`${runtime} is neither a runtime's name (io.containerd.runc.v2) nor a path`);
  const program = `containerd-shim-${words.slice(-2).join("-")}`;
  const found = findInPath(program);
  if (found === undefined) throw new Error(`${runtime} is not here: ${program} is not in PATH`);
  return found;
}
