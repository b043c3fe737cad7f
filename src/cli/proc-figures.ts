// Figures of processes, read from proc(5): names, times, memory. Each is undefined when the process has gone meanwhile.

import { readFileSync, readdirSync } from "node:fs";

/** Of a process's times; the kernel's USER_HZ, which is 100 on every Linux that runs containers. */
const ticksPerSecond = 100;
const kib = 1024;

export interface ProcessFigures {
  readonly pid: number;
  readonly parent: number;
  /** The name in /proc/PID/stat, at most 15 bytes. */
  readonly name: string;
  /** A letter: R, S, D, Z, T and so on. */
  readonly state: string;
  readonly threads: number;
  /** Seconds of processor time, of its own threads. */
  readonly cpuSeconds: number;
  /** Clock ticks after boot. */
  readonly startTicks: number;
}

/** The figures of /proc/PID/stat. */
export function figuresOf(pid: number): ProcessFigures | undefined {
  const stat = textOfFile(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const open = stat.indexOf("(");
  const close = stat.lastIndexOf(")");
  // Counted from the end of the name, which may hold anything; state is field 3 of proc(5).
  const fields = stat.slice(close + 2).split(" ");
  const number = (field: number): number => Number(fields[field - 3]);
  return {
    pid,
    parent: number(4),
    name: stat.slice(open + 1, close),
    state: fields[0] ?? "?",
    threads: number(20),
    cpuSeconds: (number(14) + number(15)) / ticksPerSecond,
    startTicks: number(22),
  };
}

/** When the process began, RFC 3339 with tenths of a second: as exact as the kernel tells. */
export function startedAt(pid: number): string | undefined {
  const ticks = figuresOf(pid)?.startTicks;
  const boot = /^btime (\d+)$/m.exec(textOfFile("/proc/stat") ?? "")?.[1];
  if (ticks === undefined || boot === undefined) return undefined;
  const ms = Number(boot) * 1000 + Math.round((ticks * 10) / ticksPerSecond) * 100;
  return new Date(ms).toISOString().replace(/\d\dZ$/, "Z");
}

/** How long a process has been there, in seconds; 0 when it has gone. */
export function ageSecondsOf(pid: number): number {
  const ticks = figuresOf(pid)?.startTicks;
  const uptime = Number((textOfFile("/proc/uptime") ?? "").split(" ")[0]);
  return ticks === undefined ? 0 : uptime - ticks / ticksPerSecond;
}

/** The process's share of memory in bytes: its own pages, and of those it shares its part (Pss). */
export function memoryOf(pid: number): number | undefined {
  const pss = /^Pss:\s+(\d+) kB$/m.exec(textOfFile(`/proc/${pid}/smaps_rollup`) ?? "")?.[1];
  return pss === undefined ? undefined : Number(pss) * kib;
}

/** Bytes of the process's pages that are in memory (VmRSS); 0 for a zombie, which has none. */
export function residentOf(pid: number): number | undefined {
  const status = textOfFile(`/proc/${pid}/status`);
  if (status === undefined) return undefined;
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * kib;
}

/** The user the process runs as: the effective one, as the host numbers it. */
export function userOf(pid: number): number | undefined {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(textOfFile(`/proc/${pid}/status`) ?? "")?.[1];
  return uid === undefined ? undefined : Number(uid);
}

/** The words it was started with; a kernel thread and a zombie have none. */
export function wordsOf(pid: number): string[] | undefined {
  return textOfFile(`/proc/${pid}/cmdline`)?.split("\0").slice(0, -1);
}

/** The cgroup lines of a process (proc(5)), "hierarchy:controllers:path" each. */
export function cgroupLinesOf(pid: number): string[] {
  return (textOfFile(`/proc/${pid}/cgroup`) ?? "").split("\n").filter((line) => line !== "");
}

/** Every process there is. */
export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The text of a file that may go away, or not be ours to read, at any time. */
export function textOfFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It ended meanwhile, or is another user's.
    return undefined;
  }
}
