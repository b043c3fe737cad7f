// The kernel's list of mounts, /proc/PID/mountinfo, as records. Reading only.

import { must } from "./error.ts";
import type { Sys } from "./sys.d.ts";

export interface MountRecord {
  /** What of the file system is mounted: its folder, or of a cgroup hierarchy the cgroup. */
  readonly root: string;
  /** Without symbolic links, as seen from the root of the reader. */
  readonly mountPoint: string;
  /** "ext4", "overlay", "fuse.sshfs". */
  readonly type: string;
  /** Options of the file system, not those of this mount. */
  readonly superOptions: readonly string[];
}

const maxBytes = 64 << 20;

/**
 * All mounts of the caller's mount namespace, in the kernel's order: of two at one place the later one covers the other.
 * @throws MoorError when procfs cannot be read.
 */
export function readMountInfo(sys: Sys, proc = "/proc"): MountRecord[] {
  const path = `${proc}/self/mountinfo`;
  const records: MountRecord[] = [];
  for (const line of must(sys.readText(path, maxBytes), `read ${path}`).split("\n")) {
    // ID PARENT DEVICE ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPEROPTIONS
    const [before = "", after = ""] = line.split(" - ", 2);
    const [, , , root, mountPoint] = before.split(" ");
    const [type, , superOptions] = after.split(" ");
    if (root === undefined || mountPoint === undefined || type === undefined) continue;
    records.push({
      root: unescapePath(root),
      mountPoint: unescapePath(mountPoint),
      type,
      superOptions: (superOptions ?? "").split(","),
    });
  }
  return records;
}

/** Space, tab, newline and backslash stand as octal numbers there. */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
