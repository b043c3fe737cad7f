// The shim behind a container: its pid, found from the kernel's view alone, so that the tests can look at it, kill it,
// and count what it holds.

import { memoryOf, openFdCount, processInfo } from "./processes.ts";
import { shimFileName } from "./repository.ts";

/** The shim's pid: init's parent, as the shim is its subreaper. @throws Error when init is gone or has another parent. */
export function shimPidOf(initPid: number): number {
  const parent = processInfo(processInfo(initPid)?.ppid ?? 0);
  // The kernel keeps 15 characters of a name.
  const isShim =
    parent?.argv.some((word) => word.includes(shimFileName())) || parent?.comm === shimFileName().slice(0, 15);
  if (parent === undefined || isShim !== true) {
    throw new Error(`the parent of ${initPid} is no shim: ${JSON.stringify(parent)}`);
  }
  return parent.pid;
}

/** What a shim holds, for comparing before and after. */
export function shimFootprint(pid: number): { fds: number; rssKb: number; anonymousKb: number } {
  const { rssKb, anonymousKb } = memoryOf(pid);
  return { fds: openFdCount(pid), rssKb, anonymousKb };
}
