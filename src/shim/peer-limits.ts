// What clients may cost the shim, all together: connections, and memory for what they send and do not take. The engine's
// heap has 64 MiB (native/host/limits.c) and the shim ends when that is full, so that none of this may be left to the
// good sense of a client.

import { isErrno } from "../sys/errno.ts";
import type { Sys } from "../sys/sys.d.ts";

/** Each idle one costs about 6 KiB; one that does its worst, 32 KiB beside what it gets of maxServerBytes. */
const mostConnections = 1024;

/** For ttrpc's server. Its defaults are for heaps without a limit. */
export const connectionLimits = {
  maxRequestBytes: 8 << 20,
  pauseBytes: 8 << 10,
  maxBacklogBytes: 4 << 20,
  maxServerBytes: 16 << 20,
} as const;

/** How many connections may be open: half of the fds that the process may have, as containers need some too. */
export function connectionLimit(sys: Sys): number {
  const text = sys.readText("/proc/self/limits", 8192);
  const soft = isErrno(text) ? undefined : /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return soft === undefined ? mostConnections : Math.min(mostConnections, Math.floor(Number(soft) / 2));
}
