// Which processes a container has, as Pids tells them.

import type { Cgroup } from "../cgroup/cgroup.ts";
import type { Pid } from "../sys/sys.d.ts";
import type { Process } from "./process.ts";

export interface ProcessInfo {
  readonly pid: Pid;
  /** "" for what is no exec of ours. */
  readonly execId: string;
}

/**
 * All processes in the container's cgroup and those below it. Of a stopped container it is the init, although that is
 * gone: containerd 1.7 and later take a shim with an empty list for a leaked one and throw the exit away with it.
 */
export function listProcesses(
  cgroup: Cgroup | undefined,
  init: Process,
  execs: Iterable<Process>,
): readonly ProcessInfo[] {
  const ids = new Map<Pid, string>();
  for (const { data } of execs) ids.set(data.pid, data.execId);
  const { state, pid } = init.data;
  const over = state === "stopped" || state === "deleting";
  const found = over ? [] : (cgroup?.pids() ?? []);
  if (found.length === 0) return pid === 0 ? [] : [{ pid, execId: "" }];
  return found.map((each) => ({ pid: each, execId: ids.get(each) ?? "" }));
}
