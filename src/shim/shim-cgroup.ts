// The option shim_cgroup: the shim moves into a cgroup that the operator has made. Loaded only where it is set.

import { isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { readMountInfo } from "../sys/mount-info.ts";
import type { Sys } from "../sys/sys.d.ts";

/**
 * Moves this process into the cgroup, in each hierarchy in which it is there.
 * @throws MoorError not_found when no hierarchy has it; with the errno when the kernel refuses.
 */
export function joinCgroup(sys: Sys, cgroup: string): void {
  const path = cgroup.startsWith("/") ? cgroup : `/${cgroup}`;
  let joined = 0;
  for (const { type, root, mountPoint } of readMountInfo(sys)) {
    if ((type !== "cgroup" && type !== "cgroup2") || root !== "/") continue;
    const folder = `${mountPoint}${path}`;
    if (isErrno(sys.stat(folder))) continue;
    must(sys.writeText(`${folder}/cgroup.procs`, String(sys.getpid()), 0, 0), `join the cgroup ${folder}`);
    joined++;
  }
  if (joined === 0) throw new MoorError("not_found", `shim_cgroup: there is no cgroup ${cgroup}`);
}
