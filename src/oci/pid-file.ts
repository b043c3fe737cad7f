// The file in which a runtime leaves the pid of the process it has made (--pid-file): a decimal number, complete as
// soon as the file has its name, since runtimes write it aside and rename it.

import { ENOENT, errnoName, isErrno } from "../sys/errno.ts";
import { MoorError } from "../sys/error.ts";
import type { Pid, Sys } from "../sys/sys.d.ts";

/**
 * The pid in this file. It is only worth something as long as its process has not been reaped: claim it at once.
 * @throws MoorError internal: no file, or no pid in it.
 */
export function readPidFile(sys: Sys, path: string): Pid {
  const text = sys.readText(path, 64);
  if (isErrno(text)) throw new MoorError("internal", `read the pid file ${path}: ${errnoName(text)}`, { errno: text });
  const pid = Number(text.trim());
  if (!/^\d+\s*$/.test(text) || pid < 1 || pid > 0x7fff_ffff) {
    throw new MoorError("internal", `the pid file ${path} holds no pid but ${JSON.stringify(text)}`);
  }
  return pid as Pid;
}

/**
 * Takes a pid file of an earlier process away, so that its pid is never taken for the new one's.
 * @throws MoorError when that fails.
 */
export function removePidFile(sys: Sys, path: string): void {
  const status = sys.unlink(path);
  if (status !== 0 && status !== ENOENT) {
    throw new MoorError("unknown", `remove the pid file ${path}: ${errnoName(status)}`, { errno: status });
  }
}
