// fstab-style mount options, as a daemon's mounts carry them, taken apart: flags of mount(2), propagation (a call of its
// own for the kernel), what Moor itself acts on (loop, id maps), and the rest, which is the file system's data.

import { MoorError } from "../sys/error.ts";

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
const MS_SYNCHRONOUS = 16;
export const MS_REMOUNT = 32;
const MS_MANDLOCK = 64;
const MS_DIRSYNC = 128;
export const MS_NOSYMFOLLOW = 256;
export const MS_NOATIME = 1024;
export const MS_NODIRATIME = 2048;
export const MS_BIND = 4096;
export const MS_REC = 16384;
const MS_SILENT = 32768;
const MS_UNBINDABLE = 1 << 17;
const MS_PRIVATE = 1 << 18;
const MS_SLAVE = 1 << 19;
const MS_SHARED = 1 << 20;
export const MS_RELATIME = 1 << 21;
const MS_STRICTATIME = 1 << 24;
const MS_LAZYTIME = 1 << 25;

/** Flags that belong to one mount rather than to its file system: a bind mount gets them by a remount. */
export const perMountFlags =
  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW | MS_NOATIME | MS_NODIRATIME | MS_RELATIME;

const setsFlag: Readonly<Record<string, number>> = {
  bind: MS_BIND,
  dirsync: MS_DIRSYNC,
  lazytime: MS_LAZYTIME,
  mand: MS_MANDLOCK,
  noatime: MS_NOATIME,
  nodev: MS_NODEV,
  nodiratime: MS_NODIRATIME,
  noexec: MS_NOEXEC,
  nosuid: MS_NOSUID,
  nosymfollow: MS_NOSYMFOLLOW,
  rbind: MS_BIND | MS_REC,
  relatime: MS_RELATIME,
  remount: MS_REMOUNT,
  ro: MS_RDONLY,
  silent: MS_SILENT,
  strictatime: MS_STRICTATIME,
  sync: MS_SYNCHRONOUS,
};

const clearsFlag: Readonly<Record<string, number>> = {
  async: MS_SYNCHRONOUS,
  atime: MS_NOATIME,
  defaults: 0,
  dev: MS_NODEV,
  diratime: MS_NODIRATIME,
  exec: MS_NOEXEC,
  loud: MS_SILENT,
  nolazytime: MS_LAZYTIME,
  nomand: MS_MANDLOCK,
  norelatime: MS_RELATIME,
  nostrictatime: MS_STRICTATIME,
  rw: MS_RDONLY,
  suid: MS_NOSUID,
  symfollow: MS_NOSYMFOLLOW,
};

const setsPropagation: Readonly<Record<string, number>> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE | MS_REC,
  shared: MS_SHARED,
  rshared: MS_SHARED | MS_REC,
  slave: MS_SLAVE,
  rslave: MS_SLAVE | MS_REC,
  unbindable: MS_UNBINDABLE,
  runbindable: MS_UNBINDABLE | MS_REC,
};

export interface MountOptions {
  /** Flags of mount(2) without propagation. */
  readonly flags: number;
  /** Flags that an option asked to be off. */
  readonly cleared: number;
  /** MS_PRIVATE and the like, in the order asked for. */
  readonly propagation: readonly number[];
  /** For the file system itself, in order. */
  readonly data: readonly string[];
  /** The source is a file that needs a loop device. */
  readonly loop: boolean;
  /** Of a loop device: past the page cache. */
  readonly directIo: boolean;
  /** Both or none: "CONTAINER:HOST:SIZE,...". */
  readonly idMaps: { readonly uid: string; readonly gid: string } | undefined;
}

/** @throws MoorError invalid_argument when only one of uidmap and gidmap is there. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0;
  let cleared = 0;
  let loop = false;
  let uid: string | undefined;
  let gid: string | undefined;
  const propagation: number[] = [];
  const data: string[] = [];
  for (const option of options) {
    const set = own(setsFlag, option);
    const clear = own(clearsFlag, option);
    const kind = own(setsPropagation, option);
    if (set !== undefined) {
      flags |= set;
      cleared &= ~set;
    } else if (clear !== undefined) {
      flags &= ~clear;
      cleared |= clear;
    } else if (kind !== undefined) propagation.push(kind);
    else if (option === "loop") loop = true;
    else if (option.startsWith("uidmap=")) uid = option.slice("uidmap=".length);
    else if (option.startsWith("gidmap=")) gid = option.slice("gidmap=".length);
    // Notes between parts of the daemon; no file system knows them.
    else if (!option.startsWith("X-containerd.")) data.push(option);
  }
  if ((uid === undefined) !== (gid === undefined)) {
    throw new MoorError("invalid_argument", "mount options: uidmap and gidmap are only of use together");
  }
  const directIo = loop && data.includes("direct-io");
  return {
    flags,
    cleared,
    propagation,
    data: directIo ? data.filter((option) => option !== "direct-io") : data,
    loop,
    directIo,
    idMaps: uid === undefined || gid === undefined ? undefined : { uid, gid },
  };
}

function own(table: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
