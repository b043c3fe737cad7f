// This process and its children: fork, namespaces, how a child's end is seen and when its pid is given back, signals.
// What has to do with fork comes first: it is refused once the loop has been used.

import sys from "sys";
import { EBADF, EBUSY, ECHILD, EINVAL, ENOENT, ENOTDIR, EPERM, ESRCH } from "../../src/sys/errno.ts";
import { O_DIRECTORY, O_PATH, SIGKILL, SIGTERM, SIGUSR1 } from "../../src/sys/flags.ts";
import type { Fd, Pid } from "../../src/sys/sys.d.ts";
import {
  after,
  type Child,
  check,
  children,
  ended,
  equal,
  fails,
  finish,
  good,
  leaveOut,
  makeFolder,
  ok,
  openFds,
  readAll,
  reaped,
  typeError,
} from "./checks.ts";

const PR_GET_DUMPABLE = 3;
const PR_UNKNOWN = -1;
const noPid = 0x7fffffff as Pid;
const fdsAtFirst = openFds();

/** Has a forked copy of this process do something; what it returned comes back by a pipe, as JSON. */
function inFork<T>(body: () => T): { readonly pid: Pid; readonly value: T } {
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  const pid = good(sys.fork(), "fork");
  if (pid === 0) {
    let text: string;
    try {
      text = JSON.stringify(body());
    } catch (thrown) {
      text = JSON.stringify(String(thrown));
    }
    const bytes = sys.encodeUtf8(text);
    sys.write(writeFd, bytes, 0, bytes.length);
    sys.exit(7);
  }
  good(sys.close(writeFd), "close");
  return { pid: pid as Pid, value: JSON.parse(readAll(readFd)) as T };
}

/** Waits for the end of a child without the loop. */
function waitFor(pid: Pid): void {
  while (sys.peekPid(pid) === undefined) sys.sleepMs(1);
}

await check("fork: 0 in the child, which is another process and ours to reap", () => {
  const { pid, value } = inFork(() => [sys.getpid(), sys.getppid()]);
  equal(value, [pid, sys.getpid()]);
  waitFor(pid);
  equal(sys.reap(pid), { pid, code: 1, status: 7 });
  equal(openFds(), fdsAtFirst, "open fds");
});

await check("setsid: its own session, once", () => {
  const { pid, value } = inFork(() => [sys.setsid(), sys.setsid()]);
  equal(value, [pid, EPERM]);
  waitFor(pid);
  good(sys.reap(pid), "reap");
});

await check("umask, chdir, fchdir, getcwd: what they change is seen, what cannot be is an errno", () => {
  const folder = makeFolder();
  const { pid, value } = inFork(() => {
    const fd = good(sys.open(folder, O_PATH | O_DIRECTORY, 0), "open");
    const masks = [sys.umask(0o27), sys.umask(0o22)];
    const moved = [sys.chdir("/"), sys.getcwd(), sys.fchdir(fd), sys.getcwd()];
    const failed = [sys.chdir("/moor-absent"), sys.chdir("/proc/self/status"), sys.fchdir(999 as Fd)];
    const removed = [sys.rmdir(folder), sys.getcwd()];
    return { last: masks[1], moved, failed, removed };
  });
  equal(value, { last: 0o27, moved: [0, "/", 0, folder], failed: [ENOENT, ENOTDIR, EBADF], removed: [0, ENOENT] });
  waitFor(pid);
  good(sys.reap(pid), "reap");
});

await check("setProcessName, prctl", () => {
  const { pid, value } = inFork(() => [
    sys.setProcessName("moor: sixteen and more"),
    sys.readText("/proc/self/comm", 100),
    sys.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
    sys.prctl(PR_UNKNOWN, 0, 0, 0, 0),
  ]);
  equal(value, [0, "moor: sixteen a\n", 1, EINVAL]);
  waitFor(pid);
  good(sys.reap(pid), "reap");
  typeError(() => sys.prctl(PR_GET_DUMPABLE, "0" as never, 0, 0, 0), "a string");
  typeError(() => sys.prctl(2 ** 32 + PR_GET_DUMPABLE, 0, 0, 0, 0), "an option of more than 32 bits");
});

await check("userNamespace: mapped as told, held by its fd alone; one that cannot be mapped leaves nothing", () => {
  if (sys.getuid() !== 0) return leaveOut("user namespaces (they need root)");
  const fd = good(sys.userNamespace("0 100000 1000", "0 200000 1000"), "userNamespace");
  equal(children(), [], "children");
  equal(sys.peekAny(), undefined);
  ok(sys.readlink(`/proc/self/fd/${fd}`) !== sys.readlink("/proc/self/ns/user"), "another than ours");
  const { pid, value } = inFork(() => [
    sys.setns(fd, 0),
    sys.getuid(),
    sys.readText("/proc/self/uid_map", 100),
    sys.readText("/proc/self/gid_map", 100),
  ]);
  const [status, uid, ...maps] = value;
  equal([status, uid], [0, 65_534], "our own uid has no place in it");
  equal(
    maps.map((map) => String(map).trim().split(/\s+/)),
    [
      ["0", "100000", "1000"],
      ["0", "200000", "1000"],
    ],
  );
  waitFor(pid);
  good(sys.reap(pid), "reap");
  good(sys.close(fd), "close");
  fails(sys.userNamespace("no map", "0 0 1"), EINVAL, "a uid map that is none");
  fails(sys.userNamespace("0 0 1", "no map"), EINVAL, "a gid map that is none");
  typeError(() => sys.userNamespace("0 0 1", undefined as never), "no map");
  equal(children(), [], "children");
  equal(openFds(), fdsAtFirst, "open fds");
});

await check("setns: an fd of no namespace", () => {
  fails(sys.setns(999 as Fd, 0), EBADF, "a closed fd");
  const fd = good(sys.eventfd(), "eventfd");
  fails(sys.setns(fd, 0), EINVAL, "an eventfd");
  good(sys.close(fd), "close");
});

await check("fork: refused once the loop has been used", async () => {
  await after(0);
  fails(sys.fork(), EBUSY, "fork");
});

// ---- with the loop ----

await after(1);
const fdsBefore = openFds();

function start(script: string, output?: Fd): Child {
  const fds = output === undefined ? [] : [{ target: 1, source: output }];
  const argv = ["sh", "-c", script];
  return good(sys.spawn({ file: "/bin/sh", argv, env: ["PATH=/usr/bin:/bin"], fds }), "spawn");
}

await check("peek: undefined while it lives, then its end, which stays to be seen until it is reaped", async () => {
  const child = start("read x; exit 5");
  const exit = { pid: child.pid, code: 1, status: 5 };
  await ended(child.pidfd);
  for (const _ of [1, 2]) {
    equal(sys.peekPid(child.pid), exit);
    equal(sys.peekPidfd(child.pidfd), exit);
    equal(sys.peekAny(), exit);
  }
  equal(sys.reap(child.pid), exit);
  fails(sys.peekPid(child.pid), ECHILD, "peekPid of one that is reaped");
  fails(sys.peekPidfd(child.pidfd), ECHILD, "peekPidfd");
  fails(sys.reap(child.pid), ECHILD, "reap");
  equal(sys.peekAny(), undefined, "without a child");
  good(sys.close(child.pidfd), "close");

  const living = start("exec sleep 1000");
  for (const value of [sys.peekPid(living.pid), sys.peekPidfd(living.pidfd), sys.peekAny(), sys.reap(living.pid)]) {
    equal(value, undefined, "of one that lives");
  }
  good(sys.pidfdSignal(living.pidfd, SIGKILL), "pidfdSignal");
  equal(await reaped(living), { pid: living.pid, code: 2, status: SIGKILL });
});

await check("peekAny: the same first zombie again and again; those behind it are seen by their pid", async () => {
  const first = start("exit 1");
  const second = start("exit 2");
  await ended(second.pidfd);
  await ended(first.pidfd);
  const one = { pid: first.pid, code: 1, status: 1 };
  equal(sys.peekAny(), one);
  equal(sys.peekAny(), one, "once more");
  equal(sys.peekPid(second.pid), { pid: second.pid, code: 1, status: 2 });
  equal((await reaped(second)).status, 2);
  equal(sys.peekAny(), one, "with the second reaped");
  equal((await reaped(first)).status, 1);
  equal(sys.peekAny(), undefined);
});

await check("no child of ours, no pidfd: an errno", () => {
  for (const pid of [sys.getpid(), sys.getppid(), noPid]) {
    fails(sys.peekPid(pid), ECHILD, `peekPid of ${pid}`);
    fails(sys.reap(pid), ECHILD, `reap of ${pid}`);
  }
  for (const pid of [0, -1] as Pid[]) {
    fails(sys.peekPid(pid), EINVAL, `peekPid of ${pid}`);
    fails(sys.reap(pid), EINVAL, `reap of ${pid}`);
    fails(sys.pidfdOpen(pid), EINVAL, `pidfdOpen of ${pid}`);
  }
  const own = good(sys.pidfdOpen(sys.getpid()), "pidfdOpen");
  fails(sys.peekPidfd(own), ECHILD, "a pidfd of our own");
  equal(sys.pidfdSignal(own, 0), 0);
  good(sys.close(own), "close");
  const fd = good(sys.eventfd(), "eventfd");
  fails(sys.peekPidfd(fd), EBADF, "an eventfd");
  fails(sys.pidfdSignal(fd, 0), EBADF, "a signal to an eventfd");
  good(sys.close(fd), "close");
  fails(sys.peekPidfd(999 as Fd), EBADF, "a closed fd");
  fails(sys.pidfdOpen(noPid), ESRCH, "pidfdOpen of none");
  fails(sys.kill(noPid, 0), ESRCH, "kill of none");
  fails(sys.kill(sys.getpid(), 1000), EINVAL, "no such signal");
  for (const call of [sys.peekPid, sys.peekPidfd, sys.reap, sys.pidfdOpen]) {
    typeError(() => call("1" as never), "a string for a pid");
    typeError(() => call(undefined as never), "no pid");
  }
});

await check("signals: by pid, and by a pidfd, which is CLOEXEC and never names another process", async () => {
  const child = start("exec sleep 1000");
  const another = good(sys.pidfdOpen(child.pid), "pidfdOpen");
  const flags = /^flags:\s*([0-7]+)$/m.exec(good(sys.readText(`/proc/self/fdinfo/${another}`, 4096), "fdinfo"))?.[1];
  ok((Number.parseInt(flags ?? "", 8) & 0o2000000) !== 0, "CLOEXEC");
  equal(sys.kill(child.pid, 0), 0);
  fails(sys.pidfdSignal(another, 1000), EINVAL, "no such signal");
  equal(sys.kill(child.pid, SIGTERM), 0);
  await ended(another);
  equal(sys.pidfdSignal(another, SIGKILL), 0, "a signal to a zombie");
  equal(await reaped(child), { pid: child.pid, code: 2, status: SIGTERM });
  fails(sys.pidfdSignal(another, SIGKILL), ESRCH, "a signal to one that is reaped");
  good(sys.close(another), "close");

  const other = start("exec sleep 1000");
  equal(sys.pidfdSignal(other.pidfd, SIGUSR1), 0);
  equal(await reaped(other), { pid: other.pid, code: 2, status: SIGUSR1 });
});

await check("becomeSubreaper: what a child leaves behind is ours", async () => {
  good(sys.becomeSubreaper(), "becomeSubreaper");
  const [readFd, writeFd] = good(sys.pipe(0), "pipe");
  const parent = start("sleep 1000 >/dev/null & echo $!", writeFd);
  good(sys.close(writeFd), "close");
  const pid = Number(readAll(readFd)) as Pid;
  equal((await reaped(parent)).status, 0);
  equal(sys.peekPid(pid), undefined, "now a child");
  const pidfd = good(sys.pidfdOpen(pid), "pidfdOpen");
  good(sys.pidfdSignal(pidfd, SIGTERM), "pidfdSignal");
  equal(await reaped({ pid, pidfd }), { pid, code: 2, status: SIGTERM });
});

await check("nothing is left open, no child is left", () => {
  equal(openFds(), fdsBefore, "open fds");
  equal(children(), []);
});

finish();
