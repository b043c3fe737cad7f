// Which names containers and execs may have. They become files, sockets, cgroups and arguments of the runtime, so what
// is not a plain name is refused before anything is done with it.

import { MoorError } from "../sys/error.ts";

// containerd's own rule for identifiers, and its bound.
const pattern = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;
const longest = 76;

/**
 * @param what "container id" or "exec id", for the error.
 * @throws MoorError invalid_argument.
 */
export function checkIdentifier(what: string, id: string): void {
  if (id === "") throw new MoorError("invalid_argument", `the ${what} is empty`);
  if (id.length > longest) {
    throw new MoorError("invalid_argument", `the ${what} ${shown(id)} has ${id.length} characters, ${longest} at most`);
  }
  if (pattern.test(id)) return;
  const rule = `letters and digits, with single ".", "_" or "-" between them`;
  throw new MoorError("invalid_argument", `the ${what} ${JSON.stringify(id)} is not allowed: ${rule}`);
}

/** A name as a client sent it, for an error: one line and not long, whatever it is. */
export function shown(id: string): string {
  if (pattern.test(id) && id.length <= longest) return id;
  return JSON.stringify(id.length <= longest ? id : `${id.slice(0, 16)}...`);
}
