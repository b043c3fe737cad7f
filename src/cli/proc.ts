// The little that moor reads of other processes.

import { readFileSync, readlinkSync } from "node:fs";

/** The start time of a process (field 22 of proc(5)'s stat), which with its pid names it for good; undefined: gone. */
export function startTimeOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // It ended meanwhile.
    return undefined;
  }
  // The name in parentheses may hold anything, so the fields are counted from its end: state is field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

/** Whether the process that had this start time is still there. */
export function isStill(pid: number, startTime: string): boolean {
  return startTimeOf(pid) === startTime;
}

/** The file a process runs, "" when it is gone or not ours to see. */
export function programOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, "");
  } catch {
    return "";
  }
}
