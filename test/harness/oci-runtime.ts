// The OCI runtime that the tests run with (scripts/with-daemon chooses it), for the few expectations that are the
// runtime's own: its words, and what it lets pass. What Moor makes of them is the same for all.

import { execFileSync } from "node:child_process";
import { findInPath } from "./repository.ts";

export type RuntimeName = "runc" | "crun";

let known: RuntimeName | undefined;

/** What stands as runc in PATH. @throws Error when it is neither runc nor crun. */
export function runtimeUnderTest(): RuntimeName {
  if (known !== undefined) return known;
  const program = findInPath("runc");
  if (program === undefined) throw new Error("runc is missing: install the Debian package runc");
  const [name] = execFileSync(program, ["--version"], { encoding: "utf8" }).split(" ", 1);
  if (name !== "runc" && name !== "crun") throw new Error(`${program} is neither runc nor crun: ${name}`);
  known = name;
  return name;
}

/** How the runtime says that a program of a container, named with or without its path, is not there. */
export function saysMissing(program: string): RegExp {
  const name = program.replaceAll("/", "\\/");
  if (runtimeUnderTest() === "crun")
    return new RegExp(`executable file \`${name}\` not found.*: No such file or directory`);
  if (program.includes("/")) return new RegExp(`exec: "${name}": stat ${name}: no such file or directory`);
  return new RegExp(`exec: "${name}": executable file not found in \\$PATH`);
}

/** How it says that a program's file may not be executed. */
export function saysForbidden(program: string): RegExp {
  const name = program.replaceAll("/", "\\/");
  if (runtimeUnderTest() === "runc") return new RegExp(`exec: "${name}": permission denied`);
  // crun 1.8, and later ones.
  return new RegExp(`open executable: Permission denied|the path \`${name}\` exists but it is not executable`);
}
