// What /proc says about processes: who carries a mark, whose child is whose, memory and descriptors. Everything here
// takes a vanished process for an answer and not for an error, since processes end while one looks.

import { readdirSync, readFileSync } from "node:fs";

export interface ProcessInfo {
  readonly pid: number;
  readonly ppid: number;
  readonly state: string;
  readonly comm: string;
  readonly argv: readonly string[];
}

function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return undefined;
  }
}

/** Every pid of the machine, now. */
export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** One process, or undefined when it is gone. */
export function processInfo(pid: number): ProcessInfo | undefined {
  const stat = readProc(pid, "stat");
  if (stat === undefined) return undefined;
  // The name stands in parentheses and may hold anything, parentheses too.
  const close = stat.lastIndexOf(")");
  const fields = stat.slice(close + 2).split(" ");
  const argv = (readProc(pid, "cmdline") ?? "").split("\0").slice(0, -1);
  return {
    pid,
    ppid: Number(fields[1]),
    state: fields[0] ?? "?",
    comm: stat.slice(stat.indexOf("(") + 1, close),
    argv,
  };
}

/** Whether the process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  const info = processInfo(pid);
  return info !== undefined && info.state !== "Z" && info.state !== "X";
}

/** The processes whose environment, arguments or cgroup hold `mark`. */
export function markedProcesses(mark: string): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const pid of allPids()) {
    if (pid === process.pid) continue;
    const text = ["cmdline", "environ", "cgroup"].map((name) => readProc(pid, name) ?? "").join("\n");
    if (!text.includes(mark)) continue;
    const info = processInfo(pid);
    if (info !== undefined) found.push(info);
  }
  return found;
}

/** The direct children of `pid`, zombies too. */
export function childrenOf(pid: number): ProcessInfo[] {
  return allPids()
    .map(processInfo)
    .filter((info): info is ProcessInfo => info !== undefined && info.ppid === pid);
}

/** Number of open descriptors, -1 when the process is gone. */
export function openFdCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return -1;
  }
}

export interface MemoryUse {
  readonly rssKb: number;
  readonly pssKb: number;
  readonly anonymousKb: number;
}

/** Resident, proportional and anonymous memory in kB. @throws Error when the process is gone. */
export function memoryOf(pid: number): MemoryUse {
  const rollup = readProc(pid, "smaps_rollup");
  if (rollup === undefined || rollup === "") throw new Error(`process ${pid} is gone`);
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? "0");
  return { rssKb: field("Rss"), pssKb: field("Pss"), anonymousKb: field("Anonymous") };
}

/** oom_score_adj of a process. */
export function oomScoreAdjOf(pid: number): number {
  return Number(readProc(pid, "oom_score_adj"));
}
