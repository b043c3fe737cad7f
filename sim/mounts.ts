// The mounts of a simulated machine, in the kernel's order: its cgroup hierarchies, and what the shim mounts and unmounts.

import { EBUSY, EINVAL, ENOENT } from "../src/sys/errno.ts";
import type { Status } from "../src/sys/sys.d.ts";
import { controllers } from "./container.ts";
import type { Files } from "./files.ts";

const MS_REMOUNT = 32;
const MNT_DETACH = 2;

export class Mounts {
  /** Mount points of what the shim has mounted. */
  readonly points: string[] = [];
  /** The next that is to be unmounted, and so many tries after it, is busy. */
  busyTries = 0;
  readonly #cgroups: string;

  constructor(cgroupVersion: 1 | 2) {
    this.#cgroups =
      cgroupVersion === 2
        ? "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
        : controllers
            .map((name, index) => `3${index} 20 0:2${index} / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,${name}\n`)
            .join("");
  }

  /** As /proc/self/mountinfo. */
  text(): string {
    return (
      this.#cgroups + this.points.map((point, index) => `${50 + index} 20 0:50 / ${point} rw - tmpfs x rw\n`).join("")
    );
  }

  mount(files: Files, target: string, type: string, flags: number): Status {
    if (files.get(target)?.kind !== "folder") return ENOENT;
    // Without a type it changes a mount that is there.
    if (type === "" || (flags & MS_REMOUNT) !== 0) return this.points.includes(target) ? 0 : EINVAL;
    this.points.push(target);
    return 0;
  }

  umount(target: string, flags: number): Status {
    const at = this.points.lastIndexOf(target);
    if (at < 0) return EINVAL;
    if ((flags & MNT_DETACH) === 0 && this.busyTries > 0) {
      this.busyTries--;
      return EBUSY;
    }
    this.points.splice(at, 1);
    return 0;
  }
}
