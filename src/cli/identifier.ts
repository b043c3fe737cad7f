// Names of containers: what may be one, how a new one is made up, and how a unique prefix stands for the whole.

import { randomBytes } from "node:crypto";
import { CliError } from "./cli-error.ts";

/** Length of an id made up, and of what a table shows of containerd's 64 hexadecimal digits. */
export const shortIdLength = 12;
// containerd's own rule (pkg/identifiers): the name becomes a folder and a cgroup.
const pattern = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;
const longest = 76;

/** A fresh id, 12 hexadecimal digits. */
export function newIdentifier(): string {
  return randomBytes(shortIdLength / 2).toString("hex");
}

/** @throws CliError usage when containerd would refuse the name. */
export function checkIdentifier(what: string, name: string): void {
  if (name.length <= longest && pattern.test(name)) return;
  const rule = `letters and digits, with single ".", "_" or "-" between them, ${longest} characters at most`;
  throw new CliError(`${what} ${JSON.stringify(name)} is not allowed: ${rule}`, "usage");
}

export interface Named {
  readonly id: string;
  readonly namespace: string;
}

/**
 * The one container that `word` names: by its whole id, or by the beginning of one.
 * @throws CliError when there is none, or more than one.
 */
export function resolveIdentifier<C extends Named>(word: string, containers: readonly C[]): C {
  if (word === "") throw new CliError("an empty id names no container", "usage");
  const exact = containers.filter((container) => container.id === word);
  const found = exact.length > 0 ? exact : containers.filter((container) => container.id.startsWith(word));
  const [first] = found;
  if (first === undefined) throw new CliError(`no container is called ${word}`);
  if (found.length === 1) return first;
  const names = found.map((container) => `${container.namespace}/${container.id}`).sort();
  const shown = names.length > 5 ? [...names.slice(0, 5), `${names.length - 5} more`] : names;
  const way = exact.length > 1 ? "say which with -n" : "say more of it";
  throw new CliError(`${word} can mean ${shown.join(", ")}: ${way}`);
}

/** What a table shows of an id: containerd's long hexadecimal ones are cut, names that people gave are not. */
export function shortIdentifier(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, shortIdLength) : id;
}
