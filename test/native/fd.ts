// What sys does with open file descriptors.

import sys from "sys";
import { EAGAIN, EBADF, EINVAL, EPIPE } from "../../src/sys/errno.ts";
import { O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR } from "../../src/sys/flags.ts";
import type { Errno, Fd } from "../../src/sys/sys.d.ts";
import { check, equal, fails, finish, good, makeFolder, ok, openFds, removeFolder, typeError } from "./checks.ts";

const ESPIPE = -29 as Errno;
const fdsBefore = openFds();
const noFd = 999 as Fd;
const bytes = (text: string) => sys.encodeUtf8(text);

/** FD_CLOEXEC is in the octal flags of fdinfo as 02000000. */
function isCloexec(fd: Fd): boolean {
  const info = good(sys.readText(`/proc/self/fdinfo/${fd}`, 4096), "fdinfo");
  const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? "";
  return (Number.parseInt(flags, 8) & 0o2000000) !== 0;
}

await check("pipe, read, write: bytes arrive in order, offset and length are kept", () => {
  const [readFd, writeFd] = good(sys.pipe(O_NONBLOCK), "pipe");
  const buffer = new Uint8Array(8);
  fails(sys.read(readFd, buffer, 0, 8), EAGAIN, "read of an empty pipe");
  equal(sys.write(writeFd, bytes("abcdef"), 2, 3), 3);
  equal(sys.readable(readFd), 3);
  equal(sys.read(readFd, buffer, 4, 4), 3);
  equal(sys.decodeUtf8(buffer), "\0\0\0\0cde\0");
  equal(sys.close(writeFd), 0);
  equal(sys.read(readFd, buffer, 0, 8), 0);
  equal(sys.close(readFd), 0);
});

await check("pipe: both ends are CLOEXEC; without O_NONBLOCK neither is non-blocking", () => {
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  ok(isCloexec(readFd) && isCloexec(writeFd), "CLOEXEC");
  good(sys.setNonblock(readFd, true), "setNonblock");
  fails(sys.read(readFd, new Uint8Array(1), 0, 1), EAGAIN, "read");
  good(sys.setNonblock(readFd, false), "setNonblock off");
  good(sys.setCloexec(readFd, false), "setCloexec off");
  ok(!isCloexec(readFd), "CLOEXEC is off");
  good(sys.setCloexec(readFd, true), "setCloexec on");
  ok(isCloexec(readFd), "CLOEXEC is on");
  good(sys.close(readFd), "close");
  fails(sys.write(writeFd, bytes("x"), 0, 1), EPIPE, "write without a reader: SIGPIPE is ignored");
  good(sys.close(writeFd), "close");
});

await check("setPipeSize: what the kernel made of it", () => {
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  equal(sys.setPipeSize(writeFd, 256 * 1024), 256 * 1024);
  good(sys.close(readFd), "close");
  good(sys.close(writeFd), "close");
});

await check("dup and dup2: CLOEXEC, but not for 0, 1, 2", () => {
  const fd = good(sys.eventfd(), "eventfd");
  const copy = good(sys.dup(fd), "dup");
  ok(copy > 2 && isCloexec(copy), "dup is CLOEXEC");
  equal(sys.dup2(fd, copy), 0);
  ok(isCloexec(copy), "dup2 is CLOEXEC");
  equal(sys.dup2(fd, fd), 0);
  fails(sys.dup2(noFd, noFd), EBADF, "dup2 of a closed fd to itself");
  const saved = good(sys.dup(0 as Fd), "dup 0");
  equal(sys.dup2(fd, 0), 0);
  ok(!isCloexec(0 as Fd), "0 stays open over exec");
  equal(sys.dup2(saved, 0), 0);
  for (const each of [fd, copy, saved]) good(sys.close(each), "close");
});

await check("eventfd: counts", () => {
  const fd = good(sys.eventfd(), "eventfd");
  const buffer = new Uint8Array(8);
  fails(sys.read(fd, buffer, 0, 8), EAGAIN, "read of 0");
  equal(sys.write(fd, new Uint8Array([3, 0, 0, 0, 0, 0, 0, 0]), 0, 8), 8);
  equal(sys.read(fd, buffer, 0, 8), 8);
  equal(buffer[0], 3);
  good(sys.close(fd), "close");
});

await check("memfd, seek, ftruncate, fsync", () => {
  const fd = good(sys.memfd("moor-test"), "memfd");
  ok(isCloexec(fd), "CLOEXEC");
  equal(sys.write(fd, bytes("hello"), 0, 5), 5);
  equal(sys.seek(fd, 1), 1);
  const buffer = new Uint8Array(8);
  equal(sys.read(fd, buffer, 0, 8), 4);
  equal(sys.ftruncate(fd, 2), 0);
  equal(good(sys.fstat(fd), "fstat").size, 2);
  equal(sys.fsync(fd), 0);
  fails(sys.ftruncate(fd, -1), EINVAL, "ftruncate to -1");
  good(sys.close(fd), "close");
});

await check("flock: an exclusive lock keeps another open file out", () => {
  const folder = makeFolder();
  const path = `${folder}/lock`;
  const first = good(sys.open(path, O_RDWR | O_CREAT, 0o600), "open");
  const second = good(sys.open(path, O_RDONLY, 0), "open");
  equal(sys.flock(first, "exclusive"), 0);
  fails(sys.flock(second, "exclusive"), EAGAIN, "a second lock");
  fails(sys.flock(second, "shared"), EAGAIN, "a shared lock");
  equal(sys.flock(first, "unlock"), 0);
  equal(sys.flock(second, "shared"), 0);
  equal(sys.flock(first, "shared"), 0);
  typeError(() => sys.flock(first, "mine" as never), "an unknown way");
  good(sys.close(first), "close");
  good(sys.close(second), "close");
  removeFolder(folder);
});

await check("a closed fd is EBADF everywhere", () => {
  const buffer = new Uint8Array(1);
  const calls: readonly (readonly [string, unknown])[] = [
    ["read", sys.read(noFd, buffer, 0, 1)],
    ["write", sys.write(noFd, buffer, 0, 1)],
    ["close", sys.close(noFd)],
    ["dup", sys.dup(noFd)],
    ["dup2", sys.dup2(noFd, 50)],
    ["setNonblock", sys.setNonblock(noFd, true)],
    ["setCloexec", sys.setCloexec(noFd, true)],
    ["readable", sys.readable(noFd)],
    ["setPipeSize", sys.setPipeSize(noFd, 4096)],
    ["seek", sys.seek(noFd, 0)],
    ["ftruncate", sys.ftruncate(noFd, 0)],
    ["fsync", sys.fsync(noFd)],
    ["flock", sys.flock(noFd, "shared")],
    ["fstat", sys.fstat(noFd)],
    ["fchown", sys.fchown(noFd, 0, 0)],
  ];
  for (const [name, value] of calls) fails(value, EBADF, name);
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  fails(sys.seek(readFd, 0), ESPIPE, "seek of a pipe");
  good(sys.close(readFd), "close");
  good(sys.close(writeFd), "close");
});

await check("wrong types and ranges outside the buffer are TypeErrors", () => {
  const buffer = new Uint8Array(4);
  const fd = 0 as Fd;
  typeError(() => sys.read(fd, buffer, 0, 5), "length past the end");
  typeError(() => sys.read(fd, buffer, 5, 0), "offset past the end");
  typeError(() => sys.read(fd, buffer, -1, 1), "a negative offset");
  typeError(() => sys.read(fd, buffer, 0, 1.5), "a fraction");
  typeError(() => sys.read(fd, buffer, 0, Number.NaN), "NaN");
  typeError(() => sys.write(fd, "text" as never, 0, 1), "a string for bytes");
  typeError(() => sys.write(fd, [1] as never, 0, 1), "an array for bytes");
  typeError(() => sys.close("3" as never), "a string for a fd");
  typeError(() => sys.close(undefined as never), "no fd");
  typeError(() => sys.close((2 ** 31) as Fd), "more than 31 bits");
  typeError(() => sys.setNonblock(fd, 1 as never), "a number for a boolean");
  typeError(() => sys.pipe(null as never), "null for flags");
  typeError(() => sys.memfd("a\0b"), "a zero byte");
  typeError(() => sys.memfd({ toString: () => "x" } as never), "an object for a string");
});

await check("nothing is left open", () => equal(openFds(), fdsBefore, "open fds"));

finish();
