// The mounts that a daemon asks for in front of a container: its root file system, layer upon layer as an overlay or as
// a bind of a folder, and mounts inside it. All of them are made, or none.

import type { Reaper } from "../reaper/reaper.ts";
import { EEXIST, isErrno } from "../sys/errno.ts";
import { MoorError, must } from "../sys/error.ts";
import { O_DIRECTORY, O_PATH } from "../sys/flags.ts";
import type { Fd, Status, Sys } from "../sys/sys.d.ts";
import { fuseHelperOf, mountByHelper } from "./fuse-helper.ts";
import { openUserNamespace } from "./id-maps.ts";
import { commonFolder, lowerDirs, relativeTo, withLowerDirs } from "./layers.ts";
import {
  MS_BIND,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_REMOUNT,
  type MountOptions,
  parseMountOptions,
  perMountFlags,
} from "./options.ts";
import { MountTarget } from "./target.ts";
import { MNT_DETACH, UMOUNT_NOFOLLOW } from "./unmount.ts";

/** As containerd.types.Mount has it. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  /** Inside the root file system; empty for the root file system itself. */
  readonly target: string;
  readonly options: readonly string[];
}

/** mount(2) takes one page of options; a little is left for what the kernel adds. */
const maxDataBytes = 4096 - 512;
/** What of the options an error shows. */
const maxShownData = 200;

/** Flags as statfs(2) tells them, and what each is for mount(2). */
const statfsFlags: readonly (readonly [inStatfs: number, inMount: number])[] = [
  [1, MS_RDONLY],
  [2, MS_NOSUID],
  [4, MS_NODEV],
  [8, MS_NOEXEC],
  [1024, MS_NOATIME],
  [2048, MS_NODIRATIME],
  [4096, MS_RELATIME],
  [8192, MS_NOSYMFOLLOW],
];

/**
 * Mounts all of `mounts`, in order, at or inside the folder `rootfs` (an absolute path; made when it is missing). When
 * one fails, those before it are unmounted again.
 * @param spawner starts the helper of a FUSE mount.
 * @throws MoorError that names the mount and the cause; invalid_argument for options that make no sense.
 */
export async function mountAll(
  sys: Sys,
  mounts: readonly Mount[],
  rootfs: string,
  spawner: Pick<Reaper, "spawn">,
): Promise<void> {
  if (mounts.length === 0) return;
  const made = sys.mkdir(rootfs, 0o711);
  if (made !== EEXIST) must(made, `make ${rootfs}`);
  const done: string[] = [];
  try {
    for (const mount of mounts) await mountOne(sys, mount, new MountTarget(sys, rootfs, mount.target), spawner, done);
  } catch (thrown) {
    for (const path of done.reverse()) {
      // Nothing runs in it yet. What looked at it meanwhile (an indexer) must not keep it.
      if (isErrno(sys.umount(path, UMOUNT_NOFOLLOW))) sys.umount(path, UMOUNT_NOFOLLOW | MNT_DETACH);
    }
    throw thrown;
  }
}

async function mountOne(
  sys: Sys,
  mount: Mount,
  target: MountTarget,
  spawner: Pick<Reaper, "spawn">,
  done: string[],
): Promise<void> {
  const helper = fuseHelperOf(mount.type);
  const path = target.realPath();
  if (helper !== undefined) {
    await mountByHelper(sys, spawner, helper, mount, path);
    done.push(path);
    return;
  }
  const options = parseMountOptions(mount.options);
  const namespaceFd = options.idMaps === undefined ? undefined : openUserNamespace(sys, options.idMaps);
  try {
    placeMount(sys, mount, options, target, namespaceFd, () => done.push(path));
  } finally {
    if (namespaceFd !== undefined) sys.close(namespaceFd);
  }
}

/** The calls for one mount of the kernel's own file systems; `placed` is called as soon as there is something to undo. */
function placeMount(
  sys: Sys,
  mount: Mount,
  options: MountOptions,
  target: MountTarget,
  namespaceFd: Fd | undefined,
  placed: () => void,
): void {
  const isBind = (options.flags & MS_BIND) !== 0;
  const what = `mount ${mount.type} ${mount.source} at ${target.name}`;
  if (mount.type === "overlay" && namespaceFd !== undefined) {
    mountOverlayOnMapped(sys, mount, options, target, namespaceFd);
    placed();
  } else if (isBind && namespaceFd !== undefined) {
    const recursive = (options.flags & MS_REC) !== 0;
    must(
      target.use((path) => sys.mountIdmapped(mount.source, path, namespaceFd, recursive)),
      `${what}, ids mapped`,
    );
    placed();
  } else {
    mountPlain(sys, mount, options, target);
    placed();
    if (namespaceFd !== undefined) {
      must(
        target.use((path) => sys.mountIdmapped(path, path, namespaceFd, false)),
        `${what}, ids mapped`,
      );
      placed();
    }
  }
  for (const kind of options.propagation) {
    must(
      target.use((path) => sys.mount("", path, "", kind, "")),
      `${what}: set its propagation`,
    );
  }
  if (isBind && (options.flags & MS_REMOUNT) === 0) {
    must(
      target.use((path) => setBindFlags(sys, path, options)),
      `${what}: set its flags`,
    );
  }
}

/**
 * A bind mount has its source's flags until it is mounted anew with its own. Those it has stay unless an option takes one
 * away: in a user namespace they are locked.
 */
function setBindFlags(sys: Sys, path: string, { flags, cleared }: MountOptions): Status {
  const wanted = flags & perMountFlags;
  if (wanted === 0 && (cleared & perMountFlags) === 0) return 0;
  const statfs = sys.fsFlags(path);
  if (isErrno(statfs)) return statfs;
  let has = 0;
  for (const [inStatfs, inMount] of statfsFlags) if ((statfs & inStatfs) !== 0) has |= inMount;
  const next = wanted | (has & ~cleared);
  return next === has ? 0 : sys.mount("", path, "", MS_REMOUNT | MS_BIND | next, "");
}

function mountPlain(sys: Sys, mount: Mount, options: MountOptions, target: MountTarget): void {
  if (!options.loop) {
    mountWithData(sys, mount, mount.source, options.flags, options.data, target);
    return;
  }
  const readOnly = (options.flags & MS_RDONLY) !== 0;
  const device = must(
    sys.loopAttach(mount.source, readOnly, options.directIo),
    `attach a loop device to ${mount.source}`,
  );
  try {
    mountWithData(sys, mount, device.path, options.flags, options.data, target);
  } finally {
    // The mount keeps the device from now on; without one it is free again.
    sys.close(device.fd);
  }
}

/** mount(2), from within the layers' common folder when an overlay's options would be too long otherwise. */
function mountWithData(
  sys: Sys,
  mount: Mount,
  source: string,
  flags: number,
  data: readonly string[],
  target: MountTarget,
): void {
  const whole = data.join(",");
  const call = (text: string): void => {
    const shown = text.length > maxShownData ? `${text.slice(0, maxShownData)}...` : text;
    const what = `mount ${mount.type} ${source} at ${target.name}${shown === "" ? "" : ` (${shown})`}`;
    must(
      target.use((path) => sys.mount(source, path, mount.type, flags, text)),
      what,
    );
  };
  if (sys.encodeUtf8(whole).length < maxDataBytes) {
    call(whole);
    return;
  }
  const dirs = mount.type === "overlay" ? lowerDirs(data) : [];
  const folder = dirs.length < 2 ? undefined : commonFolder(dirs);
  const text = folder === undefined ? whole : withLowerDirs(data, relativeTo(folder, dirs)).join(",");
  const bytes = sys.encodeUtf8(text).length;
  if (bytes >= maxDataBytes) {
    const what = `mount ${mount.type} ${source} at ${target.name}`;
    throw new MoorError("invalid_argument", `${what}: its options are ${bytes} bytes, more than a page holds`);
  }
  if (folder === undefined) call(text);
  else inFolder(sys, folder, () => call(text));
}

/** Runs `run` with another current folder. Nothing else can run meanwhile: it is one thread, and `run` does not wait. */
function inFolder(sys: Sys, folder: string, run: () => void): void {
  const hereFd = must(sys.open(".", O_PATH | O_DIRECTORY, 0), "open the current folder");
  try {
    must(sys.chdir(folder), `change to ${folder}`);
    try {
      run();
    } finally {
      must(sys.fchdir(hereFd), "change back to the current folder");
    }
  } finally {
    sys.close(hereFd);
  }
}

/**
 * An overlay cannot be mapped itself; its lower layers can. They are seen through a mapped mount of the folder that holds
 * them, which is needed only until the overlay stands.
 */
function mountOverlayOnMapped(
  sys: Sys,
  mount: Mount,
  options: MountOptions,
  target: MountTarget,
  namespaceFd: Fd,
): void {
  const dirs = lowerDirs(options.data);
  const folder = commonFolder(dirs);
  if (folder === undefined) {
    const what = `mount overlay at ${target.name}, ids mapped`;
    throw new MoorError("invalid_argument", `${what}: its layers have no folder in common`);
  }
  const mapped = `${target.rootfs}.mapped`;
  const made = sys.mkdir(mapped, 0o700);
  if (made !== EEXIST) must(made, `make ${mapped}`);
  try {
    must(sys.mountIdmapped(folder, mapped, namespaceFd, true), `mount ${folder} at ${mapped}, ids mapped`);
    try {
      const data = withLowerDirs(options.data, relativeTo(folder, dirs, mapped));
      mountWithData(sys, mount, mount.source, options.flags, data, target);
    } finally {
      // What is detached is gone with its last user, the overlay.
      must(sys.umount(mapped, UMOUNT_NOFOLLOW | MNT_DETACH), `unmount ${mapped}`);
    }
  } finally {
    // When it does not go now it goes with the bundle.
    sys.rmdir(mapped);
  }
}
