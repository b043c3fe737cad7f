// What the kernel says about a shim's process: memory, processor time, how often it ran, threads, descriptors.

import { readdirSync, readFileSync } from "node:fs";
import { openFdCount } from "../test/harness/processes.ts";
import { until } from "../test/harness/until.ts";

/** A shim counts as idle when its memory has stood still for so long. */
const stillMs = 2_500;
const stillWithinMs = 60_000;

/** Kilobytes of a process, as the kernel adds them up over its mappings. */
export function memoryOf(pid: number): { readonly rss: number; readonly pss: number; readonly privateDirty: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]);
  return { rss: field("Rss"), pss: field("Pss"), privateDirty: field("Private_Dirty") };
}

/** Waits until the memory of all these processes has stood still for a while. */
export async function untilStill(pids: readonly number[]): Promise<void> {
  let last = "";
  let since = performance.now();
  await until("the shims' memory to stand still", stillWithinMs, () => {
    const now = pids.map((pid) => readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]).join(" ");
    if (now !== last) since = performance.now();
    last = now;
    return performance.now() - since > stillMs;
  });
}

/** Processor time of a process and all its threads that live, in nanoseconds. */
export function cpuTimeOf(pid: number): number {
  return activityOf(pid).cpuNs;
}

export interface Activity {
  /** Processor time of all threads, in nanoseconds. */
  readonly cpuNs: number;
  /** How often the kernel has put one of its threads on a processor. */
  readonly switches: number;
  readonly threads: number;
  readonly fds: number;
}

export function activityOf(pid: number): Activity {
  const threads = readdirSync(`/proc/${pid}/task`);
  let cpuNs = 0;
  let switches = 0;
  for (const thread of threads) {
    // schedstat: time on the processor, time of waiting for it, number of turns.
    const [time, , turns] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ").map(Number);
    cpuNs += time as number;
    switches += turns as number;
  }
  return { cpuNs, switches, threads: threads.length, fds: openFdCount(pid) };
}
