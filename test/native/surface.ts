// The sys object holds every member of the interface, and none that it does not name. The list is complete by its type:
// one that differs from src/sys/sys.d.ts is an error of the type check.

import sys from "sys";
import type { Sys } from "../../src/sys/sys.d.ts";
import { check, equal, finish } from "./checks.ts";

type Value = "args" | "environ";
const values: Readonly<Record<Value, true>> = { args: true, environ: true };
const functions: Readonly<Record<Exclude<keyof Sys, Value>, true>> = {
  // the host
  exit: true,
  onUncaught: true,
  collectGarbage: true,
  heap: true,
  // loop
  keepStart: true,
  keep: true,
  keepDrop: true,
  keepTouch: true,
  kept: true,
  keepDropRest: true,
  followRequests: true,
  timerStart: true,
  timerStop: true,
  pollStart: true,
  pollChange: true,
  pollStop: true,
  signalStart: true,
  sleepMs: true,
  // process
  getpid: true,
  getppid: true,
  getuid: true,
  fork: true,
  setsid: true,
  becomeSubreaper: true,
  setProcessName: true,
  prctl: true,
  umask: true,
  getcwd: true,
  chdir: true,
  fchdir: true,
  spawn: true,
  peekAny: true,
  peekPid: true,
  peekPidfd: true,
  reap: true,
  pidfdOpen: true,
  pidfdSignal: true,
  kill: true,
  setns: true,
  userNamespace: true,
  // fd
  read: true,
  write: true,
  close: true,
  dup: true,
  dup2: true,
  pipe: true,
  setNonblock: true,
  setCloexec: true,
  readable: true,
  setPipeSize: true,
  eventfd: true,
  memfd: true,
  seek: true,
  ftruncate: true,
  fsync: true,
  flock: true,
  // files
  open: true,
  openat2: true,
  readText: true,
  writeText: true,
  readdir: true,
  stat: true,
  lstat: true,
  fstat: true,
  fsType: true,
  fsFlags: true,
  mkdir: true,
  mkfifo: true,
  rmdir: true,
  unlink: true,
  rename: true,
  symlink: true,
  readlink: true,
  chmod: true,
  chown: true,
  fchown: true,
  access: true,
  inotifyCreate: true,
  inotifyAdd: true,
  inotifyRemove: true,
  // socket
  unixBind: true,
  listen: true,
  accept: true,
  unixConnect: true,
  peerCredentials: true,
  shutdown: true,
  receiveFds: true,
  sendFds: true,
  // pump
  pumpStart: true,
  pumpResume: true,
  pumpDrained: true,
  pumpStop: true,
  pumpState: true,
  // tty
  ttySize: true,
  ttySetSize: true,
  isTty: true,
  // mount
  mount: true,
  umount: true,
  mountIdmapped: true,
  loopAttach: true,
  // time, random, text
  realtimeNs: true,
  monotonicMs: true,
  randomBytes: true,
  encodeUtf8: true,
  decodeUtf8: true,
  kernelRelease: true,
};

await check("every member of the interface is there, with its type, and no other", () => {
  const members = sys as unknown as Readonly<Record<string, unknown>>;
  const expected = [...Object.keys(values), ...Object.keys(functions)].sort();
  equal(Object.getOwnPropertyNames(sys).sort(), expected);
  for (const name of Object.keys(values)) equal(Array.isArray(members[name]), true, name);
  for (const name of Object.keys(functions)) equal(typeof members[name], "function", name);
});

finish();
