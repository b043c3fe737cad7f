// Notice of the kernel's out-of-memory killer in one cgroup. Version 1 signals an eventfd that was registered in
// cgroup.event_control, and signals it once more when the cgroup goes; version 2 changes the file memory.events, which
// inotify tells of. A watch owns one fd, and is looked at once more (check) before an exit that it may explain is told.

import { isErrno } from "../sys/errno.ts";
import { must } from "../sys/error.ts";
import { F_OK, IN_MODIFY, O_RDONLY, POLLIN } from "../sys/flags.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";
import { tryReadCounts } from "./values.ts";

/** A running watch. Both calls may come at any time and any number of times. */
export interface OomWatch {
  /** Looks now; the callback runs from within when something has happened since the last look. */
  check(): void;
  /** Ends the watch. */
  stop(): void;
  /** Plain data by which another image of the program goes on; undefined when it is over. */
  keep(): KeptOomWatch | undefined;
}

/** A watch that has been set up. */
export interface KeptOomWatch {
  readonly fd: Fd;
  /** Kills that have been told; of version 2. */
  readonly seen: string;
}

/**
 * Watches a cgroup of version 1 through its memory controller's folder.
 * @throws MoorError when the kernel refuses.
 */
export function watchOomV1(sys: Sys, folder: string, onOom: () => void, resumed?: KeptOomWatch): OomWatch {
  const eventFd = resumed?.fd ?? must(sys.eventfd(), `watch ${folder} for out of memory`);
  const controlPath = `${folder}/memory.oom_control`;
  try {
    if (resumed === undefined) register(sys, folder, controlPath, eventFd);
  } catch (thrown) {
    sys.close(eventFd);
    throw thrown;
  }
  const counter = new Uint8Array(8);
  return watchFd(sys, eventFd, () => {
    const bytes = sys.read(eventFd, counter, 0, counter.length);
    if (isErrno(bytes)) return true;
    // The last signal says that the cgroup is gone, and nothing else.
    if (isErrno(sys.access(controlPath, F_OK))) return false;
    onOom();
    return true;
  });
}

/** Ties the eventfd to the cgroup; the control file's fd is needed only for the call. */
function register(sys: Sys, folder: string, controlPath: string, eventFd: Fd): void {
  const controlFd = must(sys.open(controlPath, O_RDONLY, 0), `open ${controlPath}`);
  const path = `${folder}/cgroup.event_control`;
  const status = sys.writeText(path, `${eventFd} ${controlFd}`, 0, 0);
  sys.close(controlFd);
  must(status, `write ${path}`);
}

/**
 * Watches a cgroup of version 2. Kills in its subtree count too; one call of `onOom` may stand for several kills.
 * @throws MoorError when the kernel refuses, or the memory controller is off.
 */
export function watchOomV2(sys: Sys, folder: string, onOom: () => void, resumed?: KeptOomWatch): OomWatch {
  const what = `watch ${folder} for out of memory`;
  const inotifyFd = resumed?.fd ?? must(sys.inotifyCreate(), what);
  const eventsPath = `${folder}/memory.events`;
  const watch = resumed === undefined ? sys.inotifyAdd(inotifyFd, eventsPath, IN_MODIFY) : 0;
  if (isErrno(watch)) {
    sys.close(inotifyFd);
    must(watch, what);
  }
  let seenKills = BigInt(resumed?.seen ?? 0);
  const events = new Uint8Array(512);
  const look = (): boolean => {
    let bytes = sys.read(inotifyFd, events, 0, events.length);
    while (!isErrno(bytes) && bytes > 0) bytes = sys.read(inotifyFd, events, 0, events.length);
    const counts = tryReadCounts(sys, eventsPath);
    if (counts === undefined) return false;
    const kills = counts("oom_kill");
    if (kills > seenKills) {
      seenKills = kills;
      onOom();
    }
    return true;
  };
  return watchFd(sys, inotifyFd, look, () => String(seenKills));
}

/** Polls the fd, which it owns from now on, and calls `look` when it is readable; false from `look` ends it. */
function watchFd(sys: Sys, takeFd: Fd, look: () => boolean, seen: () => string = () => "0"): OomWatch {
  let open = true;
  const stop = (): void => {
    if (!open) return;
    open = false;
    sys.pollStop(takeFd);
    sys.close(takeFd);
  };
  const check = (): void => {
    if (open && !look()) stop();
  };
  const status = sys.pollStart(takeFd, POLLIN, check);
  if (isErrno(status)) {
    sys.close(takeFd);
    must(status, "poll an out-of-memory watch");
  }
  return { check, stop, keep: () => (open ? { fd: takeFd, seen: seen() } : undefined) };
}
