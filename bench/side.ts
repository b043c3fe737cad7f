// One of the shims that are compared: its program is a copy of the bench's own, so that it shares no page of memory with
// shims that run on the machine for other reasons.

import { closeSync, copyFileSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { basename, join } from "node:path";

/** In every table the stock shim is what Moor is compared with. */
export type SideName = "moor" | "stock";

export interface Side {
  readonly name: SideName;
  readonly program: string;
}

/** Copies a program into `dir`. */
export function copySide(name: SideName, program: string, dir: string): Side {
  const folder = join(dir, name);
  mkdirSync(folder);
  const copy = join(folder, basename(program));
  copyFileSync(program, copy);
  // Pages that wait to be written to disk would be counted as private and dirty.
  const fd = openSync(copy, "r");
  fsyncSync(fd);
  closeSync(fd);
  return { name, program: copy };
}
