// What sys does with files and paths: reading, writing, links, folders, safe opens, and what fails how.

import sys from "sys";
import { EBADF, EEXIST, EFBIG, EISDIR, ELOOP, ENOENT, ENOTDIR, ENOTEMPTY, ENXIO } from "../../src/sys/errno.ts";
import {
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
} from "../../src/sys/flags.ts";
import type { Errno, Fd } from "../../src/sys/sys.d.ts";
import { check, equal, fails, finish, good, makeFolder, ok, openFds, removeFolder, typeError } from "./checks.ts";

const AT_FDCWD = -100 as Fd;
const RESOLVE_NO_SYMLINKS = 4;
const RESOLVE_BENEATH = 8;
const IN_CREATE = 0x100;
const EXDEV = -18 as Errno;

const fdsBefore = openFds();
const folder = makeFolder();
const at = (name: string) => `${folder}/${name}`;

await check("writeText and readText: the whole file, created, truncated, appended", () => {
  const path = at("text");
  equal(sys.writeText(path, "héllo\0", O_CREAT | O_TRUNC, 0o640), 0);
  equal(sys.readText(path, 100), "héllo\0");
  equal(good(sys.stat(path), "stat").mode, S_IFREG | 0o640);
  equal(sys.writeText(path, "x", O_TRUNC, 0), 0);
  equal(sys.writeText(path, "y", O_APPEND, 0), 0);
  equal(sys.readText(path, 100), "xy");
  fails(sys.writeText(at("absent"), "x", 0, 0), ENOENT, "writeText without O_CREAT");
  fails(sys.writeText(path, "x", O_CREAT | O_EXCL, 0o600), EEXIST, "O_EXCL");
});

await check("readText: exactly maxBytes are allowed, one more is EFBIG", () => {
  const path = at("size");
  equal(sys.writeText(path, "a".repeat(10000), O_CREAT, 0o600), 0);
  equal(good(sys.readText(path, 10000), "readText").length, 10000);
  fails(sys.readText(path, 9999), EFBIG, "one byte too many");
  fails(sys.readText(path, 0), EFBIG, "maxBytes 0");
  equal(sys.writeText(path, "", O_TRUNC, 0), 0);
  equal(sys.readText(path, 0), "");
});

await check("readText: errors, procfs, malformed text, a FIFO does not block", () => {
  fails(sys.readText(at("absent"), 10), ENOENT, "absent");
  fails(sys.readText(folder, 10), EISDIR, "a folder");
  ok(good(sys.readText("/proc/self/stat", 4096), "stat").includes("moor-host"), "procfs is read");
  const fd = good(sys.open(at("malformed"), O_CREAT | O_WRONLY, 0o600), "open");
  equal(sys.write(fd, new Uint8Array([0x61, 0xff]), 0, 2), 2);
  good(sys.close(fd), "close");
  equal(sys.readText(at("malformed"), 10), "a\ufffd");
  good(sys.mkfifo(at("fifo-to-read"), 0o600), "mkfifo");
  equal(sys.readText(at("fifo-to-read"), 10), "");
});

await check("open: O_CLOEXEC is added; a FIFO without a reader is ENXIO", () => {
  const fd = good(sys.open(at("text"), O_RDONLY, 0), "open");
  ok(good(sys.readText(`/proc/self/fdinfo/${fd}`, 4096), "fdinfo").includes("02100000"), "O_CLOEXEC and O_LARGEFILE");
  good(sys.close(fd), "close");
  good(sys.mkfifo(at("fifo"), 0o600), "mkfifo");
  fails(sys.open(at("fifo"), O_WRONLY | O_NONBLOCK, 0), ENXIO, "no reader");
  equal(good(sys.lstat(at("fifo")), "lstat").mode & S_IFMT, S_IFIFO);
});

await check("openat2: stays beneath the folder, refuses symlinks when told", () => {
  good(sys.symlink("/etc", at("out")), "symlink");
  const dirFd = good(sys.open(folder, O_PATH | O_DIRECTORY, 0), "open");
  const fd = good(sys.openat2(dirFd, "text", O_RDONLY, 0, RESOLVE_BENEATH), "openat2");
  good(sys.close(fd), "close");
  fails(sys.openat2(dirFd, "../etc/passwd", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV, "..");
  fails(sys.openat2(dirFd, "out/passwd", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV, "a link that leads out");
  fails(sys.openat2(dirFd, "out/passwd", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP, "a link");
  const made = good(sys.openat2(AT_FDCWD, at("made"), O_WRONLY | O_CREAT, 0o600, 0), "openat2 O_CREAT");
  good(sys.close(made), "close");
  good(sys.close(dirFd), "close");
  fails(sys.openat2(dirFd, "text", O_RDONLY, 0, 0), EBADF, "a closed folder fd");
});

await check("readdir: names with types, without . and ..", () => {
  const path = at("listed");
  good(sys.mkdir(path, 0o700), "mkdir");
  equal(sys.readdir(path), []);
  good(sys.mkdir(`${path}/folder`, 0o700), "mkdir");
  good(sys.mkfifo(`${path}/fifo`, 0o600), "mkfifo");
  good(sys.symlink("x", `${path}/link`), "symlink");
  good(sys.writeText(`${path}/näme`, "", O_CREAT, 0o600), "writeText");
  const entries = good(sys.readdir(path), "readdir");
  equal(Object.fromEntries([...entries].sort()), {
    fifo: 1,
    folder: 4,
    link: 10,
    näme: 8,
  });
  fails(sys.readdir(at("absent")), ENOENT, "absent");
  fails(sys.readdir(at("text")), ENOTDIR, "a file");
});

await check("stat, lstat, fstat: all fields", () => {
  good(sys.symlink("text", at("link")), "symlink");
  const followed = good(sys.stat(at("link")), "stat");
  equal(followed.size, 2);
  equal(good(sys.lstat(at("link")), "lstat").size, 4);
  const fd = good(sys.open(at("text"), O_RDONLY, 0), "open");
  equal(sys.fstat(fd), followed);
  good(sys.close(fd), "close");
  equal([followed.uid, followed.gid, followed.nlink, followed.rdev], [0, 0, 1, 0]);
  ok(followed.ino > 0 && followed.dev > 0, "ino and dev");
  ok(Math.abs(followed.mtimeMs - Date.now()) < 60000, "mtimeMs is now");
  equal(good(sys.stat("/dev/null"), "stat").rdev, 0x103);
  fails(sys.stat(at("absent")), ENOENT, "stat");
  fails(sys.lstat(at("absent")), ENOENT, "lstat");
});

await check("mkdir, rmdir, unlink, rename, symlink, readlink", () => {
  good(sys.mkdir(at("d"), 0o711), "mkdir");
  equal(good(sys.stat(at("d")), "stat").mode, S_IFDIR | 0o711);
  fails(sys.mkdir(at("d"), 0o700), EEXIST, "mkdir again");
  good(sys.writeText(at("d/f"), "1", O_CREAT, 0o600), "writeText");
  fails(sys.rmdir(at("d")), ENOTEMPTY, "rmdir");
  equal(sys.rename(at("d/f"), at("g")), 0);
  equal(sys.rmdir(at("d")), 0);
  equal(sys.unlink(at("g")), 0);
  fails(sys.unlink(at("g")), ENOENT, "unlink again");
  fails(sys.rename(at("g"), at("h")), ENOENT, "rename");
  const target = `t${"/x".repeat(1000)}`;
  good(sys.symlink(target, at("long")), "symlink");
  equal(sys.readlink(at("long")), target);
  fails(sys.readlink(at("absent")), ENOENT, "readlink");
  fails(sys.mkfifo(at("fifo"), 0o600), EEXIST, "mkfifo again");
});

await check("chmod, chown, fchown, access", () => {
  const path = at("owned");
  good(sys.writeText(path, "", O_CREAT, 0o600), "writeText");
  equal(sys.chmod(path, 0o4755), 0);
  equal(good(sys.stat(path), "stat").mode & 0o7777, 0o4755);
  equal(sys.access(path, 1), 0);
  fails(sys.access(at("absent"), 0), ENOENT, "access");
  if (good(sys.stat("/proc/self"), "stat").uid !== 0) return; // only root may give files away
  equal(sys.chown(path, 12, 34), 0);
  equal(sys.chown(path, -1, 35), 0);
  const fd = good(sys.open(path, O_RDONLY, 0), "open");
  equal(sys.fchown(fd, 13, -1), 0);
  const status = good(sys.fstat(fd), "fstat");
  equal([status.uid, status.gid], [13, 35]);
  good(sys.close(fd), "close");
});

await check("fsType: procfs", () => {
  equal(sys.fsType("/proc"), 0x9fa0);
  fails(sys.fsType(at("absent")), ENOENT, "fsType");
});

await check("open: O_NOFOLLOW on a link is ELOOP", () => {
  fails(sys.open(at("link"), O_RDONLY | O_NOFOLLOW, 0), ELOOP, "open");
});

await check("inotify: an event of a watched folder, none after removal", () => {
  const fd = good(sys.inotifyCreate(), "inotifyCreate");
  const watch = good(sys.inotifyAdd(fd, folder, IN_CREATE), "inotifyAdd");
  good(sys.writeText(at("noticed"), "", O_CREAT, 0o600), "writeText");
  const buffer = new Uint8Array(512);
  const size = good(sys.read(fd, buffer, 0, 512), "read");
  ok(sys.decodeUtf8(buffer.subarray(16, size)).startsWith("noticed\0"), "the name is in the event");
  equal(sys.inotifyRemove(fd, watch), 0);
  fails(sys.inotifyAdd(fd, at("absent"), IN_CREATE), ENOENT, "inotifyAdd");
  good(sys.close(fd), "close");
});

await check("wrong types are TypeErrors", () => {
  typeError(() => sys.open(1 as never, 0, 0), "open(1)");
  typeError(() => sys.open("/x", "r" as never, 0), "flags r");
  typeError(() => sys.open("/x", 0, -1), "mode -1");
  typeError(() => sys.stat("a\0b"), "a zero byte in a path");
  typeError(() => sys.readText("/x", -1), "maxBytes -1");
  typeError(() => sys.writeText("/x", new Uint8Array(1) as never, 0, 0), "bytes for text");
  typeError(() => sys.chown("/x", -2, 0), "uid -2");
  typeError(() => sys.rename("/x", undefined as never), "no target");
});

removeFolder(folder);
await check("nothing is left open", () => equal(openFds(), fdsBefore, "open fds"));

finish();
