// The bench's own small programs, compiled where they are used: what stamps and reads outside, and what runs in containers.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runOk } from "../test/harness/command.ts";
import { repositoryDir } from "../test/harness/repository.ts";

const flags = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror"];

export interface Helpers {
  readonly stopwatch: string;
  readonly arrivals: string;
  readonly drain: string;
  /** Static, for containers. */
  readonly inside: string;
}

/** Where they will be once they are compiled into `dir`. */
export function helpersIn(dir: string): Helpers {
  const path = (name: string): string => join(dir, name);
  return { stopwatch: path("stopwatch"), arrivals: path("arrivals"), drain: path("drain"), inside: path("inside") };
}

export async function compileHelpers(dir: string): Promise<void> {
  mkdirSync(dir);
  for (const [name, program] of Object.entries(helpersIn(dir)) as [string, string][]) {
    const compiler = name === "inside" ? ["musl-gcc", "-static"] : ["gcc"];
    await runOk([...compiler, ...flags, "-o", program, join(repositoryDir(), `bench/${name}.c`)]);
  }
}
