// Taking mounts away: everything mounted at or below a path, whoever mounted it, deepest first, and patient with what is
// still busy.

import { EBUSY, EINVAL, ENOENT, isErrno } from "../sys/errno.ts";
import { must } from "../sys/error.ts";
import { O_DIRECTORY, O_PATH } from "../sys/flags.ts";
import { readMountInfo } from "../sys/mount-info.ts";
import type { Sys } from "../sys/sys.d.ts";

export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

/** A process that has just been killed lets go of its mounts within this time, unless it is stuck. */
const busyTries = 50;
const busyPauseMs = 50;
/** Mounts that others stack on meanwhile are not followed for ever. */
const maxRounds = 16;

/**
 * Unmounts all that is mounted at `path` (absolute) and below. What stays busy for 2.5 seconds is detached: it is out of
 * sight at once, and gone when its last user is. A path that does not exist, or where nothing is mounted, is fine.
 * @returns mount points that had to be detached.
 * @throws MoorError when the kernel refuses for another reason.
 */
export async function unmountAll(sys: Sys, path: string): Promise<string[]> {
  const top = realPathOfParent(sys, path);
  if (top === undefined) return [];
  const detached: string[] = [];
  for (let round = 0; round < maxRounds; round++) {
    const points = readMountInfo(sys)
      .map(({ mountPoint }) => mountPoint)
      .filter((point) => point === top || point.startsWith(`${top}/`));
    if (points.length === 0) return detached;
    // The later of two at one place covers the other; below comes before above. (The sort keeps the order of equals.)
    points.reverse().sort((a, b) => b.split("/").length - a.split("/").length);
    for (const point of points) if (await unmountOne(sys, point)) detached.push(point);
  }
  must(EBUSY, `unmount ${path}: new mounts keep coming`);
  return detached;
}

/** Whether it had to be detached. */
async function unmountOne(sys: Sys, point: string): Promise<boolean> {
  for (let tries = 0; tries < busyTries; tries++) {
    const status = sys.umount(point, UMOUNT_NOFOLLOW);
    // EINVAL, ENOENT: it went with one of the others (shared mounts do).
    if (status === 0 || status === EINVAL || status === ENOENT) return false;
    if (status !== EBUSY) must(status, `unmount ${point}`);
    await new Promise<void>((resolve) => void sys.timerStart(busyPauseMs, resolve));
  }
  const status = sys.umount(point, UMOUNT_NOFOLLOW | MNT_DETACH);
  if (status !== EINVAL && status !== ENOENT) must(status, `detach ${point}`);
  return status === 0;
}

/**
 * The path as mountinfo shows it. Links are followed in the folder above only: what is mounted at the path itself may be
 * a dead file system that nobody should touch. Undefined when that folder does not exist.
 */
function realPathOfParent(sys: Sys, path: string): string | undefined {
  const end = path.replace(/\/+$/, "");
  const slash = end.lastIndexOf("/");
  const fd = sys.open(end.slice(0, slash) || "/", O_PATH | O_DIRECTORY, 0);
  if (isErrno(fd)) {
    if (fd !== ENOENT) must(fd, `open the folder of ${path}`);
    return undefined;
  }
  const parent = sys.readlink(`/proc/self/fd/${fd}`);
  sys.close(fd);
  return `${must(parent, `find ${path}`).replace(/\/$/, "")}${end.slice(slash)}`;
}
