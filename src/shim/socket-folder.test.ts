import assert from "node:assert/strict";
import { test } from "node:test";
import { EACCES, EAGAIN, EEXIST, ENOENT, ENOTDIR } from "../sys/errno.ts";
import type { MoorError } from "../sys/error.ts";
import type { Errno, Fd, Sys } from "../sys/sys.d.ts";
import { lockSocketFolder, makeSocketFolder, removeStaleSocket } from "./socket-folder.ts";

function folders(...there: string[]) {
  const modes = new Map(there.map((path) => [path, 0]));
  const sys = {
    mkdir: (path: string, mode: number) => {
      if (modes.has(path)) return EEXIST;
      const above = path.slice(0, path.lastIndexOf("/"));
      if (above !== "" && !modes.has(above)) return ENOENT;
      modes.set(path, mode);
      return 0;
    },
  } as unknown as Sys;
  return { sys, modes };
}

test("makeSocketFolder: only its owner may enter it; folders above it are made as needed; what is there stays", () => {
  const { sys, modes } = folders("/run");
  makeSocketFolder(sys, "/run/containerd/s");
  assert.deepEqual(
    [...modes],
    [
      ["/run", 0],
      ["/run/containerd", 0o711],
      ["/run/containerd/s", 0o700],
    ],
  );
  makeSocketFolder(sys, "/run/containerd/s");
  const refusing = { mkdir: () => EACCES } as unknown as Sys;
  assert.throws(() => makeSocketFolder(refusing, "/run/x"), /make the socket folder \/run\/x: EACCES/);
});

/** A lock that others hold for this many tries. */
function lockable(tries: number, opening: Fd | Errno = 9 as Fd) {
  let nowMs = 0;
  const calls: string[] = [];
  const sys = {
    open: () => opening,
    close: () => void calls.push("close"),
    monotonicMs: () => nowMs,
    sleepMs: (ms: number) => {
      nowMs += ms;
    },
    flock: (_fd: Fd, how: string) => {
      if (how === "exclusive" && tries-- > 0) return EAGAIN;
      calls.push(how);
      return 0;
    },
  } as unknown as Sys;
  return { sys, calls };
}

test("lockSocketFolder: waits its turn; unlocked once, and before it is closed", () => {
  const { sys, calls } = lockable(20);
  const folder = lockSocketFolder(sys, "/run/s", 100);
  assert.equal(folder.fd, 9);
  folder.unlock();
  folder.unlock();
  assert.deepEqual(calls, ["exclusive", "unlock", "close"]);
});

test("lockSocketFolder: held too long, or no such folder, is an error that leaves no fd", () => {
  const held = lockable(1_000);
  const code = (expected: string) => (thrown: unknown) => (thrown as MoorError).code === expected;
  assert.throws(() => lockSocketFolder(held.sys, "/run/s", 100), code("deadline_exceeded"));
  assert.deepEqual(held.calls, ["close"]);
  assert.throws(() => lockSocketFolder(lockable(0, ENOENT).sys, "/run/s", 100), code("not_found"));
});

test("removeStaleSocket: gone already is fine, a failure is not", () => {
  removeStaleSocket({ unlink: () => ENOENT } as unknown as Sys, "/s/1");
  removeStaleSocket({ unlink: () => 0 } as unknown as Sys, "/s/1");
  assert.throws(
    () => removeStaleSocket({ unlink: () => ENOTDIR } as unknown as Sys, "/s/1"),
    /stale socket \/s\/1: ENOTDIR/,
  );
});
