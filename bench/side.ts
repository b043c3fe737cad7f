// The shims that are compared. Each program is a copy of the bench's own, so that it shares no page of memory with shims
// that run on the machine for other reasons.

import { closeSync, copyFileSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "../test/harness/command.ts";

/** The stock shim of this machine's containerd, and that of a newer one. */
export type StockName = "older" | "newer";
export type SideName = "moor" | StockName;
/** conmon is no containerd shim: it stands beside the others where only memory is looked at. */
export type ColumnName = SideName | "conmon";

export interface Side {
  readonly name: SideName;
  /** As people call it: "Moor", "stock 1.6". */
  readonly title: string;
  readonly program: string;
}

/** Copies a shim's program into `dir` and asks it for its version. */
export async function copySide(name: SideName, program: string, dir: string): Promise<Side> {
  const copy = copyProgram(program, join(dir, name));
  if (name === "moor") return { name, title: "Moor", program: copy };
  const { stdout } = await run([copy, "-v"]);
  return { name, title: `stock ${/Version:\s+(\d+\.\d+)/.exec(stdout)?.[1] ?? "?"}`, program: copy };
}

/** Copies a program into the new folder `folder`, down to the disk. */
export function copyProgram(program: string, folder: string): string {
  mkdirSync(folder);
  const copy = join(folder, basename(program));
  copyFileSync(program, copy);
  // Pages that wait to be written to disk would be counted as private and dirty.
  const fd = openSync(copy, "r");
  fsyncSync(fd);
  closeSync(fd);
  return copy;
}
