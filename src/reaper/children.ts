// The kernel's own list of this process's children, zombies included: the way to those behind the first zombie, which
// hides them from waitid.

import { isErrno } from "../sys/errno.ts";
import type { Pid, Sys } from "../sys/sys.d.ts";

const tasksFolder = "/proc/self/task";
/** A pid and a space for each of some hundred thousand children. */
const maxListBytes = 4 << 20;

/**
 * The pids of all children, of each thread's: a child belongs to the thread that made it, an adopted one to any. A child
 * that changes hands during the read may be missing; empty where the kernel has no such list (CONFIG_PROC_CHILDREN) or
 * procfs is not there.
 */
export function readChildren(sys: Sys): readonly Pid[] {
  const tasks = sys.readdir(tasksFolder);
  if (isErrno(tasks)) return [];
  const pids: Pid[] = [];
  for (const [task] of tasks) {
    const text = sys.readText(`${tasksFolder}/${task}/children`, maxListBytes);
    if (isErrno(text)) continue;
    for (const word of text.split(" ")) {
      const pid = Number.parseInt(word, 10);
      if (pid > 0) pids.push(pid as Pid);
    }
  }
  return pids;
}
