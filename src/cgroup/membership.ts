// Where the cgroups of a process are in the file system: from /proc/PID/cgroup, which names a cgroup per hierarchy, and
// /proc/self/mountinfo, which says where each hierarchy is mounted and how much of it can be seen from here. Reads only;
// what is done with the folders is cgroup.ts's matter.

import { isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { type MountRecord, readMountInfo } from "../sys/mount-info.ts";
import type { Pid, Sys } from "../sys/sys.d.ts";

/** The folders of one container's cgroup: plain data that outlives this process image. */
export interface CgroupFolders {
  /** 2 when the controllers are in the unified hierarchy. */
  readonly version: 1 | 2;
  /** Version 1: folder by controller ("memory", "name=systemd"). Version 2: one folder, under "". */
  readonly folders: Readonly<Record<string, string>>;
}

const controllerNames =
  "blkio cpu cpuacct cpuset devices freezer hugetlb memory misc net_cls net_prio perf_event pids rdma".split(" ");

const maxMembershipBytes = 64 << 10;

/**
 * The folders of the cgroups that a process is in and the caller is not. Hierarchies in which both are in the same
 * cgroup are left out: what they say is not about the container.
 * @throws MoorError not_found when the process is gone or has no cgroup of its own.
 */
export function readMembership(sys: Sys, pid: Pid, proc: string): CgroupFolders {
  const what = `cgroup of process ${pid}`;
  const mounts = readMountInfo(sys, proc);
  // A hierarchy that has a name and no controller (systemd's) may stand beside the unified one.
  const isV1 = ({ type, superOptions }: MountRecord): boolean =>
    type === "cgroup" && superOptions.some((name) => controllerNames.includes(name));
  const version = mounts.some(isV1) ? 1 : 2;
  const theirs = must(sys.readText(`${proc}/${pid}/cgroup`, maxMembershipBytes), what, "not_found");
  const own = sys.readText(`${proc}/self/cgroup`, maxMembershipBytes);
  const ownPaths = isErrno(own) ? new Map<string, string>() : parseMembership(own);

  const folders: Record<string, string> = {};
  for (const [name, path] of parseMembership(theirs)) {
    if ((name === "") !== (version === 2) || path === "/" || path === ownPaths.get(name)) continue;
    const folder = folderOf(mounts, name, path);
    if (folder !== undefined) folders[name] = folder;
  }
  if (Object.keys(folders).length === 0) throw new MoorError("not_found", `${what}: it has none of its own`);
  return { version, folders };
}

/** Path by controller; the unified hierarchy's name is empty. A line is ID:CONTROLLERS:PATH. */
function parseMembership(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    for (const name of match?.[1]?.split(",") ?? []) paths.set(name, match?.[2] ?? "");
  }
  return paths;
}

/** The folder of a cgroup, or undefined when no mount shows it. */
function folderOf(mounts: readonly MountRecord[], name: string, path: string): string | undefined {
  for (const mount of mounts) {
    const { type, superOptions } = mount;
    if (name === "" ? type !== "cgroup2" : type !== "cgroup" || !superOptions.includes(name)) continue;
    // Outside the caller's cgroup namespace both begin with /..; inside a container without one the mount shows a part.
    const root = mount.root === "/" ? "" : mount.root;
    if (path === mount.root) return mount.mountPoint;
    if (path.startsWith(`${root}/`) && !/(^|\/)\.\.(\/|$)/.test(path.slice(root.length))) {
      return mount.mountPoint + path.slice(root.length);
    }
  }
  return undefined;
}
