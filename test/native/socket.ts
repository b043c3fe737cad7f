// Unix sockets: who may connect, who is at the other end, what a full queue says, and fds that travel with bytes.

import sys from "sys";
import {
  EADDRINUSE,
  EAGAIN,
  EBADF,
  ECONNREFUSED,
  EINVAL,
  ENAMETOOLONG,
  ENOENT,
  ENOTCONN,
  EPIPE,
} from "../../src/sys/errno.ts";
import { O_NONBLOCK, S_IFSOCK } from "../../src/sys/flags.ts";
import type { Errno, Fd, Pid } from "../../src/sys/sys.d.ts";
import {
  check,
  equal,
  fails,
  finish,
  good,
  makeFolder,
  ok,
  openFds,
  readAll,
  removeFolder,
  typeError,
} from "./checks.ts";

const ENOTSOCK = -88 as Errno;
const most = 253; // fds in one message
const noFd = 999 as Fd;
const fdsBefore = openFds();
const folder = makeFolder();
const at = (name: string) => `${folder}/${name}`;
const bytes = (text: string) => sys.encodeUtf8(text);
const linkOf = (fd: Fd) => good(sys.readlink(`/proc/self/fd/${fd}`), "readlink");

/** The flags of an open file, from /proc. */
function flagsOf(fd: Fd): number {
  const info = good(sys.readText(`/proc/self/fdinfo/${fd}`, 4096), "fdinfo");
  return Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? "", 8);
}

const isCloexec = (fd: Fd) => (flagsOf(fd) & 0o2000000) !== 0;
const isPrivate = (fd: Fd) => isCloexec(fd) && (flagsOf(fd) & O_NONBLOCK) !== 0;

function closeAll(...fds: readonly Fd[]): void {
  for (const fd of fds) good(sys.close(fd), "close");
}

function listening(path: string, backlog = 8): Fd {
  const fd = good(sys.unixBind(path), "unixBind");
  good(sys.listen(fd, backlog), "listen");
  return fd;
}

/** The two ends of a connection. */
function pair(): readonly [Fd, Fd] {
  const listener = listening(at("pair"));
  const client = good(sys.unixConnect(at("pair")), "unixConnect");
  const served = good(sys.accept(listener), "accept");
  good(sys.close(listener), "close");
  good(sys.unlink(at("pair")), "unlink");
  return [client, served];
}

function say(fd: Fd, text: string): void {
  equal(sys.write(fd, bytes(text), 0, bytes(text).length), bytes(text).length);
}

function heard(fd: Fd): string {
  const buffer = new Uint8Array(64);
  return sys.decodeUtf8(buffer.subarray(0, good(sys.read(fd, buffer, 0, 64), "read")));
}

// First, as fork is refused once the loop has been used.
await check("peerCredentials: of a client the server's, and that is who has called listen last", () => {
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  const listener = good(sys.unixBind(at("forked")), "unixBind");
  const pid = good(sys.fork(), "fork");
  if (pid === 0) sys.exit(sys.listen(listener, 8));
  closeAll(writeFd);
  equal(readAll(readFd), "");
  const client = good(sys.unixConnect(at("forked")), "unixConnect");
  equal(good(sys.peerCredentials(client), "peerCredentials").pid, pid, "the pid");
  while (sys.peekPid(pid as Pid) === undefined) sys.sleepMs(1);
  equal(good(sys.reap(pid as Pid), "reap")?.status, 0);
  good(sys.listen(listener, 8), "listen");
  const later = good(sys.unixConnect(at("forked")), "unixConnect");
  const own = good(sys.peerCredentials(later), "peerCredentials");
  equal([own.pid, own.uid], [sys.getpid(), sys.getuid()]);
  const served = good(sys.accept(listener), "accept");
  equal(sys.peerCredentials(served), own, "of a server, the client's");
  closeAll(listener, client, later, served);
});

await check("unixBind: the file has mode 0600 whatever the umask, which stays; a path is taken once", () => {
  const before = sys.umask(0);
  const fd = good(sys.unixBind(at("private")), "unixBind");
  equal(sys.umask(before), 0, "the umask");
  equal(good(sys.lstat(at("private")), "lstat").mode, S_IFSOCK | 0o600);
  ok(isPrivate(fd), "CLOEXEC and non-blocking");
  fails(sys.unixBind(at("private")), EADDRINUSE, "unixBind again");
  fails(sys.unixConnect(at("private")), ECONNREFUSED, "nobody listens yet");
  good(sys.listen(fd, 1), "listen");
  fails(sys.accept(fd), EAGAIN, "nobody waits");
  closeAll(fd);
  fails(sys.unixConnect(at("private")), ECONNREFUSED, "nobody listens any more");
});

await check("paths: 107 bytes are the most; one that is absent, empty, or of a file", () => {
  const ofLength = (length: number) => at("x".repeat(length - folder.length - 1));
  const fd = listening(ofLength(107));
  closeAll(good(sys.unixConnect(ofLength(107)), "unixConnect"), fd);
  fails(sys.unixBind(ofLength(108)), ENAMETOOLONG, "unixBind");
  fails(sys.unixConnect(ofLength(108)), ENAMETOOLONG, "unixConnect");
  fails(sys.unixBind(at(`${"ü".repeat(50)}`)), ENAMETOOLONG, "bytes, not characters");
  fails(sys.unixBind(""), ENOENT, "unixBind without a path");
  fails(sys.unixConnect(""), ENOENT, "unixConnect without a path");
  fails(sys.unixConnect(at("absent")), ENOENT, "unixConnect");
  fails(sys.unixBind(at("absent/socket")), ENOENT, "unixBind");
  good(sys.mkfifo(at("fifo"), 0o600), "mkfifo");
  fails(sys.unixConnect(at("fifo")), ECONNREFUSED, "no socket");
});

await check("backlog: one connection more than it says is EAGAIN, until one is accepted", () => {
  const listener = listening(at("busy"), 1);
  const clients = [1, 2].map(() => good(sys.unixConnect(at("busy")), "unixConnect"));
  fails(sys.unixConnect(at("busy")), EAGAIN, "with a full backlog");
  const served = good(sys.accept(listener), "accept");
  ok(isPrivate(served) && clients.every(isPrivate), "CLOEXEC and non-blocking");
  clients.push(good(sys.unixConnect(at("busy")), "unixConnect"));
  closeAll(listener, served, ...clients);
});

await check("bytes both ways; shutdown and close are seen as the end", () => {
  const [client, served] = pair();
  const buffer = new Uint8Array(64);
  fails(sys.read(served, buffer, 0, 64), EAGAIN, "nothing yet");
  say(client, "question");
  equal(heard(served), "question");
  equal(sys.shutdown(client, 1), 0);
  equal(sys.read(served, buffer, 0, 64), 0);
  equal(sys.receiveFds(served, buffer, 1), { bytes: 0, fds: [] });
  fails(sys.write(client, buffer, 0, 1), EPIPE, "a write after shutdown");
  say(served, "answer");
  equal(heard(client), "answer");
  closeAll(client);
  fails(sys.write(served, buffer, 0, 1), EPIPE, "a write to one that is gone: no signal");
  fails(sys.sendFds(served, buffer, []), EPIPE, "sendFds to one that is gone: no signal");
  closeAll(served);
});

await check("sendFds, receiveFds: both ways, in order, CLOEXEC; the sender's stay open", () => {
  const [client, served] = pair();
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  for (const [from, to] of [
    [client, served],
    [served, client],
  ] as const) {
    const buffer = new Uint8Array(8);
    fails(sys.receiveFds(to, buffer, 8), EAGAIN, "nothing yet");
    equal(sys.sendFds(from, bytes("two"), [writeFd, readFd]), 3);
    const { bytes: length, fds } = good(sys.receiveFds(to, buffer, 8), "receiveFds");
    equal([length, sys.decodeUtf8(buffer.subarray(0, 3))], [3, "two"]);
    equal(fds.map(linkOf), [linkOf(writeFd), linkOf(readFd)]);
    ok(
      fds.every((fd) => fd !== readFd && fd !== writeFd && isCloexec(fd)),
      "new and CLOEXEC",
    );
    say(fds[0] as Fd, "through");
    equal(heard(readFd), "through");
    closeAll(...fds);
  }
  equal(sys.sendFds(client, bytes("none"), []), 4);
  equal(good(sys.receiveFds(served, new Uint8Array(8), 8), "receiveFds"), { bytes: 4, fds: [] });
  closeAll(client, served, readFd, writeFd);
});

await check("receiveFds: more than maxFds came, or as many as can: the rest is closed", () => {
  const [client, served] = pair();
  const fd = good(sys.eventfd(), "eventfd");
  const many = (count: number) => Array.from({ length: count }, () => fd);
  const before = openFds();
  for (const [sent, wanted] of [
    [3, 1],
    [3, 0],
    [most, 2],
    [most, most],
  ] as const) {
    equal(sys.sendFds(client, bytes("x"), many(sent)), 1);
    const { fds } = good(sys.receiveFds(served, new Uint8Array(1), wanted), "receiveFds");
    equal(fds.length, wanted, `of ${sent}`);
    equal(openFds(), before + wanted, "open fds");
    closeAll(...fds);
  }
  typeError(() => sys.sendFds(client, bytes("x"), many(most + 1)), "one more than a message can carry");
  closeAll(fd, client, served);
});

await check("receiveFds: what is read by less than a message keeps its fds with its first byte", () => {
  const [client, served] = pair();
  equal(sys.sendFds(client, bytes("ab"), [client]), 2);
  const buffer = new Uint8Array(1);
  const first = good(sys.receiveFds(served, buffer, 8), "receiveFds");
  equal([first.bytes, first.fds.length], [1, 1]);
  equal(sys.receiveFds(served, buffer, 8), { bytes: 1, fds: [] });
  closeAll(...first.fds, client, served);
});

await check("sendFds: EAGAIN to one that does not read, and nothing of the refused is kept", () => {
  const [client, served] = pair();
  const chunk = new Uint8Array(65_536);
  while (sys.sendFds(client, chunk, [client]) !== EAGAIN);
  closeAll(client, served);
});

await check("a closed fd, one that is no socket, one that is not connected", () => {
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  const buffer = new Uint8Array(1);
  for (const [fd, errno] of [
    [noFd, EBADF],
    [readFd, ENOTSOCK],
  ] as const) {
    fails(sys.listen(fd, 1), errno, "listen");
    fails(sys.accept(fd), errno, "accept");
    fails(sys.peerCredentials(fd), errno, "peerCredentials");
    fails(sys.shutdown(fd, 2), errno, "shutdown");
    fails(sys.receiveFds(fd, buffer, 1), errno, "receiveFds");
    fails(sys.sendFds(fd, buffer, []), errno, "sendFds");
  }
  const [client, served] = pair();
  fails(sys.sendFds(client, buffer, [readFd, noFd]), EBADF, "a closed fd among those to send");
  fails(sys.receiveFds(served, buffer, 1), EAGAIN, "nothing of it came");
  fails(sys.accept(client), EINVAL, "accept of one that does not listen");
  const unconnected = good(sys.unixBind(at("unconnected")), "unixBind");
  fails(sys.sendFds(unconnected, buffer, []), ENOTCONN, "sendFds");
  fails(sys.receiveFds(unconnected, buffer, 1), EINVAL, "receiveFds");
  closeAll(readFd, writeFd, client, served, unconnected);
});

await check("wrong types are TypeErrors", () => {
  const [client, served] = pair();
  const buffer = new Uint8Array(1);
  typeError(() => sys.unixBind(1 as never), "a number for a path");
  typeError(() => sys.unixConnect("/tmp/a\0b"), "a zero byte");
  typeError(() => sys.listen(client, "1" as never), "a string for a backlog");
  typeError(() => sys.accept(undefined as never), "no fd");
  typeError(() => sys.shutdown(client, undefined as never), "no way");
  typeError(() => sys.receiveFds(client, [] as never, 1), "an array for bytes");
  typeError(() => sys.receiveFds(client, buffer, -1), "a negative count");
  typeError(() => sys.receiveFds(client, buffer, most + 1), "more than can come");
  typeError(() => sys.sendFds(client, "x" as never, []), "a string for bytes");
  for (const fds of [undefined, null, 1, { length: 1, 0: served }, ["1"], [served, 1.5], [undefined]]) {
    typeError(() => sys.sendFds(client, buffer, fds as never), `fds ${JSON.stringify(fds)}`);
  }
  closeAll(client, served);
});

removeFolder(folder);
await check("nothing is left open", () => equal(openFds(), fdsBefore, "open fds"));
finish();
