// The shims that run on this machine, found as processes and by their sockets, without asking any of them.

import { basename } from "node:path";
import { programOf } from "./proc.ts";
import { ageSecondsOf, allPids, textOfFile, wordsOf } from "./proc-figures.ts";

export interface ShimProcess {
  readonly pid: number;
  readonly program: string;
  /** Of the container it was started for; it may serve others, too. */
  readonly namespace: string;
  readonly id: string;
  /** The daemon's socket, or moor's own root, as it was told. */
  readonly address: string;
}

/** What is younger may be a call of `start`, which is about to end and serves nobody. */
const longestStartSeconds = 1;

/** Every process that was started as a containerd shim, whoever's. */
export function listShimProcesses(): ShimProcess[] {
  return allPids().flatMap((pid) => {
    // The kernel's name has 15 bytes: most processes are passed over by it.
    const name = textOfFile(`/proc/${pid}/comm`)?.trim() ?? "";
    if (!name.startsWith("containerd-shim")) return [];
    const words = wordsOf(pid) ?? [];
    const flag = (wanted: string): string => {
      const at = words.findIndex((word) => word === `-${wanted}` || word === `--${wanted}`);
      return at < 0 ? "" : (words[at + 1] ?? "");
    };
    // Moor's own shim serves under the words of its `start`, so that a start under way is told apart by its age.
    if (words.length === 0 || words.at(-1) === "delete") return [];
    if (words.at(-1) === "start" && ageSecondsOf(pid) < longestStartSeconds) return [];
    const shim = {
      pid,
      program: programOf(pid),
      namespace: flag("namespace"),
      id: flag("id"),
      address: flag("address"),
    };
    return shim.id === "" ? [] : [shim];
  });
}

/** What kind of shim a program is, by its file's name: "moor", "runc", "kata" and the like. */
export function kindOf(program: string): string {
  return /^containerd-shim-(.+?)(?:-v\d+)?$/.exec(basename(program))?.[1] ?? basename(program);
}

/** The path in a shim's address, as /proc/net/unix has it. */
export function socketPathOf(address: string): string {
  return address.replace(/^unix:\/\//, "");
}

export interface UnixSockets {
  /** How many connections are open to the socket of this path. */
  readonly connections: ReadonlyMap<string, number>;
  readonly listening: ReadonlySet<string>;
}

/** The unix sockets of this machine, by path. Moor's own connections count while they are open. */
export function readUnixSockets(): UnixSockets {
  const connections = new Map<string, number>();
  const listening = new Set<string>();
  const listens = 0x10000;
  for (const line of (textOfFile("/proc/net/unix") ?? "").split("\n").slice(1)) {
    // Num RefCount Protocol Flags Type St Inode Path: see net/unix/af_unix.c of the kernel, unix_seq_show.
    const [, , , flags = "", , state = "", , path] = line.split(/\s+/);
    if (path === undefined || path === "") continue;
    if ((Number.parseInt(flags, 16) & listens) !== 0) listening.add(path);
    else if (state === "03") connections.set(path, (connections.get(path) ?? 0) + 1);
  }
  return { connections, listening };
}
