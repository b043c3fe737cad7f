// Mounts, mounts with mapped ids, and loop devices. Most of it needs root, and some of it a kernel or a machine that can:
// what could not be looked at is said at the end.

import sys from "sys";
import {
  EBADF,
  EINVAL,
  EISDIR,
  ENODEV,
  ENOENT,
  ENOSYS,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  errnoName,
} from "../../src/sys/errno.ts";
import { F_OK, O_CREAT, O_RDWR } from "../../src/sys/flags.ts";
import type { Fd } from "../../src/sys/sys.d.ts";
import {
  after,
  check,
  children,
  equal,
  fails,
  finish,
  good,
  leaveOut,
  makeFolder,
  ok,
  openFds,
  removeFolder,
  typeError,
} from "./checks.ts";

const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_BIND = 4096;
const MS_PRIVATE = 1 << 18;
const MNT_DETACH = 2;
const TMPFS_MAGIC = 0x01021994;
const noFd = 999 as Fd;
const isRoot = sys.getuid() === 0;

await after(1); // the loop's own fd is there from now on
const fdsBefore = openFds();
const folder = makeFolder();
const at = (name: string) => `${folder}/${name}`;
for (const name of ["source", "source/inner", "target"]) good(sys.mkdir(at(name), 0o700), "mkdir");
const mountsBelow = () =>
  good(sys.readText("/proc/self/mountinfo", 1 << 20), "mountinfo")
    .split("\n")
    .filter((line) => line.includes(folder));

/** Runs a fact about mounts; whatever it leaves mounted below the folder is taken away. */
async function checkMounts(name: string, body: () => void | Promise<void>): Promise<void> {
  if (!isRoot) return leaveOut("mounts (they need root)");
  await check(name, async () => {
    try {
      await body();
      equal(mountsBelow(), [], "mounts left");
    } finally {
      for (const path of [at("target"), at("source/inner"), at("source")]) {
        while (sys.umount(path, MNT_DETACH) === 0);
      }
    }
  });
}

const tmpfs = (target: string, flags = 0, data = "") =>
  good(sys.mount("moor-test", target, "tmpfs", flags, data), "mount");

await checkMounts("mount, umount: type, flags and data arrive", () => {
  tmpfs(at("target"), MS_NOSUID, "size=64k,mode=0751");
  equal(sys.fsType(at("target")), TMPFS_MAGIC);
  equal(good(sys.fsFlags(at("target")), "fsFlags") & MS_NOSUID, MS_NOSUID);
  equal(good(sys.stat(at("target")), "stat").mode & 0o777, 0o751);
  const [line = ""] = mountsBelow();
  ok(line.includes(" - tmpfs moor-test ") && line.includes("size=64k"), line);
  equal(sys.umount(at("target"), 0), 0);
  equal(good(sys.readdir(at("target")), "readdir"), []);
});

await checkMounts("mount: a bind mount, read-only by a remount of it", () => {
  const MS_REMOUNT = 32;
  good(sys.mount(at("source"), at("target"), "", MS_BIND, ""), "bind");
  equal(good(sys.readdir(at("target")), "readdir"), [["inner", 4]]);
  good(sys.mount("", at("target"), "", MS_REMOUNT | MS_BIND | MS_RDONLY, ""), "remount");
  fails(sys.mkdir(at("target/new"), 0o700), EROFS, "mkdir");
  good(sys.umount(at("target"), 0), "umount");
});

await checkMounts("mount, umount: what fails, and how", () => {
  fails(sys.mount("none", at("target"), "moor-no-such-type", 0, ""), ENODEV, "no such type");
  fails(sys.mount("none", at("absent"), "tmpfs", 0, ""), ENOENT, "no target");
  fails(sys.mount("none", at("target"), "tmpfs", 0, "moor-no-such-option"), EINVAL, "no such option");
  fails(sys.mount(at("absent"), at("target"), "", MS_BIND, ""), ENOENT, "no source");
  fails(sys.umount(at("target"), 0), EINVAL, "umount of what is not mounted");
  fails(sys.umount(at("absent"), 0), ENOENT, "umount of what is not there");
});

if (!isRoot) {
  await check("mount, umount: not without root", () => {
    fails(sys.mount("none", at("target"), "tmpfs", 0, ""), EPERM, "mount");
    fails(sys.umount("/", 0), EPERM, "umount");
  });
}

// ---- mapped ids ----

const userNamespace = () => good(sys.userNamespace("0 100000 1000", "0 200000 1000"), "userNamespace");

/** Whether it was done; what this kernel or this file system cannot is said. */
function mapped(recursive: boolean, namespace: Fd): boolean {
  const status = sys.mountIdmapped(at("source"), at("target"), namespace, recursive);
  if (status !== ENOSYS && status !== EINVAL && status !== EOPNOTSUPP) {
    good(status, "mountIdmapped");
    return true;
  }
  leaveOut(`mountIdmapped (${errnoName(status)} for a tmpfs here)`);
  return false;
}

function ownerOf(path: string): readonly number[] {
  const { uid, gid } = good(sys.stat(path), path);
  return [uid, gid];
}

await checkMounts("mountIdmapped: files have their mapped owners at the target alone; deep only when told", () => {
  tmpfs(at("source"), 0, "mode=0755");
  good(sys.mount("", at("source"), "", MS_PRIVATE, ""), "private");
  good(sys.mkdir(at("source/inner"), 0o755), "mkdir");
  tmpfs(at("source/inner"), 0, "mode=0755");
  for (const name of ["source/file", "source/inner/file"]) {
    good(sys.writeText(at(name), "x", O_CREAT, 0o644), "writeText");
    good(sys.chown(at(name), 5, 6), "chown");
  }
  const namespace = userNamespace();
  for (const recursive of [false, true]) {
    if (!mapped(recursive, namespace)) break;
    equal(ownerOf(at("target/file")), [100_005, 200_006]);
    equal(ownerOf(at("source/file")), [5, 6]);
    if (recursive) equal(ownerOf(at("target/inner/file")), [100_005, 200_006]);
    else equal(sys.readdir(at("target/inner")), []);
    good(sys.umount(at("target"), MNT_DETACH), "umount");
  }
  good(sys.close(namespace), "close");
  good(sys.umount(at("source/inner"), 0), "umount");
  good(sys.umount(at("source"), 0), "umount");
});

await checkMounts("mountIdmapped: what fails mounts nothing", () => {
  tmpfs(at("source"));
  const namespace = userNamespace();
  fails(sys.mountIdmapped(at("absent"), at("target"), namespace, false), ENOENT, "no source");
  if (mapped(false, namespace)) {
    good(sys.umount(at("target"), 0), "umount");
    fails(sys.mountIdmapped(at("source"), at("absent"), namespace, false), ENOENT, "no target");
    fails(sys.mountIdmapped(at("source"), at("target"), noFd, false), EBADF, "no namespace");
    fails(sys.mountIdmapped(at("source"), at("target"), -1 as Fd, false), EINVAL, "a negative fd");
  }
  equal([openFds(), children()], [fdsBefore + 1, []], "fds and children");
  good(sys.close(namespace), "close");
  good(sys.umount(at("source"), 0), "umount");
});

// ---- loop devices ----

const hasLoop = isRoot && sys.access("/dev/loop-control", F_OK) === 0;
const block = 4096;

/** A file of some blocks, each filled with its number. */
function makeImage(path: string, blocks: number): void {
  const fd = good(sys.open(path, O_RDWR | O_CREAT, 0o600), "open");
  for (let number = 0; number < blocks; number++) {
    equal(sys.write(fd, new Uint8Array(block).fill(number), 0, block), block);
  }
  good(sys.fsync(fd), "fsync");
  good(sys.close(fd), "close");
}

const sysfs = (device: string, name: string) =>
  sys.readText(`/sys/block/${device.slice("/dev/".length)}/loop/${name}`, 4096);

/** The kernel lets go of the file a little after the last close. */
async function detached(device: string): Promise<void> {
  for (;;) {
    const file = sysfs(device, "backing_file");
    if (typeof file !== "string" || !file.includes(folder)) return;
    await after(1);
  }
}

async function checkLoop(name: string, body: () => void | Promise<void>): Promise<void> {
  if (hasLoop) await check(name, body);
  else leaveOut(`loop devices (${isRoot ? "no /dev/loop-control" : "they need root"})`);
}

await checkLoop("loopAttach: a device that reads and writes the file, for as long as its fd is open", async () => {
  makeImage(at("image"), 16);
  const { fd, path } = good(sys.loopAttach(at("image"), false, false), "loopAttach");
  ok(/^\/dev\/loop\d+$/.test(path), path);
  equal(sysfs(path, "backing_file"), `${at("image")}\n`);
  equal([sysfs(path, "autoclear"), sysfs(path, "dio")], ["1\n", "0\n"]);
  const bytes = new Uint8Array(block);
  good(sys.seek(fd, 3 * block), "seek");
  equal([sys.read(fd, bytes, 0, block), bytes[0], bytes[block - 1]], [block, 3, 3]);
  good(sys.seek(fd, 0), "seek");
  equal(sys.write(fd, bytes, 0, block), block);
  good(sys.fsync(fd), "fsync");
  good(sys.close(fd), "close");
  await detached(path);
  const file = good(sys.open(at("image"), O_RDWR, 0), "open");
  equal([sys.read(file, bytes, 0, 1), bytes[0]], [1, 3], "what was written by the device");
  good(sys.close(file), "close");
});

await checkLoop("loopAttach: read-only, and with direct input and output where the file can", async () => {
  makeImage(at("other"), 16);
  const readOnly = good(sys.loopAttach(at("other"), true, false), "loopAttach");
  equal(sys.readText(`/sys/block/${readOnly.path.slice("/dev/".length)}/ro`, 10), "1\n");
  fails(sys.write(readOnly.fd, new Uint8Array(block), 0, block), EBADF, "write");
  const second = good(sys.loopAttach(at("other"), true, false), "loopAttach");
  ok(second.path !== readOnly.path, "each call has its own device");
  good(sys.close(second.fd), "close");
  good(sys.close(readOnly.fd), "close");
  const direct = sys.loopAttach(at("other"), false, true);
  if (direct === EINVAL) leaveOut("loopAttach with direct input and output (not on this file system)");
  else {
    const { fd, path } = good(direct, "loopAttach");
    equal(sysfs(path, "dio"), "1\n");
    good(sys.close(fd), "close");
    await detached(path);
  }
  await detached(readOnly.path);
  await detached(second.path);
});

await checkLoop("loopAttach: what fails leaves no device", () => {
  const attached = () =>
    good(sys.readdir("/sys/block"), "readdir").filter(([name]) => {
      const file = name.startsWith("loop") ? sysfs(`/dev/${name}`, "backing_file") : "";
      return typeof file === "string" && file.includes(folder);
    });
  good(sys.mkfifo(at("fifo"), 0o600), "mkfifo");
  fails(sys.loopAttach(at("absent"), false, false), ENOENT, "no file");
  fails(sys.loopAttach(folder, false, false), EISDIR, "a folder");
  fails(sys.loopAttach(folder, true, false), EINVAL, "a folder, read-only");
  fails(sys.loopAttach(at("fifo"), true, false), EINVAL, "a FIFO, which does not block");
  fails(sys.loopAttach("/dev/null/below", true, false), ENOTDIR, "below a file");
  equal(attached(), []);
});

await check("wrong types are TypeErrors", () => {
  typeError(() => sys.mount("a", at("target"), "tmpfs", -1, ""), "negative flags");
  typeError(() => sys.mount("a", at("target"), "tmpfs", 0, undefined as never), "no data");
  typeError(() => sys.mount("a", "/\0", "tmpfs", 0, ""), "a zero byte");
  typeError(() => sys.mount(null as never, at("target"), "tmpfs", 0, ""), "null for a source");
  typeError(() => sys.umount(at("target"), "0" as never), "a string for flags");
  typeError(() => sys.mountIdmapped(at("source"), at("target"), "3" as never, true), "a string for a fd");
  typeError(() => sys.mountIdmapped(at("source"), at("target"), noFd, 1 as never), "a number for a boolean");
  typeError(() => sys.loopAttach(at("image"), undefined as never, true), "no boolean");
  typeError(() => sys.loopAttach(1 as never, true, true), "a number for a path");
});

removeFolder(folder);
await check("nothing is left open", () => equal([openFds(), children()], [fdsBefore, []]));
finish();
