// What a process has open, and who has the other ends of its pipes and FIFOs: read from /proc, so that it needs nobody's
// answer.

import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { allPids, figuresOf } from "./proc-figures.ts";

export interface OpenFile {
  readonly fd: number;
  /** As /proc names it: a path, pipe:[N], socket:[N], anon_inode:[eventpoll]. */
  readonly target: string;
  readonly kind: "fifo" | "pipe" | "socket" | "file" | "other";
  readonly mode: "r" | "w" | "rw";
  /** Of a pipe or FIFO: everybody else who has it open. */
  readonly peers: readonly Peer[];
}

export interface Peer {
  readonly pid: number;
  readonly name: string;
  readonly fd: number;
  readonly mode: "r" | "w" | "rw";
}

/** The open files of a process, by fd; none when it is gone or not ours to see. */
export function openFilesOf(pid: number): OpenFile[] {
  const own = linksOf(pid);
  const wanted = new Set(own.filter(({ fd, target }) => isPipe(pid, fd, target)).map(({ target }) => target));
  const peers = new Map<string, Peer[]>();
  if (wanted.size > 0) {
    for (const other of allPids()) {
      if (other !== pid) findPeers(other, wanted, peers);
    }
  }
  return own.map(({ fd, target }) => {
    const kind = kindOf(pid, fd, target);
    return { fd, target, kind, mode: modeOf(pid, fd), peers: wanted.has(target) ? (peers.get(target) ?? []) : [] };
  });
}

function findPeers(pid: number, wanted: ReadonlySet<string>, peers: Map<string, Peer[]>): void {
  for (const { fd, target } of linksOf(pid)) {
    if (!wanted.has(target)) continue;
    const known = peers.get(target) ?? [];
    known.push({ pid, name: figuresOf(pid)?.name ?? "", fd, mode: modeOf(pid, fd) });
    peers.set(target, known);
  }
}

function kindOf(pid: number, fd: number, target: string): OpenFile["kind"] {
  if (target.startsWith("pipe:")) return "pipe";
  if (target.startsWith("socket:")) return "socket";
  if (!target.startsWith("/")) return "other";
  return isPipe(pid, fd, target) ? "fifo" : "file";
}

function isPipe(pid: number, fd: number, target: string): boolean {
  if (target.startsWith("pipe:")) return true;
  if (!target.startsWith("/")) return false;
  try {
    return statSync(`/proc/${pid}/fd/${fd}`).isFIFO();
  } catch {
    return false;
  }
}

/** Access mode by fdinfo's flags (octal), as open(2) has them. */
function modeOf(pid: number, fd: number): OpenFile["mode"] {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
    return (["r", "w", "rw", "rw"] as const)[Number.parseInt(flags, 8) & 3] ?? "rw";
  } catch {
    return "rw";
  }
}

function linksOf(pid: number): { fd: number; target: string }[] {
  const dir = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch {
    return [];
  }
  return names
    .map((name) => {
      try {
        return { fd: Number(name), target: readlinkSync(`${dir}/${name}`) };
      } catch {
        return undefined;
      }
    })
    .filter((each) => each !== undefined)
    .sort((a, b) => a.fd - b.fd);
}
