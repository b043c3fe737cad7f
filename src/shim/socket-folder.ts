// The folder of the shims' sockets: made for its owner alone, and locked while somebody finds out whether a socket is
// served, and puts one there or takes one away. So of two that start or delete at once, one acts and the other sees it.

import { EAGAIN, EEXIST, EINTR, ENOENT, errnoName, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { O_DIRECTORY, O_RDONLY } from "../sys/flags.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";

/** Between two tries. Who holds the lock needs it for about a millisecond. */
const pauseMs = 1;

export interface SocketFolder {
  /** Holds the lock. */
  readonly fd: Fd;
  /** Lets the next one in. Nothing happens the second time. */
  unlock(): void;
}

/**
 * Makes the folder (0700; those above it, 0711, as containerd does) where it is missing.
 * @throws MoorError with the errno.
 */
export function makeSocketFolder(sys: Sys, folder: string): void {
  const status = sys.mkdir(folder, 0o700);
  if (status === 0 || status === EEXIST) return;
  if (status !== ENOENT) must(status, `make the socket folder ${folder}`);
  for (let end = folder.indexOf("/", 1); end > 0; end = folder.indexOf("/", end + 1)) {
    const above = folder.slice(0, end);
    const made = sys.mkdir(above, 0o711);
    if (made !== EEXIST) must(made, `make the folder ${above}`);
  }
  const made = sys.mkdir(folder, 0o700);
  if (made !== EEXIST) must(made, `make the socket folder ${folder}`);
}

/**
 * Takes the folder's lock, which is the file system's (flock(2)): it also goes when its holder dies. Blocks the process
 * meanwhile, so it is for short-lived ones. A child that is forked holds it too, until it closes the fd or unlocks.
 * @throws MoorError not_found when there is no such folder; deadline_exceeded when another holds it too long.
 */
export function lockSocketFolder(sys: Sys, folder: string, patienceMs: number): SocketFolder {
  const opened = sys.open(folder, O_RDONLY | O_DIRECTORY, 0);
  const fd: Fd = must(opened, `open the socket folder ${folder}`, opened === ENOENT ? "not_found" : "unknown");
  const untilMs = sys.monotonicMs() + patienceMs;
  for (;;) {
    const status = sys.flock(fd, "exclusive");
    if (status === 0) break;
    const late = sys.monotonicMs() > untilMs;
    if ((status === EAGAIN && !late) || status === EINTR) {
      sys.sleepMs(pauseMs);
      continue;
    }
    sys.close(fd);
    if (status !== EAGAIN) throw new MoorError("unknown", `lock ${folder}: ${errnoName(status)}`, { errno: status });
    throw new MoorError("deadline_exceeded", `lock ${folder}: another start or delete holds it for ${patienceMs} ms`);
  }
  let isOpen = true;
  return {
    fd,
    unlock: () => {
      if (!isOpen) return;
      isOpen = false;
      // Not by close alone: a fork may still have its copy of the fd.
      sys.flock(fd, "unlock");
      sys.close(fd);
    },
  };
}

/**
 * Takes a socket file away that nobody serves.
 * @throws MoorError when it cannot be removed.
 */
export function removeStaleSocket(sys: Sys, path: string): void {
  const status = sys.unlink(path);
  if (status !== ENOENT && isErrno(status)) must(status, `remove the stale socket ${path}`);
}
